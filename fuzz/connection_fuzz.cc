// A live connection: the input is a script, two octets of setup and then operations, for a host
// stack whose peer, application, clock and path are all played by it.
//
//      script ── segments, raw bytes, ICMP errors ──▶ Stack ◀── write, read, shutdown, close, abort
//             ◀── decoded, every one is judged ──────   ▲
//                                                       └── time
//
// Numbers in the script are relative to what the stack has said last, so that a few octets reach
// deep into a connection's life. What must hold, whatever the script:
//
//   * every packet sent is well-formed; what is sent in one turn of the loop is bounded
//   * acknowledgements never move back, and never beyond what was sent; the window's right edge
//     never moves back by as much as a step of the window field
//   * no data beyond the largest window ever offered
//   * the application reads the peer's stream in order, and no more than was sent; what it does not
//     read is bounded
//   * the clock's next deadline moves on: the loop turns a bounded number of times per operation
//   * after the end and some minutes nothing is left: connections, buffers, scoreboards, TIME-WAIT
//
// fuzz/make_connection_corpus writes the seeds, by the names of the operations.
#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fuzz/input.h"
#include "host/stack.h"
#include "sim/host.h"
#include "sim/icmp_frame.h"
#include "sim/seg.h"
#include "sim/simulator.h"

namespace fairlead::sim {
namespace {

using namespace wire::tcp_flag;

constexpr size_t kMaxSegmentsPerTurn = 2048;  // send_buffer_max in segments of the smallest MSS
constexpr uint64_t kMaxTurnsPerWait = 20'000;
constexpr Duration kAfterlife = minutes(30);  // longer than every timeout below together
constexpr uint32_t kReceiveBuffer = 256 * 1024;
constexpr size_t kMaxUnread = 2 * kReceiveBuffer + (1 << 14);  // a step of the window field more
constexpr uint32_t kPeerIsn = 0xffff'f000;

/// The input, octet by octet; zeros after its end.
class Script {
 public:
  Script(const uint8_t* data, size_t size) : rest_(data, size) {}
  bool done() const { return rest_.empty(); }
  uint8_t u8() {
    if (rest_.empty()) return 0;
    uint8_t value = rest_[0];
    rest_ = rest_.subspan(1);
    return value;
  }
  uint16_t u16() {
    uint8_t high = u8();
    return static_cast<uint16_t>(high << 8 | u8());
  }
  /// A signed distance: 6 bits of number, 2 bits of unit.
  uint32_t distance() {
    constexpr std::array<int32_t, 4> kUnits{1, 100, 1448, 1 << 24};
    uint8_t value = u8();
    return static_cast<uint32_t>(((value & 63) - 32) * kUnits[value >> 6]);
  }
  std::vector<uint8_t> bytes(size_t n) {
    n = std::min(n, rest_.size());
    std::vector<uint8_t> taken(rest_.begin(), rest_.begin() + static_cast<ptrdiff_t>(n));
    rest_ = rest_.subspan(n);
    return taken;
  }

 private:
  ByteSpan rest_;
};

struct Setup {
  explicit Setup(Script& script) : bits(script.u16()) {}
  bool active() const { return has(0); }
  bool ipv6() const { return has(1); }
  bool sack() const { return has(2); }
  bool timestamps() const { return has(3); }
  bool window_scale() const { return has(4); }
  bool ecn() const { return has(5); }
  bool segmentation_offload() const { return has(6); }
  bool few_buffers() const { return has(7); }
  bool new_reno() const { return has(8); }
  bool keepalive() const { return has(9); }
  bool nodelay() const { return has(10); }
  bool no_handshake() const { return has(11); }  // the script plays it, or something else
  uint16_t mss() const { return has(12) ? 100 : 1460; }
  bool coarse_window() const { return has(13); }  // active: the largest window shift is offered

  uint16_t bits;

