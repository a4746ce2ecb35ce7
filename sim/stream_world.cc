#include "sim/stream_world.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "sim/host.h"
#include "sim/relay.h"

namespace fairlead::sim {
namespace {

/// Bytes 8n to 8n + 7 of a stream, the first in the lowest bits.
uint64_t stream_word(uint64_t key, uint64_t n) {
  uint64_t z = (n + (key << 32) + 1) * 0x9e3779b97f4a7c15ull;
  return (z ^ (z >> 29)) * 0xbf58476d1ce4e5b9ull;
}

/// A stream's bytes from `at` on.
void write_stream(uint64_t key, uint64_t at, std::span<uint8_t> out) {
  for (size_t i = 0; i < out.size();) {
    const uint64_t word = stream_word(key, (at + i) / 8) >> (at + i) % 8 * 8;
    const size_t have = 8 - (at + i) % 8;
    const size_t n = std::min(have, out.size() - i);
    if (n == 8) {
      std::memcpy(&out[i], &word, 8);
    } else {
      for (size_t k = 0; k < n; ++k) out[i + k] = static_cast<uint8_t>(word >> k * 8);
    }
    i += n;
  }
}

/// Where `bytes`, from `at` on, are first not the stream's.
std::optional<size_t> first_wrong(uint64_t key, uint64_t at, ByteSpan bytes) {
  std::vector<uint8_t> expected(bytes.size());
  write_stream(key, at, expected);
  if (std::memcmp(bytes.data(), expected.data(), bytes.size()) == 0) return std::nullopt;
  const auto at_first = std::ranges::mismatch(bytes, expected).in1;
  return static_cast<size_t>(at_first - bytes.begin());
}

/// One end of one connection: writes its stream, reads and checks the other's.
class Peer final : public host::Observer {
 public:
  struct Plan {
    uint64_t key_out;
    uint64_t key_in;
    uint64_t send;
    uint64_t expect;
    bool close_early;     // FIN after the last byte, else only after the peer's FIN
    bool release_early;   // once all is written and read, whatever is unacknowledged
    bool shut_before;     // likewise: FIN first
    bool close_complete;  // FIN once all is sent and received
    Duration read_lag;    // pause between reads
  };

  Peer(Simulator& simulator, SimHost& host, host::Connection& connection, const Plan& plan, Rng rng)
      : simulator_(simulator), host_(host), connection_(&connection), plan_(plan), rng_(rng) {
    connection.set_observer(this);
  }
  ~Peer() {
    if (connection_ != nullptr) host_.stack().release(connection_);
  }

  void on_events(uint8_t) override {}

  void step() {
    if (connection_ == nullptr) return;
    host::Connection& c = *connection_;
    read(c);
    write(c);
    if (plan_.release_early && complete() && plan_.shut_before) c.shutdown_write();
    if (plan_.release_early && complete() && c.is_established() && failure_.empty()) {
      error_ = c.error();
      host_.stack().release(connection_);
      connection_ = nullptr;
      return;
    }
    bool over = c.state() == host::State::kClosed || c.state() == host::State::kTimeWait;
    bool drained = c.readable() == 0;
    if (over && (drained || c.error() != Errc::kOk)) {
      error_ = c.error();
      host_.stack().release(connection_);
      connection_ = nullptr;
    }
  }

  bool finished() const { return connection_ == nullptr; }
  Errc error() const { return error_; }
  const std::string& failure() const { return failure_; }
  uint64_t received() const { return received_; }
  bool complete() const { return received_ == plan_.expect && sent_ == plan_.send; }
  std::string describe() const {
    std::string queues;
    if (connection_ != nullptr) {
      host::ConnectionInfo i = connection_->info();
      queues = fmt::format(
          ", rto {} ms cwnd {} ssthresh {} in flight {} queued {} snd.wnd {} rcv.wnd {} mss {}",
          i.rto / milliseconds(1), i.cwnd, i.ssthresh, i.in_flight, i.send_queue, i.send_window,
          i.receive_window, i.mss);
    }
    return queues.insert(
        0, fmt::format("sent {}/{} received {}/{} state {} error {}", sent_, plan_.send, received_,
                       plan_.expect, connection_ ? host::state_name(connection_->state()) : "gone",
                       errc_name(error_)));
  }

