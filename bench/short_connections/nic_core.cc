#include "bench/short_connections/nic_core.h"

#include <array>
#include <span>

#include "bench/short_connections/thread.h"

namespace fairlead::bench {
namespace {

void take_frames(FramePipe& from_host, ClientGenerator& clients) {
  std::array<Frame*, FramePipe::kBurst> frames;
  const size_t count = from_host.receive(frames);
  for (Frame* frame : std::span(frames).first(count)) clients.on_frame(frame->bytes());
  from_host.give_back(std::span(frames).first(count));
}

/// As many as the host has room for, a burst at most: what it sends must not wait for long.
void send_frames(FramePipe& to_host, ClientGenerator& clients) {
  for (size_t i = 0; i < FramePipe::kBurst; ++i) {
    Frame* const frame = to_host.take();
    if (frame == nullptr) break;
    const size_t size = clients.next_frame({frame->room(), to_host.frame_bytes()});
    if (size == 0) {
      to_host.untake(frame);
      break;
    }
    frame->size = static_cast<uint32_t>(size);
    frame->gso_size = 0;
    frame->checksum = port::ChecksumState::kVerified;
    to_host.put(frame);
  }
  to_host.flush();
}

}  // namespace

NicCore::NicCore(const Options& options, FramePipe& to_host, FramePipe& from_host)
    : options_(options), thread_([this, &to_host, &from_host] { run(to_host, from_host); }) {}

NicCore::Reading NicCore::read() {
  return {.transactions = transactions_.load(std::memory_order_relaxed),
          .connections = connections_.load(std::memory_order_relaxed),
          .cpu_seconds = cpu_seconds(thread_)};
}

void NicCore::stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

void NicCore::run(FramePipe& to_host, FramePipe& from_host) {
  settle_thread(options_.processor, "nic");
  ClientGenerator clients(options_.clients, monotonic_now());
  while (!stopping_.load(std::memory_order_relaxed)) {
    clients.on_timer(monotonic_now());
    take_frames(from_host, clients);
    send_frames(to_host, clients);
    transactions_.store(clients.counters().transactions, std::memory_order_relaxed);
    connections_.store(clients.counters().connections, std::memory_order_relaxed);
  }
  counters_ = clients.counters();
}

}  // namespace fairlead::bench
