#define ALLOW_EXPERIMENTAL_API  // rte_ipv4_udptcp_cksum_verify()
#include <rte_eal.h>
#include <rte_gro.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_version.h>

#include <array>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "bench/aggregate_peers.h"
#include "bench/aggregate_traffic.h"

namespace fairlead::bench {
namespace {

constexpr uint16_t kL2 = 14, kL3 = 20, kL4 = 32;
// As many connections as may wait, and twice the segments that one packet can hold of each.
constexpr uint16_t kFlows = 512, kItems = 96;

rte_mempool* mbuf_pool() {
  static rte_mempool* const pool = rte_pktmbuf_pool_create("frames", 2047, 256, 0, 2048, 0);
  CHECK(pool != nullptr);
  return pool;
}

class RteGroPeer : public Peer {
 public:
  explicit RteGroPeer(Work work) : work_(work), joined_(1 << 16) { refill(); }
  ~RteGroPeer() override {
    for (rte_mbuf* packet : burst_) rte_pktmbuf_free(packet);
  }

  uint8_t* frame(size_t i) override { return rte_pktmbuf_mtod(burst_[i], uint8_t*); }

  size_t collect() override {
    const size_t count = sent_.size();
    give_back();
    refill();
    return count;
  }

 protected:
  void give_back() {
    for (rte_mbuf* packet : sent_) rte_pktmbuf_free(packet);
    sent_.clear();
  }
  /// What an application does with a frame whose checksums nobody has looked at.
  void verify() {
    if (work_ == Work::kHeaders) return;
    for (rte_mbuf* packet : burst_) {
      const auto* ip = rte_pktmbuf_mtod_offset(packet, rte_ipv4_hdr*, kL2);
      CHECK(rte_ipv4_cksum(ip) == 0);
      CHECK(rte_ipv4_udptcp_cksum_verify(ip, rte_pktmbuf_mtod_offset(packet, void*, kL2 + kL3)) ==
            0);
    }
  }
  void send(rte_mbuf* packet) {
    sent_.push_back(packet);
    if (work_ == Work::kHeaders) return;
    uint8_t* out = joined_.data();
    for (const rte_mbuf* part = packet; part != nullptr; part = part->next) {
      std::memcpy(out, rte_pktmbuf_mtod(part, uint8_t*), part->data_len);
      out += part->data_len;
    }
  }

  std::array<rte_mbuf*, kBurst> burst_{};

 private:
  void refill() {
    CHECK(rte_pktmbuf_alloc_bulk(mbuf_pool(), burst_.data(), kBurst) == 0);
    for (rte_mbuf* packet : burst_) {
      packet->data_len = Traffic::kFrame;
      packet->pkt_len = Traffic::kFrame;
      packet->l2_len = kL2;
      packet->l3_len = kL3;
      packet->l4_len = kL4;
      packet->packet_type = RTE_PTYPE_L2_ETHER | RTE_PTYPE_L3_IPV4 | RTE_PTYPE_L4_TCP;
    }
  }

  Work work_;
  std::vector<uint8_t> joined_;
  std::vector<rte_mbuf*> sent_;
};

class BurstPeer final : public RteGroPeer {
 public:
  using RteGroPeer::RteGroPeer;
  void process(Time) override {
    verify();
    const rte_gro_param param{.gro_types = RTE_GRO_TCP_IPV4,
                              .max_flow_num = kBurst,
                              .max_item_per_flow = kBurst,
                              .socket_id = 0};
    const uint16_t left = rte_gro_reassemble_burst(burst_.data(), kBurst, &param);
    for (size_t i = 0; i < left; ++i) send(burst_[i]);
  }
};

class ContextsPeer final : public RteGroPeer {
 public:
  explicit ContextsPeer(Work work) : RteGroPeer(work) {
    const rte_gro_param param{.gro_types = RTE_GRO_TCP_IPV4,
                              .max_flow_num = kFlows,
                              .max_item_per_flow = kItems,
                              .socket_id = 0};
    context_ = rte_gro_ctx_create(&param);
    CHECK(context_ != nullptr);
  }
  ~ContextsPeer() override {
    flush();
    give_back();
    rte_gro_ctx_destroy(context_);
  }
  void process(Time) override {
    verify();
    const uint16_t left = rte_gro_reassemble(burst_.data(), kBurst, context_);
    for (size_t i = 0; i < left; ++i) send(burst_[i]);
    if (++bursts_ % kBurstsToWait == 0) flush();
  }

 private:
  static constexpr uint64_t kBurstsToWait = kLongestWait / (kBurst * Traffic::kInterval);

  void flush() {
    std::array<rte_mbuf*, kBurst> out;
    uint16_t count = kBurst;
    while (count == kBurst) {
      count = rte_gro_timeout_flush(context_, 0, RTE_GRO_TCP_IPV4, out.data(), kBurst);
      for (size_t i = 0; i < count; ++i) send(out[i]);
    }
  }

  void* context_ = nullptr;
  uint64_t bursts_ = 0;
};

}  // namespace

bool start_dpdk() {
  std::array<std::string, 7> words{"aggregate_bench",  "--no-huge",   "--no-pci",
                                   "--no-telemetry",   "--no-shconf", "-m256",
                                   "--log-level=error"};
  std::array<char*, words.size()> arguments{};
  for (size_t i = 0; i < words.size(); ++i) arguments[i] = words[i].data();
  return rte_eal_init(static_cast<int>(arguments.size()), arguments.data()) >= 0;
}

std::string dpdk_version() { return rte_version(); }

std::unique_ptr<Peer> make_rte_gro_burst(Work work) { return std::make_unique<BurstPeer>(work); }
std::unique_ptr<Peer> make_rte_gro_contexts(Work work) {
  return std::make_unique<ContextsPeer>(work);
}

}  // namespace fairlead::bench
