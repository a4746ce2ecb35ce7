#include "sim/teardown_world.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/check.h"
#include "host/segment.h"
#include "nic/teardown/teardown.h"
#include "sim/frame_cutter.h"
#include "sim/host.h"
#include "sim/link.h"
#include "sim/simulator.h"

namespace fairlead::sim {
namespace {

using namespace wire::tcp_flag;

constexpr uint16_t kPort = 80;
constexpr uint32_t kRequest = 64;
constexpr uint16_t kMss = 1448;
constexpr uint8_t kShift = 4;
constexpr uint32_t kReceiveWindow = 65535u << kShift;
constexpr SipKey kIsnKey{7, 8};

uint8_t byte_at(uint64_t key, uint64_t offset) {
  return static_cast<uint8_t>((key * 31 + offset) * 0x9e3779b97f4a7c15ull >> 56);
}

/// What a client does about its own direction.
enum class Manner : uint8_t {
  kReadsThenCloses,  // passive close
  kClosesFirst,      // its FIN follows the request: the server's is the last
  kClosesMeanwhile,  // at a random time: perhaps both at once
  kSendsMore,        // after the server has closed: is reset
  kResets,
};

class Client {
 public:
  Client(Simulator& simulator, SimHost& host, host::Connection& connection, Manner manner,
         uint32_t answer, Rng rng)
      : simulator_(simulator),
        host_(host),
        connection_(&connection),
        manner_(manner),
        answer_(answer),
        key_(connection.tuple().local.port),
        acts_at_(simulator.now() + milliseconds(static_cast<int64_t>(rng.below(500)))) {
    simulator.at(acts_at_, [&host] { host.turn(); });
  }

  uint64_t key() const { return key_; }
  uint32_t answer() const { return answer_; }
  Manner manner() const { return manner_; }
  uint32_t received() const { return received_; }
  Errc error() const { return error_; }
  bool finished() const { return connection_ == nullptr; }
  bool whole() const { return ended_ && received_ == answer_; }
  const std::string& failure() const { return failure_; }

  void step() {
    if (connection_ == nullptr) return;
    write();
    read();
    if (connection_->state() == host::State::kClosed) error_ = connection_->error();
    const bool over = connection_->state() == host::State::kClosed || (ended_ && asked_);
    if (!over) return;
    host_.stack().release(std::exchange(connection_, nullptr));
  }
  void abandon() {
    if (connection_ != nullptr) host_.stack().release(std::exchange(connection_, nullptr));
  }

 private:
  void write() {
    if (!connection_->is_established()) return;
    constexpr std::array<uint8_t, kRequest> kBytes{};
    if (!asked_ && connection_->writable() >= kRequest) {
      asked_ = connection_->write(kBytes) == kRequest;
      if (manner_ == Manner::kClosesFirst) connection_->shutdown_write();
    }
    if (!asked_ || acted_ || simulator_.now() < acts_at_) return;
    acted_ = true;
    if (manner_ == Manner::kClosesMeanwhile) connection_->shutdown_write();
    if (manner_ == Manner::kSendsMore) connection_->write(kBytes);
    if (manner_ == Manner::kResets) connection_->abort();
  }
  void read() {
    while (connection_->readable() > 0) {
      const ByteSpan bytes = connection_->peek();
      for (const uint8_t byte : bytes) {
        if (received_ >= answer_ || byte != byte_at(key_, received_)) {
          failure_ = fmt::format("client {}: wrong byte at {} of {}", key_, received_, answer_);
        }
        ++received_;
      }
      connection_->consume(bytes.size());
    }
    ended_ = ended_ || connection_->end_of_stream();
  }

  Simulator& simulator_;
  SimHost& host_;
  host::Connection* connection_;
  Manner manner_;
  uint32_t answer_;
  uint64_t key_;
  Time acts_at_;
  uint32_t received_ = 0;
  bool asked_ = false;
  bool acted_ = false;
  bool ended_ = false;
  Errc error_ = Errc::kOk;
  std::string failure_;
};

/// Shakes hands, reads a request, hands over. It has no timers: the client repeats what is lost.
class Server final : nic::TeardownObserver {
 public:
  struct Opening {
    SeqNum iss;
    SeqNum rcv_nxt;
    uint32_t ts_recent = 0;
    uint32_t send_window = 0;
    uint32_t asked = 0;
    uint8_t peer_shift = 0;
    bool timestamps = false;
    bool peer_closed = false;
  };

  Server(Simulator& simulator, const nic::Teardown::Options& options)
      : simulator_(simulator),
        rng_(simulator.fork_rng()),
        teardown_(options, SipKey{rng_.next(), rng_.next()}, this, simulator.now()) {}

