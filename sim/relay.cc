#include "sim/relay.h"

#include "base/check.h"

namespace fairlead::sim {

Relay::Relay(Simulator& simulator, SimHost& host, const Endpoint& local, const Endpoint& server,
             const host::SocketOptions& socket, bool splicing)
    : simulator_(simulator),
      host_(host),
      server_(server),
      socket_(socket),
      splicing_(splicing),
      rng_(simulator.fork_rng()) {
  host::ListenOptions listen;
  listen.socket = socket;
  if (splicing_) listen.socket.hold_first_acks = rng_.chance(0.5);
  auto listener = host_.stack().listen(local, listen);
  CHECK(listener.has_value());
  listener_ = *listener;
  host_.set_application([this] { step(); });
}

Relay::~Relay() {
  for (Pair& pair : pairs_) {
    host_.stack().release(pair.a);
    host_.stack().release(pair.b);
  }
}

void Relay::step() {
  accept();
  std::erase_if(pairs_, [this](Pair& pair) { return step_pair(pair); });
}

void Relay::accept() {
  while (host::Connection* a = listener_->accept()) {
    // The client's port, so that the server can tell whose connection this is.
    host::Stack::ConnectOptions connection{
        .remote = server_, .source = {}, .local_port = a->tuple().remote.port, .socket = socket_};
    if (splicing_) {
      connection.offer = a->peer_offer();
      if (rng_.chance(0.5)) connection.offer->isn = a->peer_isn();
    }
    auto b = host_.stack().connect(connection, simulator_.now());
    if (b) {
      Pair& pair = pairs_.emplace_back(Pair{.a = a, .b = *b});
      if (splicing_) {
        pair.splice_at = simulator_.now() + milliseconds(rng_.chance(0.5) ? 0 : rng_.below(2000));
        pair.splice_after = rng_.chance(0.3) ? 0 : rng_.below(rng_.chance(0.5) ? 3000 : 300'000);
      }
    } else {
      a->abort();
      host_.stack().release(a);
    }
  }
}

bool Relay::over(const host::Connection& c) {
  return c.state() == host::State::kClosed || c.state() == host::State::kTimeWait;
}

size_t Relay::pass(host::Connection& from, host::Connection& to, bool& ended) {
  if (!to.is_established()) return 0;
  const size_t moved = from.forward(to);
  if (from.end_of_stream() && !ended) {
    ended = true;
    to.shutdown_write();
  }
  return moved;
}

bool Relay::splice(Pair& pair) {
  if (simulator_.now() < pair.splice_at || pair.relayed < pair.splice_after) return false;
  if (!pair.a->is_established() || !pair.b->is_established()) return false;
  pair.splice_at = Time::max();
  nic::SpliceOptions options;
  options.observer = this;
  options.idle_timeout = options.half_closed_timeout = minutes(30);
  if (!host_.stack().splice(pair.a, pair.b, options)) {
    ++splices_.refused;
    return false;
  }
  ++splices_.begun;
  return true;
}

void Relay::on_splice_end(const nic::SpliceReport& report) {
  ++splices_.ended;
  if (report.end == nic::SpliceEnd::kIdle) ++splices_.idle;
}

bool Relay::step_pair(Pair& pair) {
  if (splice(pair)) return true;
  pair.relayed += pass(*pair.a, *pair.b, pair.a_ended);
  pair.relayed += pass(*pair.b, *pair.a, pair.b_ended);
  const bool failed = pair.a->error() != Errc::kOk || pair.b->error() != Errc::kOk;
  if (!failed && !(over(*pair.a) && over(*pair.b))) return false;
  for (host::Connection* c : {pair.a, pair.b}) {
    if (failed && !over(*c)) c->abort();
    host_.stack().release(c);
  }
  return true;
}

}  // namespace fairlead::sim
