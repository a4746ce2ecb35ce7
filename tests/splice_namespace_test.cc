// The splice programs attached to an interface, with the packets that a test run can't make: a
// checksum still to be completed, a super-packet, headers that lie outside the skb's linear part.
//
//     A: packet socket ──▶ fl-a ── veth ──▶ fl-b: program ──┐ translated
//        packet socket ◀── fl-a ◀──────────── fl-b ◀────────┘ and sent back to A
//
// What A gets back has to be the vector's packet, and the kernel's description of it the one that
// went in.
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>

#include "base/check.h"
#include "base/time.h"
#include "base/unique_fd.h"
#include "nic/splice/rule.h"
#include "nic/steering/ingress_attachment.h"
#include "nic/steering/steering.h"
#include "port/vnet_header.h"
#include "tests/namespaces.h"
#include "tests/splice_programs.h"
#include "tests/splice_vectors.h"
#include "wire/ethernet.h"

namespace fairlead::nic {
namespace {

using port::VnetHeader;
using test::operator+;
using test::PacketBytes;
using test::SplicePrograms;
using test::SpliceVector;

constexpr uint32_t kSeed = 1;
/// For a packet that will come: the machine may be busy.
constexpr Duration kPatience = seconds(10);
/// A page: an skb with fewer bytes is linear, whatever its sender wants.
constexpr size_t kPage = 4096;

struct Frame {
  VnetHeader vnet{};
  PacketBytes packet{};  // from its IP header on
};

/// A packet socket on fl-a, with super-packets and checksums as the kernel has them.
class Wire {
 public:
  /// In namespace A.
  Wire() : fd_(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)) {
    CHECK(fd_);
    const int on = 1;
    CHECK(::setsockopt(fd_.get(), SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on) == 0);
    CHECK(::setsockopt(fd_.get(), SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) == 0);
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = static_cast<int>(::if_nametoindex("fl-a"));
    CHECK(::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  }

  void send(const Frame& frame, const std::array<uint8_t, 6>& to) {
    PacketBytes ethernet(to.begin(), to.end());
    ethernet.resize(12);
    test::append16(ethernet, test::ether_type_of(frame.packet));
    const PacketBytes bytes = ethernet + frame.packet;
    std::array<iovec, 2> parts{{{const_cast<VnetHeader*>(&frame.vnet), sizeof frame.vnet},
                                {const_cast<uint8_t*>(bytes.data()), bytes.size()}}};
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    const ssize_t sent = ::sendmsg(fd_.get(), &message, 0);
    CHECK(sent == static_cast<ssize_t>(sizeof frame.vnet + bytes.size()));
  }

  /// The next TCP packet, whoever it is for; nullopt after kPatience.
  std::optional<Frame> receive() {
    const Time deadline = monotonic_now() + kPatience;
    while (monotonic_now() < deadline) {
      pollfd ready{.fd = fd_.get(), .events = POLLIN, .revents = 0};
      if (::poll(&ready, 1, 100) <= 0) continue;
      Frame frame;
      PacketBytes bytes(size_t{1} << 17);
      std::array<iovec, 2> parts{{{&frame.vnet, sizeof frame.vnet}, {bytes.data(), bytes.size()}}};
      msghdr message{};
      message.msg_iov = parts.data();
      message.msg_iovlen = parts.size();
      const ssize_t size = ::recvmsg(fd_.get(), &message, 0);
      CHECK(size > static_cast<ssize_t>(sizeof frame.vnet + wire::kEthernetSize));
      bytes.resize(static_cast<size_t>(size) - sizeof frame.vnet);
      frame.packet.assign(bytes.begin() + wire::kEthernetSize, bytes.end());
      if (is_tcp(frame.packet)) return frame;
    }
    return std::nullopt;
  }

 private:
  static bool is_tcp(const PacketBytes& packet) {
    const bool v6 = packet[0] >> 4 == 6;
    return packet.size() >= (v6 ? 60u : 40u) && packet[v6 ? 6 : 9] == IPPROTO_TCP;
  }

  UniqueFd fd_;
};

class SpliceWireTest : public testing::Test {
 protected:
  void SetUp() override {
    FAIRLEAD_REQUIRE_NAMESPACES();
    namespaces_.emplace();
    for (const char* run : {"ip link set fl-a mtu 9000", "ip link set fl-b mtu 9000"}) {
      std::string_view(run).contains("fl-a") ? namespaces_->run_in_a(run)
                                             : namespaces_->run_in_b(run);
    }
    namespaces_->run_in_a("ip link set fl-a address 02:00:00:00:00:0a");
    namespaces_->run_in_b("ip link set fl-b address 02:00:00:00:00:0b");
    namespaces_->enter_a();
    wire_.emplace();
    namespaces_->enter_b();
    interface_ = ::if_nametoindex("fl-b");
    programs_ = SplicePrograms::load(16);
  }