  void attach(std::function<void(Link::Frame)> out) { out_ = std::move(out); }
  void expect(uint16_t client_port, uint32_t answer) { answers_[client_port] = answer; }
  nic::Teardown& teardown() { return teardown_; }
  const std::map<FourTuple, std::vector<nic::TeardownReport>>& reports() const { return reports_; }
  uint64_t taken() const { return taken_; }

  void receive(const Link::Frame& frame) {
    port::RxPacket packet;
    packet.frame = frame;
    host::Segment segment;
    ByteSpan icmp;
    if (host::parse_frame(packet, segment, icmp, counters_) != host::FrameKind::kTcp) return;
    nic::TeardownSegment s;
    s.tuple = segment.tuple;
    s.seq = segment.seq;
    s.ack = segment.ack;
    s.window = segment.window;
    s.flags = segment.flags;
    s.payload = static_cast<uint32_t>(segment.payload.size());
    s.timestamps = segment.options.timestamps;
    s.to_listener = true;
    if (teardown_.on_segment(s, simulator_.now()).outcome != nic::Teardown::Outcome::kTaken) {
      on_host_segment(segment);
    }
    turn();
  }

 private:
  void on_teardown_end(const nic::TeardownReport& report) override {
    reports_[report.tuple].push_back(report);
  }

  void on_host_segment(const host::Segment& segment) {
    if (segment.rst()) return void(openings_.erase(segment.tuple));
    if (segment.syn()) return on_syn(segment);
    auto found = openings_.find(segment.tuple);
    if (found == openings_.end()) return reset(segment);
    Opening& opening = found->second;
    opening.send_window = uint32_t{segment.window} << opening.peer_shift;
    if (segment.options.timestamps) opening.ts_recent = segment.options.timestamps->value;
    if (segment.length() == 0) return;
    if (segment.seq == opening.rcv_nxt && opening.asked < kRequest) {
      opening.asked += static_cast<uint32_t>(segment.payload.size());
      opening.rcv_nxt = segment.end();
      opening.peer_closed = segment.fin();
    }
    if (opening.asked >= kRequest) return hand_over(segment, opening);
    answer(segment, opening, kAck, opening.iss + 1);
  }
  void on_syn(const host::Segment& syn) {
    Opening& opening = openings_[syn.tuple];
    opening.iss = SeqNum(static_cast<uint32_t>(siphash13(kIsnKey, syn.tuple.remote.port)));
    opening.rcv_nxt = syn.seq + 1;
    opening.timestamps = syn.options.timestamps.has_value();
    opening.ts_recent = opening.timestamps ? syn.options.timestamps->value : 0;
    opening.peer_shift = syn.options.window_scale.value_or(0);
    answer(syn, opening, kSyn | kAck, opening.iss);
  }
  void hand_over(const host::Segment& segment, const Opening& opening) {
    std::vector<uint8_t> bytes(answers_.at(segment.tuple.remote.port));
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = byte_at(segment.tuple.remote.port, i);
    const std::array data{ByteSpan(bytes)};
    std::optional<wire::Timestamps> timestamps;
    if (opening.timestamps) timestamps = wire::Timestamps{clock(), opening.ts_recent};
    const nic::Handover handover{.tuple = segment.tuple,
                                 .local_mac = segment.local_mac,
                                 .next_hop = segment.source_mac,
                                 .peer_closed = opening.peer_closed,
                                 .mss = kMss,
                                 .window = 65535,
                                 .receive_window = kReceiveWindow,
                                 .send_window = opening.send_window,
                                 .rto = milliseconds(static_cast<int64_t>(200 + rng_.below(800))),
                                 .snd_una = opening.iss + 1,
                                 .snd_nxt = opening.iss + 1,
                                 .rcv_nxt = opening.rcv_nxt,
                                 .timestamps = timestamps,
                                 .data = data};
    // Refused: the client asks again, and there may be room then.
    if (teardown_.take(handover, simulator_.now()).has_value()) {
      ++taken_;
      openings_.erase(segment.tuple);
    } else {
      Opening& again = openings_[segment.tuple];
      again.rcv_nxt = segment.seq;
      again.asked = 0;
      again.peer_closed = false;
    }
  }