 private:
  void read(host::Connection& c) {
    if (simulator_.now() < next_read_) return;
    bool read_some = false;
    while (c.readable() > 0) {
      ByteSpan bytes = c.peek();
      size_t n = plan_.read_lag > Duration::zero() ? 1 + rng_.below(bytes.size()) : bytes.size();
      const auto wrong = first_wrong(plan_.key_in, received_, bytes.first(n));
      if (wrong && failure_.empty()) {
        failure_ = fmt::format("byte {} of the stream is wrong", received_ + *wrong);
      }
      received_ += n;
      c.consume(n);
      read_some = true;
      if (plan_.read_lag > Duration::zero()) break;
    }
    if (received_ > plan_.expect && failure_.empty()) failure_ = "more bytes than were sent";
    if (c.end_of_stream() && !saw_end_) {
      saw_end_ = true;
      if (received_ != plan_.expect && failure_.empty()) {
        failure_ = fmt::format("end of stream after {} of {} bytes", received_, plan_.expect);
      }
    }
    if (read_some && plan_.read_lag > Duration::zero()) {
      next_read_ = simulator_.now() + plan_.read_lag;
      simulator_.at(next_read_, [this, alive = std::weak_ptr<int>(alive_)] {
        if (!alive.expired()) host_.turn();
      });
    }
  }

  void write(host::Connection& c) {
    std::array<uint8_t, 8192> buffer;
    while (sent_ < plan_.send && c.writable() > 0) {
      auto want = std::min<uint64_t>(1 + rng_.below(buffer.size()), plan_.send - sent_);
      write_stream(plan_.key_out, sent_, std::span(buffer).first(want));
      size_t n = c.write(ByteSpan(buffer).first(want));
      sent_ += n;
      if (n < want) break;
    }
    if (sent_ == plan_.send && !shut_ && !plan_.release_early && c.is_established() &&
        (plan_.close_complete ? complete() : plan_.close_early || c.end_of_stream())) {
      shut_ = true;
      c.shutdown_write();
    }
  }

