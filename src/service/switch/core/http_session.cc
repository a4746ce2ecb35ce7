#include "service/switch/core/http_session.h"

#include <utility>

#include "service/switch/core/canned_response.h"

namespace fairlead::l7 {

using protocol::HttpHead;
using protocol::HttpHeadParser;

Task<void> HttpSession::run() {
  while (co_await one_request()) {
  }
  session_.leave_server(session_.server_is_reusable());
}

/// True: another request may follow.
Task<bool> HttpSession::one_request() {
  if (!co_await read_request()) co_return false;
  switch (co_await connect()) {
    case Session::Outcome::kConnected:
      break;
    case Session::Outcome::kNoServer:
      co_await refuse(503, "no_server");
      co_return false;
    case Session::Outcome::kRefused:
      co_await refuse(502, "server_refused");
      co_return false;
    case Session::Outcome::kTimedOut:
      co_await refuse(504, "server_timeout");
      co_return false;
  }
  if (!per_request()) co_return co_await relay_after_first_request();
  Answer result = co_await exchange();
  while (result == Answer::kStale) {
    ++shared_.counters.server_retries;
    if (co_await connect() != Session::Outcome::kConnected) {
      co_await refuse(502, "server_refused");
      co_return false;
    }
    result = co_await exchange();
  }
  if (result == Answer::kUpgraded) co_await session_.relay();
  log();
  if (result == Answer::kLast) {
    session_.leave_server(session_.server_is_reusable());
    co_await session_.finish();
  }
  co_return result == Answer::kNext;
}

Task<Session::Outcome> HttpSession::connect() {
  // `balance connection`: the first request has chosen for all.
  if (session_.options().balance == Balance::kConnection && session_.server_is_reusable()) {
    session_.reuse_server();
    co_return Session::Outcome::kConnected;
  }
  co_return co_await session_.connect(*this);
}

Task<bool> HttpSession::read_request() {
  const Timeouts& timeouts = session_.options().timeouts;
  TcpSocket& client = session_.client();
  const bool first = request_.began == Time{};
  if (!first && client.unread() == 0) {
    // Between requests a connection may be silent for as long as any.
    if (!co_await session_.wait_readable(client, 0, timeouts.established)) co_return false;
  }
  const Time began = session_.now();
  const HeadOutcome outcome = co_await read_head(
      client, HttpHeadParser::request(session_.options().max_request_head), timeouts.listen);
  switch (outcome) {
    case HeadOutcome::kHead:
      note_request(shared_.head);
      request_.began = began;
      co_return true;
    case HeadOutcome::kClosed:
      session_.end("done");
      co_return false;
    case HeadOutcome::kBroken:
      session_.end("client_aborted");
      ++shared_.counters.client_aborted;
      session_.abort();
      co_return false;
    case HeadOutcome::kTimedOut:
      ++shared_.counters.head_timeouts;
      request_ = Request();
      request_.began = began;
      request_logged_ = false;
      if (client.unread() > 0) co_await refuse(408, "timeout");
      co_return false;
    case HeadOutcome::kFault:
      break;
  }
  co_return false;
}

Task<HttpSession::HeadOutcome> HttpSession::read_head(TcpSocket& socket, HttpHeadParser parser,
                                                      Duration patience) {
  const Time until = session_.now() + patience;
  while (true) {
    auto whole = parser.parse(shared_.unread_bytes(socket), shared_.head);
    if (!whole) {
      if (&socket == &session_.client()) {
        ++shared_.counters.http_faults[static_cast<size_t>(whole.error())];
        request_ = Request();
        request_.began = session_.now();
        request_logged_ = false;
        co_await refuse(protocol::http_fault_status(whole.error()),
                        protocol::http_fault_name(whole.error()));
      }
      co_return HeadOutcome::kFault;
    }
    if (*whole) co_return HeadOutcome::kHead;
    const size_t before = socket.unread();
    // A client has so long for its head as a whole; a server, since a byte of the request moved.
    const bool more = &socket == &session_.client()
                          ? co_await session_.wait_readable_until(socket, before, until)
                          : co_await session_.wait_readable(socket, before, patience);
    if (!more) {
      co_return session_.wait_error() == Errc::kTimedOut ? HeadOutcome::kTimedOut
                                                         : HeadOutcome::kBroken;
    }
    if (socket.unread() == before) {
      co_return before == 0 ? HeadOutcome::kClosed : HeadOutcome::kBroken;
    }
  }
}

void HttpSession::note_request(const HttpHead& head) {
  ++shared_.counters.requests;
  request_ = Request();
  request_logged_ = false;
  request_.method = head.request_method();
  request_.head_size = head.size;
  request_.body = protocol::BodyFramer(head);
  request_.has_body = head.framing != protocol::BodyFraming::kNone;
  request_.keep_alive = head.keep_alive;
  head_is_fresh_ = true;
  if (session_.options().access_log == nullptr) return;
  request_.method_name = head.method;
  request_.target = head.target;
  request_.host = head.host;
  request_.referer = head.header("Referer").value_or("");
  request_.user_agent = head.header("User-Agent").value_or("");
  request_.version = head.version == protocol::HttpVersion::k11 ? "HTTP/1.1" : "HTTP/1.0";
}

balance::RequestFacts HttpSession::facts() {
  if (!head_is_fresh_) {
    // Others have parsed theirs since. It was whole then and is still unread.
    auto parser = HttpHeadParser::request(HttpHeadParser::kMaxSize);
    static_cast<void>(parser.parse(shared_.unread_bytes(session_.client()), shared_.head));
  }
  head_is_fresh_ = false;
  balance::RequestFacts facts;
  facts.source = session_.client_endpoint().address;
  facts.host = shared_.head.host;
  facts.target = shared_.head.target;
  facts.headers = this;
  return facts;
}

Task<void> HttpSession::refuse(uint16_t status, std::string_view why) {
  upload_.reset();
  session_.end(why);
  note_status(status);
  const std::string_view text =
      canned_response(status, request_.method == protocol::RequestMethod::kHead);
  session_.leave_server(false);
  session_.record().bytes_to_client +=
      session_.client().write_now({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
  log();
  co_await session_.finish();
}

Task<bool> HttpSession::relay_after_first_request() {
  TcpSocket& server = session_.server();
  const Time passed_on = session_.now();
  balance::Server& chosen = *session_.chosen();
  ++chosen.counters().requests;
  const bool early = session_.options().splices_early();
  if (early) {
    fill_record();
    if (session_.splice(request_.began)) {
      request_logged_ = true;
      co_return false;
    }
  }
  if (!co_await send_head(false)) {
    co_await no_answer(HeadOutcome::kBroken);
    log();
    co_return false;
  }
  // Until the first answer begins, one can still be given in the server's place.
  upload_.emplace(shared_.runtime.scheduler, upload());
  const HeadOutcome outcome = co_await read_head(
      server, HttpHeadParser::response(request_.method, HttpHeadParser::kMaxSize),
      session_.options().timeouts.synack);
  if (outcome == HeadOutcome::kHead) {
    note_status(shared_.head.status);
    session_.record().wait = session_.now() - passed_on;
    chosen.counters().total_latency += session_.record().wait;
    upload_.reset();
    fill_record();
    // A refusal stands: what the two ends have agreed on stays as it is.
    if (!early && !is_last_and_small() && session_.splice(request_.began)) {
      request_logged_ = true;
      co_return false;
    }
    co_await session_.relay();
  } else {
    co_await no_answer(outcome);
  }
  log();
  co_return false;
}

bool HttpSession::is_last_and_small() const {
  const HttpHead& answer = shared_.head;
  return !(request_.keep_alive && answer.keep_alive) && answer.content_length &&
         *answer.content_length <= kSmallAnswer;
}

void HttpSession::log() {
  if (std::exchange(request_logged_, true)) return;
  fill_record();
  session_.record().total = session_.now() - request_.began;
  session_.log();
}

void HttpSession::fill_record() {
  AccessRecord& record = session_.record();
  record.method = request_.method_name;
  record.target = request_.target;
  record.host = request_.host;
  record.referer = request_.referer;
  record.user_agent = request_.user_agent;
  record.version = request_.version;
}

}  // namespace fairlead::l7