  port::TcpPacketSpec answer_to(const host::Segment& segment, uint8_t flags, SeqNum seq) {
    port::TcpPacketSpec spec;
    spec.tuple = segment.tuple;
    spec.local_mac = segment.local_mac;
    spec.next_hop = segment.source_mac;
    spec.flags = flags;
    spec.seq = seq;
    return spec;
  }
  void answer(const host::Segment& segment, const Opening& opening, uint8_t flags, SeqNum seq) {
    port::TcpPacketSpec spec = answer_to(segment, flags, seq);
    spec.ack = opening.rcv_nxt;
    spec.window = 65535;
    if (opening.timestamps) spec.options.timestamps = wire::Timestamps{clock(), opening.ts_recent};
    if ((flags & kSyn) != 0) {
      spec.options.mss = 1460;
      if (opening.peer_shift != 0) spec.options.window_scale = kShift;
    }
    send(spec);
  }
  void reset(const host::Segment& segment) {
    send(answer_to(segment, kRst, segment.ack));  // RFC 9293 §3.10.7.1
  }
  void send(const port::TcpPacketSpec& spec) {
    port::TxPacket packet;
    packet.clear();
    port::build_tcp_packet(packet, spec);
    for (Link::Frame& frame : cut_frames(packet)) out_(std::move(frame));
  }
  uint32_t clock() const {
    return static_cast<uint32_t>(simulator_.now().time_since_epoch() / milliseconds(1)) + 5'000'000;
  }

  void turn() {
    const Time now = simulator_.now();
    teardown_.on_timer(now);
    for (bool more = true; more; burst_.clear()) {
      more = teardown_.transmit(burst_, now);
      for (const port::TxPacket& packet : burst_.packets()) {
        for (Link::Frame& frame : cut_frames(packet)) out_(std::move(frame));
      }
    }
    const std::optional<Time> next = teardown_.next_deadline();
    if (!next || (wake_at_ && *wake_at_ <= *next)) return;
    wake_at_ = std::max(*next, now + Duration(1));
    simulator_.at(*wake_at_, [this, when = *wake_at_] {
      if (wake_at_ != when) return;  // an earlier one took its place
      wake_at_.reset();
      turn();
    });
  }

