#include "sim/scripted_peer.h"

#include <fmt/format.h>

#include <algorithm>

namespace fairlead::sim {
namespace {

using namespace wire::tcp_flag;

constexpr uint8_t kStackId = 1;
constexpr uint8_t kPeerId = 2;
constexpr uint32_t kTsClockStart = 1000;

IpAddress address(bool ipv6, uint8_t id) {
  if (!ipv6) return IpAddress::v4(0xc0000200u + id);  // 192.0.2.0/24, RFC 5737
  std::array<uint8_t, 16> bytes{0x20, 0x01, 0x0d, 0xb8};
  bytes[15] = id;
  return IpAddress::v6(bytes);
}

SimHostOptions host_options(const ScriptedPeer::Options& options) {
  SimHostOptions o;
  o.addresses = {address(options.ipv6, kStackId)};
  o.id = kStackId;
  o.mtu = options.mtu;
  o.segmentation_offload = options.segmentation_offload;
  o.stack = options.stack;
  return o;
}

}  // namespace

ScriptedPeer::ScriptedPeer(const Options& options)
    : options_(options), simulator_(options.seed), host_(simulator_, host_options(options)) {
  host_.attach([this](const Link::Frame& frame) { on_frame(frame); });
}

ScriptedPeer::~ScriptedPeer() {
  if (connection_ != nullptr) stack().release(connection_);
}

SegContext ScriptedPeer::to_stack() const {
  SegContext c;
  c.source = {address(options_.ipv6, kPeerId), options_.peer_port};
  c.destination = {address(options_.ipv6, kStackId), options_.stack_port};
  c.source_mac = MacAddress{{2, 0, 0, 0, 0, 0xff}};
  c.destination_mac = MacAddress{{2, 0, 0, 0, 0, kStackId}};
  c.source_isn = options_.peer_isn;
  c.destination_isn = stack_isn_;
  return c;
}

uint32_t ScriptedPeer::ts_clock() const {
  auto ms = std::chrono::duration_cast<milliseconds>(simulator_.now().time_since_epoch()).count();
  return kTsClockStart + static_cast<uint32_t>(ms);
}

// ---- history ----

void ScriptedPeer::note(std::string line) {
  auto seconds_now = static_cast<double>(simulator_.now().time_since_epoch().count()) / 1e9;
  history_.push_back(fmt::format("{:12.6f} {}", seconds_now, line));
}

void ScriptedPeer::fail(const std::string& what) {
  std::string text = what;
  if (!failed_) {
    text += "\n---- history (> the stack sent, < it received) ----";
    for (const std::string& line : history_) text += "\n" + line;
    if (connection_ != nullptr) {
      text += fmt::format("\nstate {}, error {}", host::state_name(connection_->state()),
                          errc_name(connection_->error()));
    }
    stack().counters().for_each([&](std::string_view name, uint64_t value) {
      if (value != 0) text += fmt::format("\n  {} {}", name, value);
    });
  }
  failed_ = true;
  ADD_FAILURE() << text;
}

// ---- the wire ----

void ScriptedPeer::on_frame(const Link::Frame& frame) {
  SegContext context = to_stack();
  std::swap(context.source, context.destination);
  std::swap(context.source_isn, context.destination_isn);
  std::string why;
  if (!isn_known_) context.source_isn = 0;
  std::optional<Seg> s = Seg::decode(frame, context, why);
  if (!s) return fail("the stack sent a bad packet: " + why);
  if (s->has(kSyn)) {
    stack_isn_ += *s->get_seq();
    isn_known_ = true;
    s->seq(0);
  }
  if (s->get_options().timestamps) last_ts_value_ = s->get_options().timestamps->value;
  note("> " + s->to_string());
  sent_.push_back({simulator_.now(), *s});
}

void ScriptedPeer::complete(Seg& s) {
  if (!s.get_seq()) s.seq(0);
  if (s.has(kSyn)) timestamps_ = s.get_options().timestamps.has_value();
  if (s.has(kRst) || s.names_timestamps()) return;
  if (s.get_ts_value()) {
    s.ts(*s.get_ts_value(), last_ts_value_);
  } else if (timestamps_) {
    s.ts(ts_clock(), last_ts_value_);
  }
}

void ScriptedPeer::deliver(Seg s) { deliver_burst({std::move(s)}); }

void ScriptedPeer::deliver_burst(std::vector<Seg> segments) {
  std::vector<Link::Frame> frames;
  for (Seg& s : segments) {
    complete(s);
    note("< " + s.to_string());
    frames.push_back(s.encode(to_stack()));
  }
  host_.receive_burst(frames);
}

void ScriptedPeer::deliver_frame(std::vector<uint8_t> frame) {
  note(fmt::format("< {} bytes", frame.size()));
  host_.receive(std::move(frame));
}

Seg ScriptedPeer::expect(const Seg& s) {
  if (sent_.empty()) {
    fail("wanted " + s.to_string() + ", but the stack sent nothing");
    return {};
  }
  Seg actual = sent_.front().segment;
  sent_.pop_front();
  std::string why = s.mismatch(actual);
  if (!why.empty()) {
    fail("wanted " + s.to_string() + "\ngot    " + actual.to_string() + "\n(" + why + ")");
  }
  return actual;
}

void ScriptedPeer::expect_nothing() {
  if (!sent_.empty()) fail("wanted nothing, got " + sent_.front().segment.to_string());
  sent_.clear();
}

Seg ScriptedPeer::expect_after(Duration after, const Seg& s) {
  expect_nothing();
  Duration slack = TimerWheel::kTick + milliseconds(1);
  Time start = simulator_.now();
  while (sent_.empty() && simulator_.step(start + after + slack)) {
  }
  if (!sent_.empty() && simulator_.now() < start + after - slack) {
    fail(fmt::format("wanted {} after {} ms, got {} already", s.to_string(),
                     after / milliseconds(1), sent_.front().segment.to_string()));
  }
  return expect(s);
}

void ScriptedPeer::ignore_sent() { sent_.clear(); }

std::vector<std::string> ScriptedPeer::take_sent() {
  std::vector<std::string> lines;
  for (const Sent& sent : sent_) {
    lines.push_back(
        fmt::format("{} {}", sent.when.time_since_epoch().count(), sent.segment.to_string()));
  }
  sent_.clear();
  return lines;
}

void ScriptedPeer::tick(Duration duration) { simulator_.run(simulator_.now() + duration); }

// ---- the application ----

void ScriptedPeer::turn() { host_.turn(); }

void ScriptedPeer::call(std::string_view what, const std::function<void()>& action) {
  note(fmt::format("  {}", what));
  action();
  turn();
}

host::Listener& ScriptedPeer::listen() {
  host::ListenOptions options;
  options.socket = options_.socket;
  return listen(options);
}

host::Listener& ScriptedPeer::listen(const host::ListenOptions& options) {
  auto listener = stack().listen(to_stack().destination, options);
  CHECK(listener.has_value());
  listener_ = *listener;
  note("  listen()");
  turn();
  return *listener_;
}

host::Connection* ScriptedPeer::accept() {
  if (connection_ != nullptr) release();
  if (listener_ != nullptr) connection_ = listener_->accept();
  if (connection_ == nullptr) fail("accept() found no connection");
  note("  accept()");
  turn();
  return connection_;
}

host::Connection* ScriptedPeer::connect() {
  SegContext c = to_stack();
  host::Stack::ConnectOptions options{.remote = c.source,
                                      .source = c.destination.address,
                                      .local_port = c.destination.port,
                                      .socket = options_.socket,
                                      .offer = options_.offer};
  auto connection = stack().connect(options, simulator_.now());
  CHECK(connection.has_value());
  connection_ = *connection;
  note("  connect()");
  turn();
  return connection_;
}

size_t ScriptedPeer::write(size_t n) {
  std::string bytes = script_bytes(1 + written_, n);
  size_t taken = 0;
  call(fmt::format("write({})", n), [&] {
    taken = connection_->write({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
  });
  written_ += static_cast<uint32_t>(taken);
  return taken;
}

size_t ScriptedPeer::read(size_t n) {
  size_t done = 0;
  call(fmt::format("read({})", n), [&] {
    while (done < n && connection_->readable() > 0) {
      ByteSpan bytes = connection_->peek();
      bytes = bytes.first(std::min(bytes.size(), n - done));
      std::string expected = script_bytes(1 + read_, bytes.size());
      if (!std::equal(bytes.begin(), bytes.end(), expected.begin(),
                      [](uint8_t a, char b) { return a == static_cast<uint8_t>(b); })) {
        fail(fmt::format("read() gave wrong bytes after {}", read_));
      }
      read_ += static_cast<uint32_t>(bytes.size());
      done += bytes.size();
      connection_->consume(bytes.size());
    }
  });
  return done;
}

void ScriptedPeer::shutdown() {
  call("shutdown_write()", [&] { connection_->shutdown_write(); });
}

void ScriptedPeer::abort() {
  call("abort()", [&] { connection_->abort(); });
}

void ScriptedPeer::release() {
  call("release()", [&] { stack().release(std::exchange(connection_, nullptr)); });
}

void ScriptedPeer::expect_state(host::State state) {
  if (connection_ == nullptr) return fail("no connection to have a state");
  if (connection_->state() != state) {
    fail(fmt::format("wanted state {}, got {}", host::state_name(state),
                     host::state_name(connection_->state())));
  }
}

// ---- handshakes ----

namespace {

Seg peer_syn(const ScriptedPeer::Handshake& h, uint32_t clock) {
  Seg s = seg().syn().seq(0).win(h.win);
  if (h.mss) s.mss(*h.mss);
  if (h.wscale) s.wscale(*h.wscale);
  if (h.sack) s.sack_ok();
  if (h.timestamps) s.ts(clock, 0);
  return s;
}

}  // namespace

host::Connection* ScriptedPeer::establish_passive(const Handshake& h) {
  if (listener_ == nullptr) listen();
  Seg syn = peer_syn(h, ts_clock());
  if (h.ecn) syn.ece().cwr();
  deliver(syn);
  Seg answer = seg().syn().ack(1);
  if (h.ecn) answer.ece();
  expect(answer);
  deliver(seg().seq(1).ack(1).win(h.win));
  expect_nothing();
  return accept();
}

host::Connection* ScriptedPeer::establish_active(const Handshake& h) {
  connect();
  Seg syn = seg().syn();
  if (options_.offer ? options_.offer->ecn : options_.socket.ecn) syn.ece().cwr();
  Seg heard = expect(syn);
  Seg answer = peer_syn(h, ts_clock()).ack(1);
  if (h.timestamps) answer.ts(ts_clock(), last_ts_value_);
  if (h.ecn) answer.ece();
  deliver(answer);
  expect(seg().seq(1).ack(1));
  expect_nothing();
  return connection_;
}

}  // namespace fairlead::sim
