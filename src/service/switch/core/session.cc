#include "service/switch/core/session.h"

#include <array>

#include "service/switch/core/spliced_session.h"
#include "service/switch/protocol/proxy_protocol.h"
#include "socket/fork.h"

namespace fairlead::l7 {

Session::Session(SharedState& shared, VirtualServer::Slot slot, TcpSocket client,
                 const Endpoint& listener)
    : shared_(shared),
      virtual_server_(std::move(slot)),
      client_(std::move(client)),
      moved_at_(shared.runtime.scheduler.now()) {
  record_.client = client_.connection().tuple().remote;
  record_.virtual_server = listener;
  shared_.sessions.push_back(*this);
  ++shared_.session_count;
}

Session::~Session() {
  shared_.sessions.erase(*this);
  --shared_.session_count;
}

Duration Session::patience() const {
  const Timeouts& timeouts = options().timeouts;
  return half_closed_ ? timeouts.closewait : timeouts.established;
}

void Session::end(std::string_view why) {
  if (record_.end.empty()) record_.end = why;
}

void Session::log() {
  end("done");
  if (options().access_log != nullptr) options().access_log->write(record_);
  AccessRecord next;
  next.client = record_.client;
  next.virtual_server = record_.virtual_server;
  if (balance::Server* server = chosen()) next.server = server->name();
  record_ = next;
}

void Session::abort() {
  client_.abort();
  if (server_.is_open()) server_.abort();
}

void Session::end_by_command() {
  end("server_disabled");
  ++shared_.counters.ended_by_command;
  abort();
}

// ---- a server ----

Session::Outcome Session::note_failure(balance::Server& server, Errc error) {
  ++server.counters().failures;
  if (error == Errc::kTimedOut) {
    ++shared_.counters.server_timeouts;
    return Outcome::kTimedOut;
  }
  if (error == Errc::kAddressNotAvailable) {
    ++shared_.counters.no_local_port;
  } else {
    ++shared_.counters.server_refused;
  }
  return Outcome::kRefused;
}

Task<Session::Outcome> Session::connect(FactsSource& source) {
  std::array<const balance::Server*, kMaxTries> tried{};
  Outcome outcome = Outcome::kNoServer;
  for (size_t n = 0; n < kMaxTries; ++n) {
    const balance::RequestFacts facts = source.facts();
    balance::Pool* pool = virtual_server_->router.route(facts);
    if (pool == nullptr) {
      ++shared_.counters.no_route;
      co_return Outcome::kNoServer;
    }
    balance::Server* server = pool->choose(facts, std::span(tried).first(n));
    if (server == nullptr) break;
    if (n > 0) ++shared_.counters.server_retries;
    if (chosen() == server && server_is_reusable()) {
      reused_ = true;
      ++shared_.counters.server_reused;
      co_return Outcome::kConnected;
    }
    leave_server(server_is_reusable());
    server_keeps_ = true;
    link_.emplace(*server);
    record_.server = server->name();
    if (auto idle = shared_.idle.take(*server)) {
      server_ = std::move(*idle);
      reused_ = true;
      ++shared_.counters.server_reused;
      co_return Outcome::kConnected;
    }
    reused_ = false;
    host::Stack::ConnectOptions connection{.remote = server->endpoint(),
                                           .source = {},
                                           .local_port = {},
                                           .socket = virtual_server_->to_server};
    if (splices()) {
      connection.offer = client_.connection().peer_offer();
      if (client_.connection().holds_acks())
        connection.offer->isn = client_.connection().peer_isn();
    }
    auto socket = co_await TcpSocket::connect(shared_.runtime, connection);
    if (socket) {
      server_ = std::move(*socket);
      ++shared_.counters.server_connects;
      touch();
      if (options().send_proxy) {
        std::array<uint8_t, protocol::ProxyHeader::kMaxEmitted> header;
        const size_t size = protocol::ProxyHeader::emit(
            *options().send_proxy,
            protocol::ProxyAddresses{.source = record_.client,
                                     .destination = client_.connection().tuple().local},
            header);
        server_.write_now(ByteSpan(header).first(size));  // a new connection has room for it
      }
      co_return Outcome::kConnected;
    }
    outcome = note_failure(*server, socket.error().code);
    link_.reset();
    tried[n] = server;
  }
  if (outcome == Outcome::kNoServer) ++shared_.counters.no_server;
  co_return outcome;
}

bool Session::server_is_reusable() const {
  return server_.is_open() && server_keeps_ && IdleConnections::is_good(server_);
}

void Session::leave_server(bool reusable) {
  if (server_.is_open() && reusable && !options().send_proxy &&
      options().balance == Balance::kRequest && link_->server().available()) {
    shared_.idle.put(link_->server(), std::move(server_));
  }
  server_ = TcpSocket();
  link_.reset();
}

// ---- bytes ----

void Session::count(const TcpSocket& from, size_t n) {
  touch();
  balance::Server* server = chosen();
  if (&from == &client_) {
    record_.bytes_from_client += n;
    bytes_from_client_ += n;
    shared_.counters.bytes_from_clients += n;
    if (server != nullptr) server->counters().bytes_to_server += n;
  } else {
    record_.bytes_to_client += n;
    bytes_to_client_ += n;
    shared_.counters.bytes_to_clients += n;
    if (server != nullptr) server->counters().bytes_to_client += n;
  }
}

Task<bool> Session::wait_readable(TcpSocket& socket, size_t beyond, Duration patience) {
  while (true) {
    socket.set_deadline(moved_at_ + patience);
    Result<void> ready = co_await socket.readable_beyond(beyond);
    if (ready) co_return true;
    wait_error_ = ready.error().code;
    if (wait_error_ != Errc::kTimedOut || moved_at_ + patience <= now()) co_return false;
  }
}

Task<bool> Session::wait_readable_until(TcpSocket& socket, size_t beyond, Time until) {
  socket.set_deadline(until);
  Result<void> ready = co_await socket.readable_beyond(beyond);
  if (!ready) wait_error_ = ready.error().code;
  co_return ready.has_value();
}

Task<bool> Session::pass(TcpSocket& from, TcpSocket& to, size_t n) {
  while (true) {
    const size_t moved = from.forward_now(to, n);
    if (moved > 0) count(from, moved);
    n -= moved;
    if (n == 0) co_return true;
    to.set_deadline(moved_at_ + patience());
    Result<void> room = co_await to.writable();
    if (room) continue;
    wait_error_ = room.error().code;
    if (wait_error_ != Errc::kTimedOut || moved_at_ + patience() <= now()) co_return false;
  }
}

Task<bool> Session::pump(TcpSocket& from, TcpSocket& to) {
  while (co_await wait_readable(from, 0, patience())) {
    if (from.end_of_stream()) {
      half_closed_ = true;
      to.shutdown();
      // The other direction's wait began when both were open.
      to.set_deadline(moved_at_ + patience());
      co_return true;
    }
    if (!co_await pass(from, to, from.unread())) break;
  }
  if (wait_error_ == Errc::kTimedOut) {
    ++shared_.counters.idle_timeouts;
    end("timeout");
  } else {
    end(&from == &client_ ? "client_aborted" : "server_aborted");
  }
  abort();
  co_return false;
}

Task<void> Session::relay() {
  touch();
  Fork<bool> up(shared_.runtime.scheduler, pump(client_, server_));
  co_await pump(server_, client_);
  co_await up.join();
  end("done");
}

bool Session::splice(Time began) {
  if (!splices()) return false;
  SplicedSession::Parts parts{.slot = virtual_server_.again(),
                              .link = std::move(*link_),
                              .record = record_,
                              .began = began};
  const bool spliced = SplicedSession::begin(shared_, client_, server_, parts);
  if (spliced) {
    link_.reset();
  } else {
    *link_ = std::move(parts.link);
  }
  return spliced;
}

Task<void> Session::finish() {
  client_.shutdown();
  size_t thrown = 0;
  const Time until = now() + kLinger;
  while (thrown < kMaxLinger && co_await wait_readable_until(client_, 0, until)) {
    if (client_.end_of_stream()) break;
    thrown += client_.unread();
    while (client_.unread() > 0) client_.consume(client_.peek().size());
  }
}

Task<bool> Session::read_proxy_header() {
  const Time until = now() + options().timeouts.listen;
  while (true) {
    auto header = protocol::ProxyHeader::parse(shared_.unread_bytes(client_));
    if (!header) {
      ++shared_.counters.proxy_faults[static_cast<size_t>(header.error())];
      end("bad_proxy_header");
      break;
    }
    if (*header) {
      if ((*header)->addresses) record_.client = (*header)->addresses->source;
      client_.consume((*header)->size);
      co_return true;
    }
    const size_t before = client_.unread();
    const bool more = co_await wait_readable_until(client_, before, until);
    if (!more || client_.unread() == before) {
      end("no_proxy_header");
      break;
    }
  }
  abort();
  co_return false;
}

SessionSnapshot Session::snapshot() const {
  SessionSnapshot s;
  s.client = record_.client;
  s.virtual_server = record_.virtual_server;
  s.bytes_from_client = bytes_from_client_;
  s.bytes_to_client = bytes_to_client_;
  s.state = "LISTEN";
  Duration patience_now = options().timeouts.listen;
  if (link_) {
    s.server = link_->server().endpoint();
    s.state = "SYN-SENT";
    patience_now = options().timeouts.synsent;
  }
  if (server_.is_open()) {
    s.local = server_.connection().tuple().local;
    s.state = half_closed_ ? "CLOSE-WAIT" : "ESTABLISHED";
    patience_now = patience();
  }
  s.expires = std::max(Duration::zero(), moved_at_ + patience_now - now());
  return s;
}

}  // namespace fairlead::l7
