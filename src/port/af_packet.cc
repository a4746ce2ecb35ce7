#include "port/af_packet.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

#include "base/check.h"
#include "base/unique_fd.h"
#include "fmt/format.h"
#include "port/af_packet_ring.h"
#include "port/af_packet_socket.h"
#include "port/af_packet_transmit.h"
#include "port/interface_info.h"
#include "wire/ethernet.h"

namespace fairlead::port {
namespace {

/// PACKET_FANOUT_FLAG_IGNORE_OUTGOING of newer headers: a fan-out group doesn't inherit
/// PACKET_IGNORE_OUTGOING from its sockets. Kernels which do not know it ignore it, and then the
/// filter rejects what it lets through.
constexpr uint32_t kFanoutIgnoreOutgoing = 0x4000;

class AfPacketPort final : public Port {
 public:
  AfPacketPort(PortInfo info, UniqueFd fd, std::unique_ptr<FrameReceiver> receiver, fl_burst* burst)
      : info_(std::move(info)),
        fd_(std::move(fd)),
        receiver_(std::move(receiver)),
        sender_(fd_.get(), burst) {}

  const PortInfo& info() const override { return info_; }
  const PortCounters& counters() override {
    // The kernel sets its counters back on every read.
    tpacket_stats statistics{};
    socklen_t size = sizeof statistics;
    if (::getsockopt(fd_.get(), SOL_PACKET, PACKET_STATISTICS, &statistics, &size) == 0) {
      counters_.rx_dropped += statistics.tp_drops;
    }
    return counters_;
  }
  size_t receive(std::span<RxPacket> burst) override {
    return receiver_->receive(burst, counters_);
  }
  void release() override { receiver_->release(); }
  size_t transmit(std::span<const TxPacket> packets) override {
    return sender_.transmit(packets, counters_);
  }
  int poll_fd() const override { return fd_.get(); }

