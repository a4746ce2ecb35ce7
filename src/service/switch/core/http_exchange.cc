// One request and its answer: HttpSession's half that talks to the server.
//
//   head ───────────────▶        upload(): the body beside the answer, which may come before the
//   body ───────────────▶        body has ended; then it looks whether the client is still there
//        ◀─────────────── 1xx …
//        ◀─────────────── head
//        ◀─────────────── body
#include "service/switch/core/http_session.h"

namespace fairlead::l7 {

using protocol::BodyFramer;
using protocol::HttpHead;
using protocol::HttpHeadParser;

void HttpSession::note_status(uint16_t status) {
  session_.record().status = status;
  SwitchCounters& counters = shared_.counters;
  switch (status / 100) {
    case 2:
      ++counters.responses_2xx;
      break;
    case 3:
      ++counters.responses_3xx;
      break;
    case 4:
      ++counters.responses_4xx;
      break;
    case 5:
      ++counters.responses_5xx;
      break;
  }
}

Task<HttpSession::Answer> HttpSession::exchange() {
  if (balance::Server* server = session_.chosen()) ++server->counters().requests;
  const bool keep_unread = session_.server_was_reused() && !request_.has_body;
  if (!co_await send_head(keep_unread)) co_return co_await no_answer(HeadOutcome::kBroken);
  upload_.emplace(shared_.runtime.scheduler, upload());
  Answer result = co_await answer();
  upload_.reset();
  // An answer may come before the request has ended; the rest of it is then nobody's.
  if (result == Answer::kNext && !request_.body.finished()) result = Answer::kLast;
  co_return result;
}

/// False: the server is gone.
Task<bool> HttpSession::send_head(bool keep_unread) {
  TcpSocket& client = session_.client();
  TcpSocket& server = session_.server();
  head_unread_ = false;
  if (!keep_unread && !session_.options().add_forwarded_for) {
    co_return co_await session_.pass(client, server, request_.head_size);
  }
  ByteSpan head = shared_.unread_bytes(client).first(request_.head_size);
  if (session_.options().add_forwarded_for) {
    facts();  // parses again if need be
    const auto size = protocol::write_with_forwarded_for(
        head, shared_.head, session_.client_endpoint().address, shared_.rewritten);
    CHECK(size.has_value());  // `rewritten` has room for the largest head
    head = ByteSpan(shared_.rewritten).first(*size);
  }
  const size_t written = server.write_now(head);
  if (written == head.size()) {
    head_unread_ = keep_unread;
    if (!keep_unread) client.consume(request_.head_size);
    session_.count(client, request_.head_size);
    co_return true;
  }
  // Larger than what the send buffer has room for now; `head` is gone with the next suspension.
  const std::vector<uint8_t> rest(head.begin() + static_cast<ptrdiff_t>(written), head.end());
  client.consume(request_.head_size);
  server.set_deadline(session_.now() + session_.options().timeouts.synack);
  co_return (co_await server.write_all(rest)).has_value();
}

/// The request's body; with `balance connection`, whatever the client sends. Then the client is
/// watched: if it breaks off, its server is told, and with it who waits for the answer.
Task<bool> HttpSession::upload() {
  TcpSocket& client = session_.client();
  TcpSocket& server = session_.server();
  const bool sent =
      co_await (per_request() ? pass_body(client, server, request_.body) : pass_all());
  if (sent && !client_broke_off()) {
    // Nothing but the end of the stream or of the connection makes this ready.
    client.set_deadline(Time::max());
    static_cast<void>(co_await client.readable_beyond(SIZE_MAX));
  }
  if (client_broke_off() || (!sent && server.connection().error() == Errc::kOk)) server.abort();
  co_return sent;
}

bool HttpSession::client_broke_off() const {
  return session_.client().connection().error() != Errc::kOk;
}

Task<bool> HttpSession::pass_all() {
  TcpSocket& client = session_.client();
  while (co_await session_.wait_readable(client, 0, session_.options().timeouts.established)) {
    if (client.end_of_stream()) {
      session_.server().shutdown();
      co_return true;
    }
    if (!co_await session_.pass(client, session_.server(), client.unread())) break;
  }
  co_return false;
}

Task<bool> HttpSession::pass_body(TcpSocket& from, TcpSocket& to, BodyFramer& framer) {
  while (!framer.finished()) {
    if (!co_await session_.wait_readable(from, 0, session_.options().timeouts.established)) {
      if (&from == &session_.client()) request_.body_fault = 408;
      co_return false;
    }
    if (from.end_of_stream()) {
      framer.end_of_stream();
    } else {
      const size_t n = framer.take(from.peek());
      if (!framer.fault() && !co_await session_.pass(from, to, n)) co_return false;
    }
    if (auto fault = framer.fault()) {
      ++shared_.counters.body_faults[static_cast<size_t>(*fault)];
      if (&from == &session_.client()) request_.body_fault = 400;
      co_return false;
    }
  }
  co_return true;
}

Task<HttpSession::Answer> HttpSession::answer() {
  const Time passed_on = session_.now();
  while (true) {
    const HeadOutcome outcome = co_await read_head(
        session_.server(), HttpHeadParser::response(request_.method, HttpHeadParser::kMaxSize),
        session_.options().timeouts.synack);
    if (outcome != HeadOutcome::kHead) co_return co_await no_answer(outcome);
    if (head_unread_) {
      session_.client().consume(request_.head_size);
      head_unread_ = false;
    }
    const HttpHead& head = shared_.head;
    if (head.status >= 200 || head.status == 101) break;
    const size_t size = head.size;  // 1xx: another follows
    if (!co_await session_.pass(session_.server(), session_.client(), size)) {
      session_.abort();
      co_return Answer::kOver;
    }
  }
  session_.record().wait = session_.now() - passed_on;
  if (balance::Server* server = session_.chosen()) {
    server->counters().total_latency += session_.record().wait;
  }
  co_return co_await pass_answer();
}

/// In the server's place.
Task<HttpSession::Answer> HttpSession::no_answer(HeadOutcome outcome) {
  if (client_broke_off()) {
    ++shared_.counters.client_aborted;
    session_.end("client_aborted");
    session_.abort();
    co_return Answer::kOver;
  }
  if (request_.body_fault != 0) {
    co_await refuse(request_.body_fault, "bad_body");
    co_return Answer::kOver;
  }
  if (head_unread_ && (outcome == HeadOutcome::kClosed || outcome == HeadOutcome::kBroken)) {
    session_.leave_server(false);
    co_return Answer::kStale;
  }
  if (head_unread_) session_.client().consume(request_.head_size);
  if (balance::Server* server = session_.chosen()) ++server->counters().failures;
  switch (outcome) {
    case HeadOutcome::kTimedOut:
      ++shared_.counters.answer_timeouts;
      session_.server().abort();
      co_await refuse(504, "answer_timeout");
      break;
    case HeadOutcome::kFault:
      ++shared_.counters.server_bad_answers;
      session_.server().abort();
      co_await refuse(502, "bad_answer");
      break;
    case HeadOutcome::kHead:
    case HeadOutcome::kClosed:
    case HeadOutcome::kBroken:
      ++shared_.counters.server_aborted;
      co_await refuse(502, "server_aborted");
      break;
  }
  co_return Answer::kOver;
}

Task<HttpSession::Answer> HttpSession::pass_answer() {
  TcpSocket& server = session_.server();
  TcpSocket& client = session_.client();
  const bool upgrade = shared_.head.upgrade;
  const bool keep_alive = shared_.head.keep_alive && request_.keep_alive;
  if (!keep_alive) session_.server_will_close();
  const size_t head_size = shared_.head.size;
  BodyFramer framer(shared_.head);
  note_status(shared_.head.status);
  if (!co_await session_.pass(server, client, head_size)) {
    session_.end("client_aborted");
    session_.abort();
    co_return Answer::kOver;
  }
  if (upgrade) {
    ++shared_.counters.switched_protocols;
    co_return Answer::kUpgraded;
  }
  if (!co_await pass_body(server, client, framer)) {
    // What the client has is no whole answer, and must not look like one.
    const bool by_client = client_broke_off();
    ++(by_client ? shared_.counters.client_aborted : shared_.counters.server_aborted);
    session_.end(by_client ? "client_aborted" : "server_aborted");
    session_.abort();
    co_return Answer::kOver;
  }
  co_return keep_alive ? Answer::kNext : Answer::kLast;
}

}  // namespace fairlead::l7