 private:
  bool has(unsigned bit) const { return (bits >> bit & 1) != 0; }
};

class World {
 public:
  explicit World(const Setup& setup) : setup_(setup), host_(simulator_, host_options(setup)) {
    host_.attach([this](const Link::Frame& frame) { on_sent(frame); });
    host::ListenOptions options;
    options.backlog = 2;
    options.syn_queue = 4;
    options.socket = socket_options();
    listener_ = *stack().listen(context().destination, options);
    if (setup.active()) connect();
    if (!setup.no_handshake()) handshake();
  }
  ~World() { end(); }

  void step(Script& script);

 private:
  static IpAddress address(bool ipv6, uint8_t id) {
    if (!ipv6) return IpAddress::v4(0xc0000200u + id);
    std::array<uint8_t, 16> bytes{0x20, 0x01, 0x0d, 0xb8};
    bytes[15] = id;
    return IpAddress::v6(bytes);
  }
  static SimHostOptions host_options(const Setup& setup) {
    SimHostOptions o;
    o.addresses = {address(setup.ipv6(), 1)};
    o.segmentation_offload = setup.segmentation_offload();
    o.stack.max_connections = 16;
    o.stack.max_buffer_bytes = setup.few_buffers() ? 4 * 4096 : 1 << 20;
    return o;
  }
  host::SocketOptions socket_options() const {
    host::SocketOptions o;
    o.nodelay = setup_.nodelay();
    o.keepalive = setup_.keepalive();
    o.ecn = setup_.ecn();
    if (setup_.new_reno()) o.congestion = host::CongestionAlgorithm::kNewReno;
    o.keepalive_idle = seconds(30);
    o.keepalive_interval = seconds(5);
    o.keepalive_probes = 3;
    o.user_timeout = minutes(2);
    o.last_ack_timeout = seconds(30);
    o.reset_rest = seconds(10);
    o.connect_timeout = seconds(60);
    o.send_buffer_min = 16 * 1024;
    o.send_buffer_max = 64 * 1024;
    o.receive_buffer_min = 16 * 1024;
    o.receive_buffer_max = kReceiveBuffer;
    return o;
  }
  std::optional<host::Offer> offer() const {
    if (!setup_.coarse_window()) return std::nullopt;
    return host::Offer{.ecn = setup_.ecn(), .window_shift = 14};
  }
  SegContext context() const {
    SegContext c;
    c.source = {address(setup_.ipv6(), 2), 5000};
    c.destination = {address(setup_.ipv6(), 1), 80};
    c.source_mac = MacAddress{{2, 0, 0, 0, 0, 0xff}};
    c.destination_mac = MacAddress{{2, 0, 0, 0, 0, 1}};
    c.source_isn = kPeerIsn;
    c.destination_isn = stack_isn_;
    return c;
  }
  host::Stack& stack() { return host_.stack(); }

  void handshake();
  void connect();
  void add_syn_options(Seg& s) const;
  void deliver(Seg s);
  void deliver_frame(Link::Frame frame);
  void flush();
  void turn();
  void wait(Duration duration);
  void on_sent(const Link::Frame& frame);
  void judge(const Seg& s);

  void any_segment(Script& script);
  void icmp_error(Script& script);
  void local_write(size_t n);
  void local_read(size_t n);
  void local_toggle(uint8_t what);
  void take_or_drop_connection(uint8_t what);
  void end();

  Setup setup_;
  Simulator simulator_{1};
  SimHost host_;
  host::Listener* listener_ = nullptr;
  host::Connection* connection_ = nullptr;
  std::vector<Link::Frame> burst_;  // held back until burst_size_ are there
  size_t burst_size_ = 1;
  size_t sent_in_turn_ = 0;
  std::optional<Seg> last_sent_;

  // What the stack said, and was told, about the present incarnation. Relative numbers.
  uint32_t stack_isn_ = 0;
  uint32_t heard_ack_ = 0;
  uint32_t heard_end_ = 0;  // highest sequence number it has used, plus one
  uint32_t heard_edge_ = 0;
  uint32_t said_end_ = 0;   // highest sequence number sent to it, plus one
  uint32_t said_edge_ = 0;  // largest right edge it was offered
  uint32_t last_ts_value_ = 0;
  uint8_t stack_shift_ = 0;
  bool ack_heard_ = false;