  Simulator& simulator_;
  Rng rng_;
  nic::Teardown teardown_;
  host::Counters counters_;
  std::function<void(Link::Frame)> out_;
  std::map<FourTuple, Opening> openings_;
  std::map<uint16_t, uint32_t> answers_;  // bytes, by client port
  std::map<FourTuple, std::vector<nic::TeardownReport>> reports_;
  uint64_t taken_ = 0;
  std::optional<Time> wake_at_;
  port::PacketBurst burst_;
};

LinkOptions adverse_link(Rng& rng) {
  LinkOptions link;
  link.delay = microseconds(static_cast<int64_t>(50 + rng.below(rng.chance(0.5) ? 2000 : 60'000)));
  if (rng.chance(0.3)) link.jitter = Duration(1 + link.delay.count() / 4);
  if (rng.chance(0.7)) link.loss = rng.unit() * (rng.chance(0.3) ? 0.3 : 0.05);
  if (rng.chance(0.4)) link.reorder = rng.unit() * 0.3;
  link.reorder_delay = microseconds(static_cast<int64_t>(100 + rng.below(20'000)));
  if (rng.chance(0.4)) link.duplicate = rng.unit() * 0.2;
  if (rng.chance(0.3)) link.corrupt = rng.unit() * 0.03;
  return link;
}

class TeardownWorld {
 public:
  explicit TeardownWorld(uint64_t seed)
      : simulator_(seed),
        rng_(simulator_.fork_rng()),
        ipv6_(rng_.chance(0.4)),
        host_(simulator_, {.addresses = {address(1)}, .id = 1, .stack = {}}),
        server_(simulator_, options()),
        there_(simulator_, adverse_link(rng_), [this](auto f) { server_.receive(f); }),
        back_(simulator_, adverse_link(rng_), [this](auto f) { host_.receive(std::move(f)); }) {
    host_.attach([this](auto f) { there_.send(std::move(f)); });
    server_.attach([this](auto f) { back_.send(std::move(f)); });
    host_.set_application([this] {
      for (auto& client : clients_) client->step();
    });
  }

  TeardownWorldResult run() {
    const uint64_t connections = 1 + rng_.below(8);
    for (uint64_t i = 0; i < connections; ++i) {
      simulator_.at(simulator_.now() + milliseconds(static_cast<int64_t>(rng_.below(300))),
                    [this] { open(); });
    }
    // Beyond the longest: handshake, eight doublings of the timeout, both TIME-WAITs.
    const Time limit = simulator_.now() + minutes(30);
    while (simulator_.now() < limit && !simulator_.idle()) {
      simulator_.run(simulator_.now() + seconds(5));
    }
    TeardownWorldResult result;
    result.hash = simulator_.hash();
    result.counters = server_.teardown().counters();
    result.connections = connections;
    result.taken = server_.taken();
    judge(result);
    for (auto& client : clients_) client->abandon();
    return result;
  }

 private:
  IpAddress address(uint32_t last) const {
    if (!ipv6_) return IpAddress::v4(0xc6120000u + last);
    std::array<uint8_t, 16> bytes{0x20, 0x01, 0x0d, 0xb8};
    bytes[15] = static_cast<uint8_t>(last);
    return IpAddress::v6(bytes);
  }
  nic::Teardown::Options options() {
    // Sometimes too few for all of them.
    return {.max_flows = static_cast<uint32_t>(rng_.chance(0.2) ? 1 + rng_.below(4) : 64),
            .max_held_bytes = rng_.chance(0.1) ? size_t{64} << 10 : size_t{1} << 20};
  }
  void open() {
    host::SocketOptions socket;
    // A client whose server gave up must find out: there is nothing it wants to send.
    socket.keepalive = true;
    socket.keepalive_idle = seconds(60);
    socket.keepalive_interval = seconds(10);
    std::optional<host::Offer> offer;
    if (rng_.chance(0.3)) {
      offer =
          host::Offer{.timestamps = rng_.chance(0.5), .sack = rng_.chance(0.5), .mss_max = 1460};
    }
    auto connection = host_.stack().connect({.remote = {address(2), kPort},
                                             .source = {},
                                             .local_port = {},
                                             .socket = socket,
                                             .offer = offer},
                                            simulator_.now());
    CHECK(connection.has_value());
    const auto answer = static_cast<uint32_t>(rng_.below(rng_.chance(0.5) ? 200 : 40'000));
    const auto manner = static_cast<Manner>(rng_.chance(0.8) ? rng_.below(3) : 3 + rng_.below(2));
    server_.expect((*connection)->tuple().local.port, answer);
    clients_.push_back(
        std::make_unique<Client>(simulator_, host_, **connection, manner, answer, rng_.fork()));
    host_.turn();
  }

  void judge(TeardownWorldResult& result) {
    for (auto& client : clients_) {
      judge_client(*client, result);
      if (!result.failure.empty()) break;
    }
    const nic::Teardown& teardown = server_.teardown();
    if (result.failure.empty() &&
        (teardown.size() != 0 || teardown.held_bytes() != 0 || teardown.next_deadline())) {
      result.failure =
          fmt::format("left over: {} flows, {} bytes held, {}", teardown.size(),
                      teardown.held_bytes(), teardown.next_deadline() ? "a timer" : "no timer");
    }
    uint64_t reports = 0;
    for (const auto& [tuple, of_tuple] : server_.reports()) reports += of_tuple.size();
    if (result.failure.empty() && reports != result.taken) {
      result.failure = fmt::format("{} reports for {} hand-overs", reports, result.taken);
    }
    // Neither end was left waiting for the other, until a RST or a timeout set it free.
    const host::Counters& clients = host_.stack().counters();
    const uint64_t bereft = clients.connections_timed_out + clients.connections_reset_by_peer;
    const nic::TeardownCounters& c = result.counters;
    const bool orderly =
        result.taken == result.connections && c.time_wait_recycled == 0 && c.closed == result.taken;
    if (result.failure.empty() && orderly && bereft > 0) {
      result.failure = fmt::format("{} clients were not answered", bereft);
    }
    if (result.failure.empty()) return;
    teardown.counters().for_each([&](std::string_view name, uint64_t value) {
      if (value != 0) result.failure += fmt::format(" {}={}", name, value);
    });
  }
  void judge_client(const Client& client, TeardownWorldResult& result) {
    const nic::TeardownReport* report = nullptr;
    for (const auto& [tuple, of_tuple] : server_.reports()) {
      if (tuple.remote.port == client.key()) report = &of_tuple.back();
    }
    if (!client.failure().empty()) {
      result.failure = client.failure();
    } else if (!client.finished()) {
      result.failure = fmt::format("client {} has not finished", client.key());
    } else if (client.whole()) {
      ++result.delivered;
      result.bytes += client.received();
    } else if (client.error() == Errc::kOk) {
      result.failure = fmt::format("client {} ended without error after {} of {} bytes",
                                   client.key(), client.received(), client.answer());
    }
    // Acknowledged means read, unless the client threw it away.
    const bool reads = client.manner() != Manner::kResets && client.manner() != Manner::kSendsMore;
    if (result.failure.empty() && report != nullptr && reads &&
        report->end == nic::TeardownEnd::kClosed && !client.whole()) {
      result.failure = fmt::format("client {}: closed, but only {} of {} bytes arrived",
                                   client.key(), client.received(), client.answer());
    }
    if (result.failure.empty() && report != nullptr && report->acked > report->bytes) {
      result.failure = "more was acknowledged than there was";
    }
  }

  Simulator simulator_;
  Rng rng_;
  bool ipv6_;
  SimHost host_;
  Server server_;
  Link there_;
  Link back_;
  std::vector<std::unique_ptr<Client>> clients_;
};

}  // namespace

TeardownWorldResult run_teardown_world(uint64_t seed) { return TeardownWorld(seed).run(); }

}  // namespace fairlead::sim
