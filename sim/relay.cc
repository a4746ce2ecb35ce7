#include "sim/relay.h"

#include "base/check.h"

namespace fairlead::sim {

Relay::Relay(Simulator& simulator, SimHost& host, const Endpoint& local, const Endpoint& server,
             const host::SocketOptions& socket)
    : simulator_(simulator), host_(host), server_(server), socket_(socket) {
  host::ListenOptions listen;
  listen.socket = socket;
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
    auto b = host_.stack().connect(
        {.remote = server_, .source = {}, .local_port = a->tuple().remote.port, .socket = socket_},
        simulator_.now());
    if (b) {
      pairs_.push_back({.a = a, .b = *b});
    } else {
      a->abort();
      host_.stack().release(a);
    }
  }
}

bool Relay::over(const host::Connection& c) {
  return c.state() == host::State::kClosed || c.state() == host::State::kTimeWait;
}

void Relay::pass(host::Connection& from, host::Connection& to, bool& ended) {
  if (!to.is_established()) return;
  from.forward(to);
  if (from.end_of_stream() && !ended) {
    ended = true;
    to.shutdown_write();
  }
}

bool Relay::step_pair(Pair& pair) {
  pass(*pair.a, *pair.b, pair.a_ended);
  pass(*pair.b, *pair.a, pair.b_ended);
  const bool failed = pair.a->error() != Errc::kOk || pair.b->error() != Errc::kOk;
  if (!failed && !(over(*pair.a) && over(*pair.b))) return false;
  for (host::Connection* c : {pair.a, pair.b}) {
    if (failed && !over(*c)) c->abort();
    host_.stack().release(c);
  }
  return true;
}

}  // namespace fairlead::sim