  uint64_t bytes_delivered_ = 0;  // payload given to the stack, repetitions included
  uint64_t bytes_read_ = 0;
  std::optional<uint8_t> next_byte_;
};

bool after(uint32_t a, uint32_t b) { return static_cast<int32_t>(a - b) > 0; }

// ---- the wire ----

void World::on_sent(const Link::Frame& frame) {
  CHECK(++sent_in_turn_ <= kMaxSegmentsPerTurn);
  SegContext c = context();
  std::swap(c.source, c.destination);
  std::swap(c.source_isn, c.destination_isn);
  std::string why;
  std::optional<Seg> s = Seg::decode(frame, c, why);
  CHECK(s.has_value());
  if (*s->get_destination_port() != context().source.port) return;  // answers a stranger
  if (s->has(kSyn) && *s->get_seq() != 0) {                         // a new incarnation
    stack_isn_ += *s->get_seq();
    s->seq(0);
    heard_end_ = said_edge_ = 0;
    ack_heard_ = false;
  }
  if (s->has(kSyn)) {  // RFC 7323 §2.2: scaled when both ends said so
    stack_shift_ = setup_.window_scale() ? s->get_options().window_scale.value_or(0) : 0;
  }
  if (s->get_options().timestamps) last_ts_value_ = s->get_options().timestamps->value;
  judge(*s);
  last_sent_ = *s;
}

void World::judge(const Seg& s) {
  if (s.has(kRst)) return;  // takes its numbers from what it answers
  uint32_t end = *s.get_seq() + s.length();
  if (after(end, heard_end_)) heard_end_ = end;
  if (s.size() > 0 && !s.has(kSyn))
    CHECK(!after(*s.get_seq() + static_cast<uint32_t>(s.size()), said_edge_));
  if (!s.has(kAck)) return;
  uint32_t ack = *s.get_ack();
  CHECK(!after(ack, said_end_));
  uint32_t edge = ack + (uint32_t{*s.get_window()} << (s.has(kSyn) ? 0 : stack_shift_));
  bool alive = connection_ != nullptr && connection_->is_established() &&
               connection_->state() < host::State::kTimeWait;
  if (ack_heard_ && alive) {
    CHECK(!after(heard_ack_, ack));
    CHECK(!after(heard_edge_, edge + (1u << stack_shift_) - 1));  // RFC 7323 §2.4
  }
  ack_heard_ = alive;
  heard_ack_ = ack;
  heard_edge_ = edge;
}

void World::deliver(Seg s) {
  // Each octet of the peer's stream is the low end of its sequence number.
  std::string bytes(s.size(), '\0');
  uint32_t at = *s.get_seq() + (s.has(kSyn) ? 1 : 0);
  for (char& byte : bytes) byte = static_cast<char>(at++);
  s.payload(std::move(bytes));
  uint32_t end = *s.get_seq() + s.length();
  if (after(end, said_end_)) said_end_ = end;
  if (s.has(kAck)) {
    uint32_t edge = *s.get_ack() + (uint32_t{*s.get_window()} << 14);
    if (after(edge, said_edge_)) said_edge_ = edge;
  }
  bytes_delivered_ += s.size();
  deliver_frame(s.encode(context()));
}

void World::deliver_frame(Link::Frame frame) {
  burst_.push_back(std::move(frame));
  if (burst_.size() >= burst_size_) flush();
}

void World::flush() {
  sent_in_turn_ = 0;
  burst_size_ = 1;
  host_.receive_burst(burst_);
  burst_.clear();
  CHECK(connection_ == nullptr || connection_->readable() <= kMaxUnread);
}

void World::turn() {
  sent_in_turn_ = 0;
  host_.turn();
}

void World::wait(Duration duration) {
  flush();
  Time until = simulator_.now() + duration;
  uint64_t turns = 0;
  for (sent_in_turn_ = 0; simulator_.step(until); sent_in_turn_ = 0) {
    CHECK(++turns <= kMaxTurnsPerWait);
  }
  simulator_.run(until);
}

// ---- the peer ----

void World::add_syn_options(Seg& s) const {
  s.mss(setup_.mss());
  if (setup_.sack()) s.sack_ok();
  if (setup_.window_scale()) s.wscale(7);
  if (setup_.timestamps()) s.ts(1000, last_ts_value_);
}

void World::handshake() {
  Seg syn = seg().syn().seq(0).win(65535);
  add_syn_options(syn);
  if (setup_.active()) {
    syn.ack(1);
    if (setup_.ecn()) syn.ece();
  } else if (setup_.ecn()) {
    syn.ece().cwr();
  }
  deliver(syn);
  if (setup_.active()) return;
  Seg ack = seg().seq(1).ack(1).win(65535);
  if (setup_.timestamps()) ack.ts(1001, last_ts_value_);
  deliver(ack);
  connection_ = listener_->accept();
  CHECK(connection_ != nullptr);
}

void World::any_segment(Script& script) {
  uint8_t flags = script.u8();
  uint32_t seq = heard_ack_ + script.distance();
  uint32_t ack = heard_end_ + script.distance();
  uint16_t window = script.u16();
  uint8_t shape = script.u8();
  Seg s = seg().seq(seq).win(window).data(shape < 64 ? 0 : size_t{shape} * 8u);
  if ((flags & kAck) != 0) s.ack(ack);
  s.flags(flags);
  if ((flags & kSyn) != 0) add_syn_options(s);
  if ((flags & kUrg) != 0) s.urg(static_cast<uint16_t>(shape));
  uint8_t options = script.u8();
  if ((options & 1) != 0) s.ts(1000 + script.distance(), last_ts_value_ + script.distance());
  if ((options & 2) != 0) {
    uint32_t left = ack + script.distance();
    uint32_t right = left + script.distance();
    uint32_t second = right + script.distance();
    s.sack({{left, right}, {second, second + script.distance()}});
  }
  // Not on a SYN: what it offers is part of the setup.
  if ((options & 4) != 0 && (flags & kSyn) == 0) s.raw_options(script.bytes(script.u8() % 41));
  if ((options & 8) != 0) s.ce();
  if ((options & 16) != 0) s.from_port(static_cast<uint16_t>(5001 + script.u8() % 16));
  deliver(s);
}

void World::icmp_error(Script& script) {
  uint8_t kind = script.u8();
  IcmpError error;
  error.type = kind;
  error.code = script.u8();
  error.rest = script.u16();
  Seg quoted = last_sent_.value_or(seg().seq(0));
  quoted.seq(*quoted.get_seq() + script.distance());
  std::vector<uint8_t> quote = quote_of(quoted, context());
  uint8_t cut = script.u8();
  if (cut != 0) quote.resize(std::min<size_t>(quote.size(), cut));
  uint8_t flip = script.u8();
  if (flip != 0 && !quote.empty()) quote[flip % quote.size()] ^= 0xff;
  deliver_frame(icmp_frame(error, context(), quote));
}

// ---- the application ----

void World::connect() {
  SegContext c = context();
  auto connection = stack().connect({.remote = c.source,
                                     .source = c.destination.address,
                                     .local_port = c.destination.port,
                                     .socket = socket_options(),
                                     .offer = offer()},
                                    simulator_.now());
  if (connection) connection_ = *connection;
  next_byte_.reset();
  ack_heard_ = false;  // at the same time it has the same initial sequence number as the last one
  turn();
}

void World::local_write(size_t n) {
  if (connection_ == nullptr) return;
  std::vector<uint8_t> bytes(n, 'w');
  size_t room = connection_->writable();
  CHECK(connection_->write(bytes) <= std::min(n, room));
  turn();
}

void World::local_read(size_t n) {
  if (connection_ == nullptr) return;
  while (n > 0 && connection_->readable() > 0) {
    ByteSpan bytes = connection_->peek();
    CHECK(!bytes.empty());
    bytes = bytes.first(std::min(n, bytes.size()));
    for (uint8_t byte : bytes) {
      CHECK(!next_byte_ || byte == *next_byte_);
      next_byte_ = static_cast<uint8_t>(byte + 1);
    }
    n -= bytes.size();
    bytes_read_ += bytes.size();
    connection_->consume(bytes.size());
  }
  CHECK(bytes_read_ <= bytes_delivered_);
  turn();
}

void World::local_toggle(uint8_t what) {
  if (connection_ == nullptr) return;
  bool on = (what & 4) != 0;
  switch (what % 4) {
    case 0:
      connection_->set_cork(on);
      break;
    case 1:
      connection_->set_nodelay(on);
      break;
    case 2:
      connection_->set_keepalive(on);
      break;
    case 3:
      connection_->hold_acks(on);
      static_cast<void>(connection_->info());
      break;
  }
  turn();
}

void World::take_or_drop_connection(uint8_t what) {
  switch (what % 4) {
    case 0:  // the next one, in place of the one there is
    case 1:
      if (listener_ == nullptr) return;
      if (host::Connection* next = listener_->accept()) {
        if (connection_ != nullptr) stack().release(connection_);
        connection_ = next;
        next_byte_.reset();
        ack_heard_ = false;
      }
      break;
    case 2:
      if (connection_ == nullptr) connect();
      break;
    case 3:
      if (listener_ != nullptr) stack().close(std::exchange(listener_, nullptr));
      break;
  }
  turn();
}

void World::end() {
  flush();
  if (connection_ != nullptr) stack().release(std::exchange(connection_, nullptr));
  if (listener_ != nullptr) stack().close(std::exchange(listener_, nullptr));
  turn();
  wait(kAfterlife);
  CHECK(stack().connection_count() == 0);
  CHECK(stack().time_wait_count() == 0);
  CHECK(stack().buffer_bytes() == 0);
  CHECK(stack().sent_run_count() == 0);
}

void World::step(Script& script) {
  switch (script.u8() % 16) {
    case 0:
      return any_segment(script);
    case 1: {  // what a well-behaved peer sends next
      Seg s = seg().seq(heard_ack_).ack(heard_end_).win(65535).data(script.u16() % 1461);
      if (setup_.timestamps()) s.ts(1002, last_ts_value_);
      return deliver(s);
    }
    case 2: {  // its acknowledgement of all it has heard
      Seg s = seg().seq(heard_ack_).ack(heard_end_).win(script.u16());
      if (setup_.timestamps()) s.ts(1002, last_ts_value_);
      return deliver(s);
    }
    case 3: {
      Seg s = seg().fin().seq(heard_ack_).ack(heard_end_).win(65535).data(script.u8());
      if (setup_.timestamps()) s.ts(1002, last_ts_value_);
      return deliver(s);
    }
    case 4:
      return deliver_frame(script.bytes(script.u8()));
    case 5:  // several frames in one burst
      burst_size_ = 1 + script.u8() % 32;
      return;
    case 6:
      return local_write(script.u16());
    case 7:
      return local_read(script.u16());
    case 8:
      if (connection_ != nullptr) connection_->shutdown_write();
      return turn();
    case 9:
      if (connection_ != nullptr) stack().release(std::exchange(connection_, nullptr));
      return turn();
    case 10:
      if (connection_ != nullptr) connection_->abort();
      return turn();
    case 11:
      return wait(milliseconds(script.u8()));
    case 12:
      return wait(seconds(script.u8()));
    case 13:
      return icmp_error(script);
    case 14:
      return local_toggle(script.u8());
    case 15:
      return take_or_drop_connection(script.u8());
  }
}

}  // namespace
}  // namespace fairlead::sim

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fairlead::sim::Script script(data, size);
  const fairlead::sim::Setup setup(script);
  fairlead::sim::World world(setup);
  for (int steps = 0; !script.done() && steps < 200; ++steps) world.step(script);
  return 0;
}