  void attach_tc() {
    auto attached = IngressAttachment::attach(
        programs_->tc_fd(), {.interface = "fl-b", .interface_index = static_cast<int>(interface_)});
    ASSERT_TRUE(attached) << attached.error().to_string();
    attachment_.emplace(std::move(*attached));
  }

  void install(SplicePair pair) {
    pair.to_server.interface = pair.to_client.interface = interface_;
    programs_->install(pair);
  }

  /// Sends it as the vector says its checksum is, of which the kernel keeps `linear` bytes in line.
  static VnetHeader describe(const SpliceVector& vector, size_t linear) {
    VnetHeader out{.header_size = static_cast<uint16_t>(linear)};
    const bool v6 = test::ether_type_of(vector.packet) == ETH_P_IPV6;
    if (vector.checksum_partial) {
      out.flags = VnetHeader::kNeedsChecksum;
      out.checksum_start = static_cast<uint16_t>(wire::kEthernetSize + (v6 ? 40 : 20));
      out.checksum_offset = 16;
    }
    if (vector.gso_size != 0) {
      out.gso_type = v6 ? VnetHeader::kGsoTcpV6 : VnetHeader::kGsoTcpV4;
      out.gso_size = static_cast<uint16_t>(vector.gso_size);
    }
    return out;
  }

  /// Sends the vector's packet and expects it back.
  void expect_back(const SpliceVector& vector, size_t linear) {
    install(vector.pair);
    wire_->send({.vnet = describe(vector, linear), .packet = vector.packet}, kMac);
    const std::optional<Frame> back = wire_->receive();
    programs_->remove(vector.pair);
    ASSERT_TRUE(back) << vector.name;
    EXPECT_EQ(back->packet, vector.expected) << vector.name;
    EXPECT_EQ((back->vnet.flags & VnetHeader::kNeedsChecksum) != 0, vector.checksum_partial)
        << vector.name;
    EXPECT_EQ(back->vnet.tcp_gso_size(), vector.gso_size) << vector.name;
  }

  /// A segment of 8,000 bytes of payload with every option we shift, and what becomes of it.
  SpliceVector large(bool v6, bool partial) const {
    SpliceVector out{.name = std::string(v6 ? "IPv6" : "IPv4") + (partial ? ", partial" : ""),
                     .pair = test::vector_pair(v6),
                     .checksum_partial = partial};
    out.pair.to_server.mtu = 9000;
    test::Segment segment{.from = out.pair.client.remote,
                          .to = out.pair.client.local,
                          .seq = 1000,
                          .ack = 2000,
                          .options = test::nops(1) + test::timestamps(1, 2000) + test::nops(1) +
                                     test::sack({7, 8}) + test::nops(2),
                          .payload = test::some_bytes(8000),
                          .partial_checksum = partial};
    out.packet = packet_of(segment);
    segment.from = out.pair.server.local;
    segment.to = out.pair.server.remote;
    segment.seq += out.pair.seq_offset;
    segment.ack += out.pair.ack_offset;
    segment.options = test::nops(1) + test::timestamps(1001, 0) + test::nops(1) +
                      test::sack({7 + out.pair.ack_offset, 8 + out.pair.ack_offset}) +
                      test::nops(2);
    --segment.ttl;
    out.expected = packet_of(segment);
    return out;
  }

