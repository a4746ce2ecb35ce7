// SimHost: a host stack on a simulated interface, with the loop a shard would run around it.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "host/stack.h"
#include "port/packet.h"
#include "port/path.h"
#include "sim/kernel_seat.h"
#include "sim/link.h"
#include "sim/simulator.h"

namespace fairlead::sim {

/// One interface, one subnet, every address reachable directly.
class StaticRouter final : public port::Router {
 public:
  StaticRouter(std::vector<IpAddress> own, uint8_t id, uint16_t mtu)
      : own_(std::move(own)), id_(id), mtu_(mtu) {}

  Result<port::Path> resolve(const IpAddress& remote) override;
  std::optional<IpAddress> source_for(const IpAddress& remote) override;
  std::optional<uint16_t> mtu_for(const IpAddress&) const override { return mtu_; }
  uint64_t generation() const override { return generation_; }
  bool is_local(const IpAddress& address) const override;

 private:
  std::vector<IpAddress> own_;
  uint8_t id_;
  uint16_t mtu_;
  uint64_t generation_ = 1;
};

struct SimHostOptions {
  std::vector<IpAddress> addresses;
  uint8_t id = 1;  // last byte of its MAC address
  uint16_t mtu = 1500;
  bool segmentation_offload = false;
  size_t rx_buffers = 0;     // that the stack may take with their frames, however short; 0: none
  bool kernel_seat = false;  // splices go down to a SimKernelSeat
  host::StackConfig stack;
};

class SimHost {
 public:
  SimHost(Simulator& simulator, const SimHostOptions& options);
  ~SimHost();

  host::Stack& stack() { return stack_; }
  /// Where frames go.
  void attach(std::function<void(Link::Frame)> out) { out_ = std::move(out); }
  /// Runs inside each turn, between receive and transmit.
  void set_application(std::function<void()> step) { application_ = std::move(step); }

  /// A frame arrives.
  void receive(Link::Frame frame);
  /// Several arrive before the loop turns. They are gone when this returns.
  void receive_burst(std::vector<Link::Frame>& frames);
  /// One turn of the loop; also schedules the next.
  void turn();

 private:
  void schedule();
  void deliver(const Link::Frame& frame);
  void wake_for(Link::Frame frame);

  Simulator& simulator_;
  StaticRouter router_;
  port::RxBufferPool rx_pool_;
  port::RxBuffer* rx_buffer_ = nullptr;  // the one frames are lent in
  host::Stack stack_;
  std::function<void(Link::Frame)> out_;
  std::function<void()> application_;
  std::optional<Time> wake_at_;
  port::PacketBurst burst_;
  std::vector<Link::Frame> socket_;  // what waits for the process to wake, with a kernel seat
  std::optional<SimKernelSeat> seat_;
};

}  // namespace fairlead::sim