  Simulator& simulator_;
  SimHost& host_;
  host::Connection* connection_;
  Plan plan_;
  Rng rng_;
  uint64_t sent_ = 0;
  uint64_t received_ = 0;
  Time next_read_{};
  bool shut_ = false;
  bool saw_end_ = false;
  Errc error_ = Errc::kOk;
  std::string failure_;
  std::shared_ptr<int> alive_ = std::make_shared<int>();
};

LinkOptions random_link(Rng& rng) {
  LinkOptions link;
  link.delay = microseconds(static_cast<int64_t>(50 + rng.below(rng.chance(0.5) ? 2000 : 80'000)));
  if (rng.chance(0.3)) link.jitter = Duration(1 + link.delay.count() / 4);
  if (rng.chance(0.4)) {
    link.bits_per_second = 1e6 * static_cast<double>(1 + rng.below(200));
    link.queue_bytes = 10'000 + rng.below(200'000);
    if (rng.chance(0.5)) link.mark_bytes = link.queue_bytes / 3;
  }
  if (rng.chance(0.6)) link.loss = rng.unit() * (rng.chance(0.3) ? 0.2 : 0.03);
  if (rng.chance(0.2))
    link.burst_start = rng.unit() * 0.01, link.burst_length = 2 + rng.unit() * 10;
  if (rng.chance(0.4)) link.reorder = rng.unit() * 0.2;
  link.reorder_delay = microseconds(static_cast<int64_t>(100 + rng.below(20'000)));
  if (rng.chance(0.3)) link.duplicate = rng.unit() * 0.05;
  if (rng.chance(0.3)) link.corrupt = rng.unit() * 0.03;
  return link;
}

/// The last byte of the destination address of a frame this simulation made.
uint8_t destination_id(const Link::Frame& frame) {
  constexpr size_t kIpv4End = 14 + 20, kIpv6End = 14 + 40;
  return frame[12] == 0x08 ? frame[kIpv4End - 1] : frame[kIpv6End - 1];
}

class World {
 public:
  explicit World(WorldOptions options)
      : options_(options),
        simulator_(options.seed),
        rng_(simulator_.fork_rng()),
        client_(simulator_, host_options(kClient)),
        server_(simulator_, host_options(kServer)),
        there_(simulator_, link(options_.there), [this](auto f) { front().receive(std::move(f)); }),
        back_(simulator_, link(options_.back), [this](auto f) { client_.receive(std::move(f)); }) {
    client_.attach([this](auto f) { there_.send(std::move(f)); });
    if (!options_.relay) {
      server_.attach([this](auto f) { back_.send(std::move(f)); });
      return;
    }
    middle_.emplace(simulator_, host_options(kRelay));
    on_.emplace(simulator_, behind_relay(options_.there),
                [this](auto f) { server_.receive(std::move(f)); });
    home_.emplace(simulator_, behind_relay(options_.back),
                  [this](auto f) { middle_->receive(std::move(f)); });
    server_.attach([this](auto f) { home_->send(std::move(f)); });
    middle_->attach(
        [this](auto f) { (destination_id(f) == kClient ? back_ : *on_).send(std::move(f)); });
  }

  WorldResult run() {
    draw_plan();
    host::ListenOptions listen;
    listen.socket = socket_options();
    listen.socket.hold_first_acks = options_.hold_first_acks;
    listen.setup_offload = options_.nic_stack;
    auto listener = server_.stack().listen({address(kServer), kPort}, listen);
    CHECK(listener.has_value());
    if (options_.relay) {
      relay_.emplace(simulator_, *middle_, Endpoint{address(kRelay), kPort},
                     Endpoint{address(kServer), kPort}, socket_options(), options_.splice);
    }
    client_.set_application([this] { step(client_peers_); });
    server_.set_application([this, l = *listener] {
      while (host::Connection* c = l->accept()) accept(*c);
      step(server_peers_);
    });
    for (int i = 0; i < options_.connections; ++i) open();
    client_.turn();

    Time start = simulator_.now();
    WorldResult result;
    while (!done() && simulator_.now() - start < options_.limit && !simulator_.idle()) {
      simulator_.run(simulator_.now() + milliseconds(20));
    }
    result.took = simulator_.now() - start;
    judge(result);
    client_peers_.clear();
    server_peers_.clear();
    if (relay_) {
      result.spliced = relay_->splices().begun;
      result.splices_refused = relay_->splices().refused;
      result.splices_idle = relay_->splices().idle;
    }
    relay_.reset();
    return result;
  }

 private:
  static constexpr uint8_t kClient = 1, kServer = 2, kRelay = 3;  // last byte of their addresses
  static constexpr uint16_t kPort = 7;

  /// What the client connects to.
  SimHost& front() { return options_.relay ? *middle_ : server_; }
  IpAddress address(uint32_t last) const {
    if (!options_.ipv6) return IpAddress::v4(0xc6120000u + last);
    std::array<uint8_t, 16> bytes{0x20, 0x01, 0x0d, 0xb8};
    bytes[15] = static_cast<uint8_t>(last);
    return IpAddress::v6(bytes);
  }
  SimHostOptions host_options(uint8_t id) {
    if (options_.random_impairment && id == kClient) {
      options_.ipv6 = rng_.chance(0.4);
      options_.segmentation_offload = rng_.chance(0.5);
      options_.congestion = rng_.chance(0.5) ? host::CongestionAlgorithm::kCubic
                                             : host::CongestionAlgorithm::kNewReno;
    }
    SimHostOptions o;
    o.addresses = {address(id)};
    o.id = id;
    o.segmentation_offload = options_.segmentation_offload;
    if (id == kRelay) o.rx_buffers = 1 + rng_.below(40);
    o.kernel_seat = options_.kernel_seat && id == kRelay;
    return o;
  }
  LinkOptions link(const LinkOptions& given) {
    return options_.random_impairment ? random_link(rng_) : given;
  }
  /// A kernel's seat passes on what is damaged, and its checksum, as any router does: one bit here
  /// and one there may cancel out in it.
  LinkOptions behind_relay(const LinkOptions& given) {
    LinkOptions options = link(given);
    if (options_.kernel_seat) options.corrupt = 0;
    return options;
  }
  host::SocketOptions socket_options() const {
    host::SocketOptions o;
    o.congestion = options_.congestion;
    // An end whose peer gave up must find out: there is nothing it wants to send.
    o.keepalive = true;
    o.keepalive_idle = seconds(60);
    o.keepalive_interval = seconds(10);
    o.teardown_offload = options_.nic_stack;
    return o;
  }
  void draw_plan() {
    if (!options_.random_impairment) return;
    auto size = [this] {
      uint64_t scale = rng_.below(4);
      return scale == 0 ? 0 : rng_.below(scale == 1 ? 2000 : scale == 2 ? 60'000 : 400'000);
    };
    // With offloaded handshakes it has to be the client that speaks first.
    options_.upload = size() + (options_.nic_stack ? 1 : 0);
    options_.download = size();
    options_.connections = static_cast<int>(1 + rng_.below(3));
    if (rng_.chance(0.2)) options_.read_lag = milliseconds(3);
  }
  Peer::Plan plan(bool client, uint64_t key) {
    bool early = client ? key % 2 == 0 : key % 2 != 0 || key % 5 == 0;
    return {.key_out = key * 2 + (client ? 0 : 1),
            .key_in = key * 2 + (client ? 1 : 0),
            .send = client ? options_.upload : options_.download,
            .expect = client ? options_.download : options_.upload,
            .close_early = early && !options_.answer_close,
            .release_early = options_.nic_stack && key % 3 != 0,
            .shut_before = key % 7 < 3,
            .close_complete = client && options_.answer_close,
            .read_lag = options_.read_lag};
  }
  void open() {
    host::Stack::ConnectOptions o{.remote = {address(options_.relay ? kRelay : kServer), kPort},
                                  .source = {},
                                  .local_port = {},
                                  .socket = socket_options(),
                                  .offer = options_.offer};
    auto connection = client_.stack().connect(o, simulator_.now());
    CHECK(connection.has_value());
    client_peers_.push_back(std::make_unique<Peer>(simulator_, client_, **connection,
                                                   plan(true, (*connection)->tuple().local.port),
                                                   rng_.fork()));
  }
  void accept(host::Connection& c) {
    server_peers_.push_back(std::make_unique<Peer>(
        simulator_, server_, c, plan(false, c.tuple().remote.port), rng_.fork()));
  }
  static void step(std::vector<std::unique_ptr<Peer>>& peers) {
    for (auto& peer : peers) peer->step();
  }
  bool done() {
    auto all = [](auto& peers) {
      for (auto& p : peers) {
        if (!p->finished()) return false;
      }
      return true;
    };
    return all(client_peers_) && all(server_peers_) && client_.stack().connection_count() == 0 &&
           server_.stack().connection_count() == 0 && client_.stack().teardown().active() == 0 &&
           server_.stack().teardown().active() == 0 &&
           (!middle_ || (relay_->idle() && middle_->stack().connection_count() == 0 &&
                         middle_->stack().splices().empty()));
  }
  void judge(WorldResult& result) {
    result.hash = simulator_.hash();
    result.client = client_.stack().counters();
    result.server = server_.stack().counters();
    result.confirmed = server_.stack().setup().count(FL_SETUP_NEW_CONNECTION);
    result.torn_down =
        client_.stack().teardown().counters().taken + server_.stack().teardown().counters().taken;
    auto look = [&](const char* side, auto& peers) {
      for (auto& p : peers) {
        result.bytes += p->received();
        if (p->error() != Errc::kOk) ++result.errors;
        if (!result.failure.empty()) continue;
        if (!p->failure().empty()) {
          result.failure = fmt::format("{}: {} ({})", side, p->failure(), p->describe());
        } else if (!p->finished()) {
          result.failure =
              fmt::format("{}: not finished after {} s ({})", side,
                          std::chrono::duration_cast<seconds>(result.took).count(), p->describe());
        } else if (p->error() == Errc::kOk && !p->complete()) {
          result.failure =
              fmt::format("{}: ended without error, incomplete ({})", side, p->describe());
        }
      }
    };
    look("client", client_peers_);
    look("server", server_peers_);
    if (!result.failure.empty()) {
      for (SimHost* h : {&client_, &server_, &front()}) {
        result.failure += h == &client_ ? "\nclient:" : h == &server_ ? "\nserver:" : "\nmiddle:";
        h->stack().counters().for_each([&](std::string_view name, uint64_t value) {
          if (value != 0) result.failure += fmt::format(" {}={}", name, value);
        });
        h->stack().splices().counters().for_each([&](std::string_view name, uint64_t value) {
          if (value != 0) result.failure += fmt::format(" splice_{}={}", name, value);
        });
        h->stack().teardown().counters().for_each([&](std::string_view name, uint64_t value) {
          if (value != 0) result.failure += fmt::format(" teardown_{}={}", name, value);
        });
      }
      return;
    }
    for (SimHost* h : {&client_, &server_, &front()}) {
      if (h->stack().connection_count() != 0 || h->stack().buffer_bytes() != 0 ||
          h->stack().sent_run_count() != 0 || !h->stack().splices().empty() ||
          h->stack().splicing_count() != 0 || h->stack().teardown().active() != 0 ||
          h->stack().teardown().held_bytes() != 0) {
        result.failure = fmt::format(
            "left over: {} connections, {} buffer bytes, {} runs, {} splices, {} on the way, {} in "
            "teardown with {} bytes",
            h->stack().connection_count(), h->stack().buffer_bytes(), h->stack().sent_run_count(),
            h->stack().splices().size(), h->stack().splicing_count(),
            h->stack().teardown().active(), h->stack().teardown().held_bytes());
      }
    }
  }

  WorldOptions options_;
  Simulator simulator_;
  Rng rng_;
  SimHost client_;
  SimHost server_;
  Link there_;
  Link back_;
  std::optional<SimHost> middle_;
  std::optional<Link> on_;
  std::optional<Link> home_;
  std::optional<Relay> relay_;
  std::vector<std::unique_ptr<Peer>> client_peers_;
  std::vector<std::unique_ptr<Peer>> server_peers_;
};

}  // namespace

WorldResult run_world(const WorldOptions& options) { return World(options).run(); }

}  // namespace fairlead::sim
