#include "port/af_packet_ring.h"

#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "port/vnet_header.h"

namespace fairlead::port {
namespace {

/// Calls that find nothing until a socket's error is looked for: a system call.
constexpr unsigned kLookForErrors = 64;
/// A ring has more slots than any burst.
constexpr size_t kMinBlocks = 4;

std::unexpected<Error> ring_failed(const char* what) {
  return fail(errc_from_errno(errno),
              std::string("receive ring: ") + what + ": " + std::strerror(errno));
}

template <typename T>
bool set_option(int fd, int name, const T& value) {
  return ::setsockopt(fd, SOL_PACKET, name, &value, sizeof value) == 0;
}

}  // namespace

Result<std::unique_ptr<RingReceiver>> RingReceiver::create(int fd, size_t ring_bytes,
                                                           VlanTags tags) {
  if (!set_option(fd, PACKET_VERSION, int{TPACKET_V2})) return ring_failed("PACKET_VERSION");
  if (!set_option(fd, PACKET_COPY_THRESH, 1)) return ring_failed("PACKET_COPY_THRESH");
  const size_t blocks = std::max<size_t>(kMinBlocks, ring_bytes / kBlockSize);
  const size_t slots = blocks * (kBlockSize / kSlotSize);
  const tpacket_req request{.tp_block_size = kBlockSize,
                            .tp_block_nr = static_cast<unsigned>(blocks),
                            .tp_frame_size = kSlotSize,
                            .tp_frame_nr = static_cast<unsigned>(slots)};
  if (!set_option(fd, PACKET_RX_RING, request)) return ring_failed("PACKET_RX_RING");
  void* ring = ::mmap(nullptr, blocks * kBlockSize, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (ring == MAP_FAILED) return ring_failed("mmap");
  return std::unique_ptr<RingReceiver>(
      new RingReceiver(fd, tags, static_cast<uint8_t*>(ring), slots));
}

RingReceiver::~RingReceiver() { ::munmap(ring_, slots_ * kSlotSize); }

uint32_t RingReceiver::status(size_t index) const {
  return std::atomic_ref<uint32_t>(slot(index).tp_status).load(std::memory_order_acquire);
}

size_t RingReceiver::long_run(size_t most) const {
  size_t run = 0;
  for (size_t i = next_; run < most && (status(i) & TP_STATUS_COPY) != 0; i = after(i)) ++run;
  return run;
}

size_t RingReceiver::receive(std::span<RxPacket> burst, PortCounters& counters) {
  size_t filled = 0;
  // No further than a burst, dropped ones included: what was not released yet must not come again.
  for (size_t looked = 0; looked < burst.size(); ++looked, next_ = after(next_)) {
    const uint32_t state = status(next_);
    if ((state & TP_STATUS_USER) == 0) break;
    if ((state & TP_STATUS_COPY) != 0) {
      const size_t run = long_run(burst.size() - looked);
      const auto got = long_frames_.read(burst.subspan(filled, run), counters);
      next_ = (next_ + got.taken) % slots_;
      return filled + got.filled;
    }
    tpacket2_hdr& header = slot(next_);
    if (header.tp_snaplen < header.tp_len) {
      ++counters.rx_dropped;  // long, and the queue was full
      continue;
    }
    burst[filled++] = packet_in(header);
    ++counters.rx_packets;
    counters.rx_bytes += header.tp_snaplen;
  }
  if (filled == 0 && ++empty_ % kLookForErrors == 0) clear_socket_error();
  return filled;
}

RxPacket RingReceiver::packet_in(tpacket2_hdr& header) const {
  const MutableByteSpan frame(reinterpret_cast<uint8_t*>(&header) + header.tp_mac,
                              header.tp_snaplen);
  auto* offload = reinterpret_cast<VnetHeader*>(frame.data() - sizeof(VnetHeader));
  RxPacket packet{.frame = frame,
                  .gso_size = offload->tcp_gso_size(),
                  .checksum = offload->checksum_state(),
                  .port_index = 0};
  if (tags_ == VlanTags::kStripped) return packet;
  if (const auto tag = VlanTag::of(header)) {
    // The tag goes where the header ends.
    uint8_t* const before = reinterpret_cast<uint8_t*>(offload) - VlanTag::kSize;
    std::memmove(before, offload, sizeof *offload);
    offload = reinterpret_cast<VnetHeader*>(before);
    packet.frame = tag->put_into(frame, *offload);
  }
  packet.offload = offload;
  return packet;
}

void RingReceiver::clear_socket_error() {
  // The interface going down leaves ENETDOWN on the socket; until somebody asks for it, poll()
  // returns at once, forever.
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
}

void RingReceiver::release() {
  for (; first_ != next_; first_ = after(first_)) {
    std::atomic_ref<uint32_t>(slot(first_).tp_status)
        .store(TP_STATUS_KERNEL, std::memory_order_release);
  }
}

}  // namespace fairlead::port
