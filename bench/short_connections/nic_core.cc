#include "bench/short_connections/nic_core.h"

#include <array>
#include <span>

#include "bench/short_connections/nic_stack.h"
#include "bench/short_connections/thread.h"

namespace fairlead::bench {
namespace {

void take_frames(FramePipe& from_host, NicStack& nic, Time now) {
  std::array<Frame*, FramePipe::kBurst> frames;
  const size_t count = from_host.receive(frames);
  for (Frame* frame : std::span(frames).first(count)) nic.from_host(*frame, now);
  from_host.give_back(std::span(frames).first(count));
}

/// Where there is no room it is told again.
void tell_load(FramePipe& to_host, NicStack& nic, Time now) {
  const auto load = nic.load(now);
  Frame* const frame = load ? to_host.take() : nullptr;
  if (frame == nullptr) return;
  frame->size =
      static_cast<uint32_t>(nic::encode(*load, {}, {frame->room(), to_host.frame_bytes()}).value());
  frame->gso_size = 0;
  frame->checksum = port::ChecksumState::kVerified;
  to_host.put(frame);
}

/// As many as the host has room for, a burst at most: what it sends must not wait for long.
void send_frames(FramePipe& to_host, ClientGenerator& clients, NicStack& nic, Time now) {
  for (size_t i = 0; i < FramePipe::kBurst; ++i) {
    Frame* const frame = to_host.take();
    if (frame == nullptr) break;
    const size_t size = clients.next_frame({frame->room(), ClientGenerator::kMaxFrame});
    frame->size = static_cast<uint32_t>(size);
    if (size == 0 || !nic.from_client(*frame, to_host.frame_bytes(), now)) {
      to_host.untake(frame);
      if (size == 0) break;
      continue;
    }
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
  NicStack nic(options_.path, clients, monotonic_now());
  while (!stopping_.load(std::memory_order_relaxed)) {
    const Time now = monotonic_now();
    clients.on_timer(now);
    take_frames(from_host, nic, now);
    nic.turn(now);
    tell_load(to_host, nic, now);
    send_frames(to_host, clients, nic, now);
    transactions_.store(clients.counters().transactions, std::memory_order_relaxed);
    connections_.store(clients.counters().connections, std::memory_order_relaxed);
  }
  counters_ = clients.counters();
}

}  // namespace fairlead::bench
