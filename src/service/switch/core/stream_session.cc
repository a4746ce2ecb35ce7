#include "service/switch/core/stream_session.h"

namespace fairlead::l7 {

Task<void> StreamSession::run() {
  const Time began = session_.now();
  if (session_.options().protocol == Protocol::kTls && !co_await read_client_hello()) {
    session_.abort();
    session_.log();
    co_return;
  }
  session_.record().server_name = hello_.server_name;
  switch (co_await session_.connect(*this)) {
    case Session::Outcome::kConnected:
      if (session_.splice(began)) co_return;
      co_await session_.relay();
      break;
    case Session::Outcome::kNoServer:
      session_.end("no_server");
      session_.abort();
      break;
    case Session::Outcome::kRefused:
      session_.end("server_refused");
      session_.abort();
      break;
    case Session::Outcome::kTimedOut:
      session_.end("server_timeout");
      session_.abort();
      break;
  }
  session_.record().total = session_.now() - began;
  session_.log();
}

balance::RequestFacts StreamSession::facts() {
  balance::RequestFacts facts;
  facts.source = session_.client_endpoint().address;
  facts.sni = hello_.server_name;
  facts.alpn = alpn_;
  return facts;
}

Task<bool> StreamSession::read_client_hello() {
  const Time until = session_.now() + session_.options().timeouts.listen;
  SharedState& shared = session_.shared();
  TcpSocket& client = session_.client();
  while (true) {
    const size_t before = client.unread();
    auto hello = protocol::ClientHello::parse(shared.unread_bytes(client));
    if (!hello) {
      ++shared.counters.hello_faults[static_cast<size_t>(hello.error())];
      session_.end("bad_client_hello");
      co_return false;
    }
    if (*hello) {
      hello_ = std::move(**hello);
      alpn_.assign(hello_.alpn.begin(), hello_.alpn.end());
      co_return true;
    }
    if (before >= session_.options().max_request_head) {
      ++shared.counters.hello_faults[static_cast<size_t>(protocol::HelloFault::kTooLong)];
      session_.end("bad_client_hello");
      co_return false;
    }
    const bool more = co_await session_.wait_readable_until(client, before, until);
    if (!more && session_.wait_error() == Errc::kTimedOut) ++shared.counters.head_timeouts;
    if (!more || client.unread() == before) {
      session_.end(more ? "client_aborted" : "timeout");
      co_return false;
    }
  }
}

}  // namespace fairlead::l7
