// HttpSession: requests of one client, and the answers to them.
//
//   balance connection   the first request chooses a server; from there on bytes are relayed, and
//                        nothing is looked at any more (what splicing needs)
//   balance request      each request is read, given a server, and answered, in turn; so is each
//                        request of a connection to whose requests a header is added
//
// A head stays unread until the server has a connection: until then another server may be tried.
// To a server whose connection was open before, a request without a body is copied, and stays
// unread until the answer begins: if the server closed the connection meanwhile, which every server
// may at any time, the request goes to a new connection and the client notices nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "service/switch/core/session.h"
#include "service/switch/protocol/body_framer.h"
#include "socket/fork.h"

namespace fairlead::l7 {

class HttpSession final : private FactsSource, private balance::HeaderLookup {
 public:
  explicit HttpSession(Session& session) : session_(session), shared_(session.shared()) {}
  Task<void> run();

 private:
  static constexpr uint64_t kSmallAnswer = 64u << 10;  // bytes

  enum class HeadOutcome : uint8_t { kHead, kClosed, kTimedOut, kBroken, kFault };
  /// What happened to a request.
  enum class Answer : uint8_t {
    kNext,      // answered; another may follow on this connection
    kLast,      // answered; none may follow
    kUpgraded,  // from here on both sides speak something else
    kStale,     // the connection was closed before; to be sent again
    kOver,      // the session is aborted
  };

  /// What of the request's head is needed after it has been forwarded.
  struct Request {
    protocol::RequestMethod method{};
    size_t head_size = 0;
    protocol::BodyFramer body{protocol::BodyFraming::kNone};
    bool has_body = false;
    bool keep_alive = false;
    uint16_t body_fault = 0;  // the status that its client gets for a wrong or late body; 0: none
    Time began{};
    // For the access log; empty without one.
    std::string method_name, target, host, referer, user_agent;
    std::string_view version;
  };

  // http_session.cc
  bool per_request() const {
    return session_.options().balance == Balance::kRequest || session_.options().add_forwarded_for;
  }
  Task<bool> one_request();
  Task<bool> read_request();
  void note_request(const protocol::HttpHead& head);
  Task<HeadOutcome> read_head(TcpSocket& socket, protocol::HttpHeadParser parser,
                              Duration patience);
  Task<Session::Outcome> connect();
  Task<void> refuse(uint16_t status, std::string_view why);
  Task<bool> relay_after_first_request();
  /// The answer whose head was read is all that comes, and relaying it costs less than a splice.
  bool is_last_and_small() const;
  void log();
  void fill_record();
  balance::RequestFacts facts() override;
  std::optional<std::string_view> header(std::string_view name) const override {
    return shared_.head.header(name);
  }
  std::optional<std::string_view> cookie(std::string_view name) const override {
    return shared_.head.cookie(name);
  }

  // http_exchange.cc
  Task<Answer> exchange();
  Task<bool> send_head(bool keep_unread);
  Task<bool> upload();
  bool client_broke_off() const;
  Task<bool> pass_all();
  Task<Answer> answer();
  Task<Answer> no_answer(HeadOutcome outcome);
  Task<Answer> pass_answer();
  Task<bool> pass_body(TcpSocket& from, TcpSocket& to, protocol::BodyFramer& framer);
  void note_status(uint16_t status);

  Session& session_;
  SharedState& shared_;
  Request request_;
  bool head_is_fresh_ = false;  // shared_.head is this request's: nobody was suspended since
  bool request_logged_ = true;  // each once, refused or not
  bool head_unread_ = false;    // the server has a copy of it
  std::optional<Fork<bool>> upload_;
};

}  // namespace fairlead::l7
