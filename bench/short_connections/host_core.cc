#include "bench/short_connections/host_core.h"

#include <memory>
#include <utility>
#include <vector>

#include "base/random.h"
#include "bench/short_connections/thread.h"
#include "socket/shard.h"

namespace fairlead::bench {
namespace {

/// How long to wait for frames before timers have their turn; cycles, about 100 us.
constexpr uint64_t kLongestWait = 200'000;
/// Interrupt moderation of network cards (rx-usecs of `ethtool -C`); cycles, about 20 us.
constexpr uint64_t kModeration = 52'000;

/// Messages to the NIC, in the pipe that packets go through.
class PipeLink final : public nic::NicLink {
 public:
  explicit PipeLink(FramePipe& out) : out_(out) {}

  void listen(const nic::ListenMessage& message) override {
    // Where there is no room for it, it is said again within a second.
    static_cast<void>(send([&](MutableByteSpan into) { return encode(message, {}, into); }));
  }
  bool take(const nic::Handover& handover) override {
    return send([&](MutableByteSpan into) { return encode(handover, into); });
  }
  double fill() const override { return out_.fill(); }

 private:
  template <typename Encode>
  bool send(Encode encode) {
    Frame* const frame = out_.take();
    if (frame == nullptr) return false;
    const Result<size_t> size = encode({frame->room(), out_.frame_bytes()});
    if (!size) return out_.untake(frame), false;
    frame->size = static_cast<uint32_t>(*size);
    out_.put(frame);
    return true;
  }

  FramePipe& out_;
};

void wait_for(uint64_t count) {
  const uint64_t began = cycles();
  while (cycles() - began < count) pause();
}

/// Until there is a frame; a core that was idle is told of it a little later, for more to be there:
/// one that is never idle, whose rate this is about, finds more. A function of its own, so that
/// samples in it can be told apart.
[[gnu::noinline]] void wait_for_frames(const RingPort& port) {
  if (port.waiting()) return;
  const uint64_t began = cycles();
  while (!port.waiting() && cycles() - began < kLongestWait) pause();
  wait_for(kModeration);
}

}  // namespace

host::Secrets shared_secrets() {
  Rng rng(1);
  const auto key = [&] { return SipKey{rng.next(), rng.next()}; };
  const auto word = [&] { return fl_sip_key{rng.next(), rng.next()}; };
  return {.hash = key(),
          .isn = key(),
          .setup = {.cookie = {word(), word()}, .timestamps = word()},
          .seed = rng.next()};
}

HostCore::HostCore(const Options& options, FramePipe& in, FramePipe& out)
    : options_(options), thread_([this, &in, &out] { run(in, out); }) {}

HostCore::Reading HostCore::read() {
  return {.busy = busy_.load(std::memory_order_relaxed),
          .turns = turns_.load(std::memory_order_relaxed),
          .rx_frames = rx_frames_.load(std::memory_order_relaxed),
          .tx_frames = tx_frames_.load(std::memory_order_relaxed),
          .cpu_seconds = cpu_seconds(thread_)};
}

void HostCore::stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

void HostCore::run(FramePipe& in, FramePipe& out) {
  settle_thread(options_.processor, "host");
  auto owned_port = std::make_unique<RingPort>(options_.port, in, out);
  RingPort& port = *owned_port;
  std::vector<std::unique_ptr<port::Port>> ports;
  ports.push_back(std::move(owned_port));
  OneHop router(options_.path);
  Shard shard({.stack = options_.stack, .secrets = shared_secrets(), .busy_poll = true},
              std::move(ports), router);
  PipeLink link(out);
  shard.stack().use_nic(link);
  auto service = EchoService::start(shard.runtime(), options_.service);
  CHECK(service);
  uint64_t busy = 0;
  while (!stopping_.load(std::memory_order_relaxed)) {
    wait_for_frames(port);
    const uint64_t began = cycles();
    shard.turn(monotonic_now());
    out.flush();
    busy += cycles() - began;
    busy_.store(busy, std::memory_order_relaxed);
    turns_.store(shard.counters().turns, std::memory_order_relaxed);
    rx_frames_.store(port.counters().rx_packets, std::memory_order_relaxed);
    tx_frames_.store(port.counters().tx_packets, std::memory_order_relaxed);
  }
  counters_ = shard.stack().counters();
  // Not Shard::close(): nobody takes the farewells from the pipe any more.
  shard.scheduler().cancel_all();
}

}  // namespace fairlead::bench
