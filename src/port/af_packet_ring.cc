#include "port/af_packet_ring.h"

#include <linux/if_packet.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "port/vnet_header.h"

namespace fairlead::port {
namespace {

/// Milliseconds until a block that holds anything is handed over: the smallest the kernel takes.
constexpr unsigned kRetireMilliseconds = 1;
/// Only the slots' accounting unit in V3; packets are packed without regard to it.
constexpr unsigned kFrameSize = 2048;

std::unexpected<Error> ring_failed(const char* what) {
  return fail(errc_from_errno(errno),
              std::string("TPACKET_V3 receive ring: ") + what + ": " + std::strerror(errno));
}

}  // namespace

Result<std::unique_ptr<RingReceiver>> RingReceiver::create(int fd, size_t ring_bytes) {
  const int version = TPACKET_V3;
  if (::setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version) != 0) {
    return ring_failed("PACKET_VERSION");
  }
  const size_t blocks = std::max<size_t>(2, ring_bytes / kBlockSize);
  tpacket_req3 request{};
  request.tp_block_size = kBlockSize;
  request.tp_block_nr = static_cast<unsigned>(blocks);
  request.tp_frame_size = kFrameSize;
  request.tp_frame_nr = static_cast<unsigned>(blocks * (kBlockSize / kFrameSize));
  request.tp_retire_blk_tov = kRetireMilliseconds;
  if (::setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof request) != 0) {
    return ring_failed("PACKET_RX_RING");
  }
  void* ring = ::mmap(nullptr, blocks * kBlockSize, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (ring == MAP_FAILED) return ring_failed("mmap");
  return std::unique_ptr<RingReceiver>(new RingReceiver(fd, static_cast<uint8_t*>(ring), blocks));
}

RingReceiver::~RingReceiver() { ::munmap(ring_, blocks_ * kBlockSize); }

size_t RingReceiver::receive(std::span<RxPacket> burst, PortCounters& counters) {
  if (!block_is_ours_) {
    auto& header = reinterpret_cast<tpacket_block_desc*>(block())->hdr.bh1;
    const uint32_t status =
        std::atomic_ref<uint32_t>(header.block_status).load(std::memory_order_acquire);
    if ((status & TP_STATUS_USER) == 0) {
      clear_socket_error();
      return 0;
    }
    block_is_ours_ = true;
    packets_left_ = header.num_pkts;
    next_ = block() + header.offset_to_first_pkt;
  }
  size_t filled = 0;
  for (; filled < burst.size() && packets_left_ > 0; --packets_left_) {
    const auto* header = reinterpret_cast<const tpacket3_hdr*>(next_);
    const uint8_t* frame = next_ + header->tp_mac;
    next_ += header->tp_next_offset;
    if (header->tp_snaplen < header->tp_len) {
      ++counters.rx_truncated;
      continue;
    }
    VnetHeader vnet;
    std::memcpy(&vnet, frame - sizeof vnet, sizeof vnet);
    burst[filled++] = RxPacket{.frame = ByteSpan(frame, header->tp_snaplen),
                               .gso_size = vnet.tcp_gso_size(),
                               .checksum = vnet.checksum_state(),
                               .port_index = 0};
    ++counters.rx_packets;
    counters.rx_bytes += header->tp_snaplen;
  }
  return filled;
}

void RingReceiver::clear_socket_error() {
  // The interface going down leaves ENETDOWN on the socket; until somebody asks for it, poll()
  // returns at once, forever.
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
}

void RingReceiver::release() {
  if (!block_is_ours_ || packets_left_ > 0) return;
  auto& header = reinterpret_cast<tpacket_block_desc*>(block())->hdr.bh1;
  std::atomic_ref<uint32_t>(header.block_status).store(TP_STATUS_KERNEL, std::memory_order_release);
  block_is_ours_ = false;
  current_ = (current_ + 1) % blocks_;
}

}  // namespace fairlead::port