  static constexpr std::array<uint8_t, 6> kMac{2, 0, 0, 0, 0, 0xb};
  std::optional<test::NamespacePair> namespaces_;
  std::optional<Wire> wire_;
  std::unique_ptr<SplicePrograms> programs_;
  std::optional<IngressAttachment> attachment_;
  uint32_t interface_ = 0;
};

TEST_F(SpliceWireTest, TcTranslatesPartialChecksumsAndLeavesThemPartial) {
  attach_tc();
  std::vector<SpliceVector> vectors = test::splice_vectors();
  for (SpliceVector& vector : test::generated_splice_vectors(kSeed, 2'000)) {
    if (vector.checksum_partial) vectors.push_back(std::move(vector));
  }
  size_t partial = 0;
  for (const SpliceVector& vector : vectors) {
    if (vector.verdict != FL_SPLICE_TRANSLATED || vector.gso_size != 0) continue;
    partial += vector.checksum_partial ? 1 : 0;
    expect_back(vector, 0);
    if (HasFailure()) break;
  }
  EXPECT_GT(partial, 100u);
}

TEST_F(SpliceWireTest, TcReadsHeadersThatLieOutsideTheLinearPart) {
  attach_tc();
  for (const bool v6 : {false, true}) {
    for (const bool partial : {false, true}) {
      const SpliceVector vector = large(v6, partial);
      ASSERT_GT(vector.packet.size(), kPage);
      // The kernel itself wants Ethernet in line, and with a partial checksum the 20 bytes of TCP.
      const size_t ip = v6 ? 40 : 20;
      for (const size_t linear :
           {size_t{14}, 14 + ip, 14 + ip + 19, 14 + ip + 20, 14 + ip + 33, 14 + ip + 44}) {
        expect_back(vector, linear);
      }
    }
  }
}

TEST_F(SpliceWireTest, TcPassesOtherPacketsWhoseHeadersLieOutsideTheLinearPart) {
  attach_tc();
  SpliceVector vector = large(false, false);
  install(vector.pair);
  vector.packet[20 + 13] = 0x12;  // SYN, ACK
  wire_->send({.vnet = describe(vector, 14), .packet = vector.packet}, kMac);
  vector.packet[6] = 0x20;  // first fragment
  wire_->send({.vnet = describe(vector, 14), .packet = vector.packet}, kMac);
  expect_back(large(true, false), 14);  // behind which both have been judged
  EXPECT_EQ(programs_->count(FL_SPLICE_UP_SYN), 1u);
  EXPECT_EQ(programs_->count(FL_SPLICE_DROP_FRAGMENT), 1u);
}

TEST_F(SpliceWireTest, SteeringReadsHeadersThatLieOutsideTheLinearPart) {
  const std::string directory =
      testing::TempDir() + "fairlead-splice-wire-" + std::to_string(::getpid());
  auto steering = Steering::attach("fl-b", {.runtime_directory = directory});
  ASSERT_TRUE(steering) << steering.error().to_string();
  for (const bool v6 : {false, true}) {
    const SpliceVector vector = large(v6, false);
    ASSERT_TRUE((*steering)->add_listener(vector.pair.client.local));
    wire_->send({.vnet = describe(vector, 14), .packet = vector.packet}, kMac);
  }
  const Time deadline = monotonic_now() + kPatience;
  while ((*steering)->counters().taken_listener < 2 && monotonic_now() < deadline) ::usleep(1000);
  EXPECT_EQ((*steering)->counters().taken_listener, 2u);
  steering->reset();
  std::filesystem::remove_all(directory);
}

TEST_F(SpliceWireTest, TcSendsASuperPacketOnWhole) {
  attach_tc();
  for (const bool v6 : {false, true}) {
    SpliceVector vector = large(v6, true);
    vector.pair.to_server.mtu = 1500;
    vector.gso_size = 1400;
    expect_back(vector, 14 + (v6 ? 40 : 20) + 56);
    install(vector.pair);
    wire_->send({.vnet = describe(vector, 0), .packet = vector.packet}, kMac);
    ASSERT_TRUE(wire_->receive());
    EXPECT_EQ(programs_->rule(vector.pair.client).packets, 6u) << "8,000 bytes by 1,400";
    EXPECT_EQ(programs_->rule(vector.pair.client).bytes, 8000u);
  }
}

TEST_F(SpliceWireTest, TcLeavesPacketsForOtherMachinesAlone) {
  attach_tc();
  const SpliceVector vector = test::splice_vectors().front();
  install(vector.pair);
  namespaces_->run_in_b("ip link set fl-b promisc on");
  wire_->send({.packet = vector.packet}, {2, 0, 0, 0, 0, 0xc});
  expect_back(vector, 0);
  EXPECT_EQ(programs_->count(FL_SPLICE_TRANSLATED), 1u);
}

TEST_F(SpliceWireTest, XdpTranslatesOnTheWire) {
  namespaces_->run_in_a("ip link set fl-a mtu 1500");
  namespaces_->run_in_b(
      "ip link set fl-b mtu 1500 && "
      "sysctl -qw net.ipv4.conf.all.forwarding=1 net.ipv6.conf.all.forwarding=1 && "
      "ip neigh replace 10.77.0.1 lladdr 02:00:00:00:00:0a dev fl-b && "
      "ip neigh replace fd77::1 lladdr 02:00:00:00:00:0a dev fl-b && "
      "ip route add default via 10.77.0.1 && ip -6 route add default via fd77::1 dev fl-b");
  programs_ = SplicePrograms::load(16, kMac);
  ASSERT_EQ(bpf_xdp_attach(static_cast<int>(interface_), programs_->xdp_fd(), 0, nullptr), 0);
  // XDP_TX on veth arrives only where there is a program, too: this one passes packets for fl-a.
  namespaces_->enter_a();
  const int other = static_cast<int>(::if_nametoindex("fl-a"));
  ASSERT_EQ(bpf_xdp_attach(other, programs_->xdp_fd(), 0, nullptr), 0);
  namespaces_->enter_b();
  uint64_t translated = 0;
  for (const SpliceVector& vector : test::splice_vectors()) {
    if (vector.verdict != FL_SPLICE_TRANSLATED || vector.checksum_partial || vector.gso_size != 0) {
      continue;
    }
    expect_back(vector, 0);
    ++translated;
    if (HasFailure()) break;
  }
  EXPECT_EQ(programs_->count(FL_SPLICE_TRANSLATED), translated) << "all of them by XDP";
}

}  // namespace
}  // namespace fairlead::nic
