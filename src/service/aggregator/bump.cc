#include "service/aggregator/bump.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "wire/ethernet.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"
#include "wire/tcp.h"

namespace fairlead {
namespace {

/// 1,000 packets leave in 12 ms at 1 Gbit/s.
constexpr int kMostWaits = 20;
constexpr int kWaitMilliseconds = 1;
/// Ethernet and two tags.
constexpr size_t kLinkHeader = 14 + 2 * 4;

nic::AggregateConfig limited(nic::AggregateConfig config, const port::PortInfo& to) {
  config.leave_checksum = to.checksum_offload;
  if (to.max_gso_bytes > kLinkHeader) {
    const size_t most = std::max<size_t>(to.max_gso_bytes - kLinkHeader, config.mtu);
    config.max_aggregate = std::min(config.max_aggregate, most);
    config.threshold = std::min(config.threshold, config.max_aggregate - config.mtu);
  }
  return config;
}

/// A frame as it came, or one for which nothing is left to be done.
void describe_whole(const port::RxPacket& in, port::TxPacket& out) {
  out.payload[0] = in.frame;
  out.payload_count = 1;
  out.payload_size = static_cast<uint32_t>(in.frame.size());
  out.offload = in.offload;
}

/// A TCP segment in a packet without IP options, as every aggregate is: what is left to be done
/// begins at its TCP header.
void describe_tcp(const port::RxPacket& in, port::TxPacket& out) {
  const auto ethernet = wire::EthernetView::checked(in.frame);
  CHECK(ethernet.has_value());
  out.ipv6 = ethernet->type() == wire::ether_type::kIpv6;
  const size_t ip = out.ipv6 ? sizeof(wire::Ipv6Header) : sizeof(wire::Ipv4Header);
  const auto tcp = wire::TcpView::checked(ethernet->payload().subspan(ip));
  CHECK(tcp.has_value());
  out.l3_offset = static_cast<uint16_t>(ethernet->header_size());
  out.l4_offset = static_cast<uint16_t>(out.l3_offset + ip);
  out.header_size = static_cast<uint16_t>(out.l4_offset + tcp->header_size());
  std::ranges::copy(in.frame.first(out.header_size), out.header.begin());
  out.payload[0] = tcp->payload();
  out.payload_count = 1;
  out.payload_size = static_cast<uint32_t>(tcp->payload().size());
  out.gso_size = in.gso_size;
  out.checksum_partial = in.checksum == port::ChecksumState::kPartial;
}

}  // namespace

Bump::Bump(Ports ports, nic::AggregateConfig config, nic::AggregatingPort::ReadClock clock)
    : from_(std::move(ports.from), {.aggregate = limited(config, ports.to->info()),
                                    .when_idle = nic::AggregatingPort::WhenIdle::kWait,
                                    .clock = clock}),
      to_(std::move(ports.to)),
      clock_(clock),
      wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  CHECK(wake_.get() >= 0);
}

void Bump::run() {
  while (!stopping_.load(std::memory_order_relaxed)) {
    if (!turn()) wait();
  }
}

void Bump::stop() {
  stopping_ = true;
  const uint64_t one = 1;
  // Can only fail when the counter is full, and then the loop is awake already.
  [[maybe_unused]] const ssize_t n = ::write(wake_.get(), &one, sizeof one);
}

Bump::Statistics Bump::statistics() {
  const std::lock_guard lock(mutex_);
  return {.aggregate = from_.aggregator().counters(),
          .delay = from_.aggregator().delay(),
          .contexts = from_.aggregator().contexts(),
          .from = from_.counters(),
          .to = to_->counters(),
          .dropped = dropped_};
}

bool Bump::turn() {
  const std::lock_guard lock(mutex_);
  const bool forth = carry(from_, *to_);
  const bool back = carry(*to_, from_);
  return forth || back;
}

bool Bump::carry(port::Port& in, port::Port& out) {
  std::array<port::RxPacket, port::PacketBurst::kCapacity> packets;
  const size_t count = in.receive(packets);
  for (const port::RxPacket& packet : std::span(packets).first(count)) {
    const bool left_open = packet.gso_size != 0 || packet.checksum == port::ChecksumState::kPartial;
    if (left_open && packet.offload == nullptr) {
      describe_tcp(packet, burst_.append());
    } else {
      describe_whole(packet, burst_.append());
    }
  }
  send(out);
  in.release();
  return count > 0;
}

void Bump::send(port::Port& out) {
  std::span<const port::TxPacket> packets = burst_.packets();
  for (int waits = 0; !packets.empty(); ++waits) {
    packets = packets.subspan(out.transmit(packets));
    if (packets.empty() || waits == kMostWaits) break;
    pollfd room{.fd = out.poll_fd(), .events = POLLOUT, .revents = 0};
    ::poll(&room, 1, kWaitMilliseconds);
  }
  dropped_ += packets.size();
  burst_.clear();
}

void Bump::wait() {
  timespec timeout{};
  const std::optional<Time> deadline = next_deadline();
  if (deadline) {
    const Duration left = std::max(Duration::zero(), *deadline - clock_());
    timeout.tv_sec = left / seconds(1);
    timeout.tv_nsec = (left % seconds(1)).count();
  }
  pollfd fds[] = {{.fd = from_.poll_fd(), .events = POLLIN, .revents = 0},
                  {.fd = to_->poll_fd(), .events = POLLIN, .revents = 0},
                  {.fd = wake_.get(), .events = POLLIN, .revents = 0}};
  ::ppoll(fds, std::size(fds), deadline ? &timeout : nullptr, nullptr);
}

}  // namespace fairlead