 private:
  PortInfo info_;
  UniqueFd fd_;
  std::unique_ptr<FrameReceiver> receiver_;
  PacketSender sender_;
  PortCounters counters_;
};

std::unexpected<Error> failed(const std::string& interface, const char* what) {
  return fail(errc_from_errno(errno),
              fmt::format("packet socket on {}: {}: {}", interface, what, std::strerror(errno)));
}

template <typename T>
bool set_option(int fd, int level, int name, const T& value) {
  return ::setsockopt(fd, level, name, &value, sizeof value) == 0;
}

/// Beyond net.core.[rw]mem_max where we may (CAP_NET_ADMIN), up to it where not.
void set_buffer(int fd, int forced_name, int plain_name, size_t bytes) {
  // The kernel doubles the value, to leave room for its own bookkeeping.
  const int half = static_cast<int>(std::min<size_t>(bytes / 2, INT_MAX / 2));
  if (!set_option(fd, SOL_SOCKET, forced_name, half)) set_option(fd, SOL_SOCKET, plain_name, half);
}

size_t ring_bytes(const AfPacketOptions& options) {
  return options.receive == ReceiveMode::kRing ? options.receive_bytes / 4 : 0;
}

/// A socket which receives nothing yet: protocol 0 keeps it off the interface until bind(), so that
/// no packet can pass before the filter is there.
Result<UniqueFd> open_socket(const AfPacketOptions& options) {
  UniqueFd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) {
    if (errno == EPERM) {
      return fail(
          Errc::kPermission,
          fmt::format("packet socket on {}: needs CAP_NET_RAW (run as root)", options.interface));
    }
    return failed(options.interface, "socket");
  }
  if (!set_option(fd.get(), SOL_PACKET, PACKET_VNET_HDR, 1)) {
    return failed(options.interface, "PACKET_VNET_HDR");
  }
  // Without this the tap also shows what we and the kernel send. Linux 4.20.
  if (!set_option(fd.get(), SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)) {
    return failed(options.interface, "PACKET_IGNORE_OUTGOING");
  }
  set_buffer(fd.get(), SO_RCVBUFFORCE, SO_RCVBUF, options.receive_bytes - ring_bytes(options));
  set_buffer(fd.get(), SO_SNDBUFFORCE, SO_SNDBUF, options.send_bytes);
  if (options.filter_fd >= 0 &&
      !set_option(fd.get(), SOL_SOCKET, SO_ATTACH_BPF, options.filter_fd)) {
    return failed(options.interface, "SO_ATTACH_BPF");
  }
  return fd;
}

Result<std::unique_ptr<FrameReceiver>> make_receiver(const AfPacketOptions& options, int fd) {
  const VlanTags tags = options.transparent ? VlanTags::kInFrame : VlanTags::kStripped;
  if (options.receive == ReceiveMode::kRing) {
    auto ring = RingReceiver::create(fd, ring_bytes(options), tags);
    if (!ring) {
      return fail(ring.error().code,
                  fmt::format("packet socket on {}: {}; receive_mode socket needs no ring",
                              options.interface, ring.error().to_string()));
    }
    return std::move(*ring);
  }
  return std::make_unique<SocketReceiver>(fd, tags);
}

/// All protocols: only a tap for all of them runs before tc ingress.
bool bind_to(int fd, int interface_index) {
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = interface_index;
  return ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

/// Until the socket is closed the interface takes every frame; the kernel hands us its VLAN tags.
bool make_transparent(int fd, int interface_index) {
  packet_mreq everything{};
  everything.mr_ifindex = interface_index;
  everything.mr_type = PACKET_MR_PROMISC;
  return set_option(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, everything) &&
         set_option(fd, SOL_PACKET, PACKET_AUXDATA, 1);
}

/// Adds a bound socket to the fan-out group, which the first one makes: *group is 0 then, and holds
/// the number the kernel gave it (unique in this namespace) afterwards. Members are numbered in the
/// order they join.
bool join_fanout(int fd, uint16_t* group, int program_fd) {
  const bool first = *group == 0;
  uint32_t type = PACKET_FANOUT_EBPF | kFanoutIgnoreOutgoing;
  if (first) type |= PACKET_FANOUT_FLAG_UNIQUEID;
  const uint32_t request = *group | type << 16;
  if (!set_option(fd, SOL_PACKET, PACKET_FANOUT, request)) return false;
  if (!first) return true;
  uint32_t granted = 0;
  socklen_t size = sizeof granted;
  if (::getsockopt(fd, SOL_PACKET, PACKET_FANOUT, &granted, &size) != 0) return false;
  *group = static_cast<uint16_t>(granted);
  return set_option(fd, SOL_PACKET, PACKET_FANOUT_DATA, program_fd);
}

PortInfo port_info(const InterfaceInfo& interface) {
  // The kernel wants a super-packet's frame shorter than the driver's limit, or it cuts it itself;
  // 65,535 also keeps the IP packet within its length field.
  return {.name = interface.name,
          .interface_index = interface.index,
          .mac = interface.mac,
          .mtu = interface.mtu,
          .checksum_offload = true,
          .max_gso_bytes = std::min<uint32_t>(interface.gso_max_size - 1, 65535)};
}

}  // namespace

Result<std::vector<std::unique_ptr<Port>>> open_af_packet(const AfPacketOptions& options) {
  CHECK(options.shards > 0);
  CHECK(options.shards == 1 || options.fanout_fd >= 0);
  CHECK(options.bursts.empty() || options.bursts.size() >= options.shards);
  const Result<InterfaceInfo> interface = query_interface(options.interface);
  if (!interface) return std::unexpected(interface.error());

  std::vector<std::unique_ptr<Port>> ports;
  uint16_t group = 0;
  for (unsigned shard = 0; shard < options.shards; ++shard) {
    Result<UniqueFd> fd = open_socket(options);
    if (!fd) return std::unexpected(fd.error());
    Result<std::unique_ptr<FrameReceiver>> receiver = make_receiver(options, fd->get());
    if (!receiver) return std::unexpected(receiver.error());
    if (options.transparent && !make_transparent(fd->get(), interface->index)) {
      return failed(options.interface, "PACKET_MR_PROMISC");
    }
    if (!bind_to(fd->get(), interface->index)) return failed(options.interface, "bind");
    if (options.shards > 1 && !join_fanout(fd->get(), &group, options.fanout_fd)) {
      return failed(options.interface, "PACKET_FANOUT");
    }
    // The kernel compares a message with the MTU, not the frames that it becomes.
    const bool bursts =
        !options.bursts.empty() && interface->mtu + wire::kEthernetSize >= FL_BURST_FRAME;
    fl_burst* const burst = bursts ? &options.bursts[shard] : nullptr;
    ports.push_back(std::make_unique<AfPacketPort>(port_info(*interface), std::move(*fd),
                                                   std::move(*receiver), burst));
  }
  return ports;
}

}  // namespace fairlead::port
