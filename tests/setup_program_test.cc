// The kernel's copies of the setup rule, run by the kernel on the vectors that user space passes
// (BPF_PROG_TEST_RUN): byte for byte the same answers.
#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <cstring>
#include <memory>
#include <optional>

#include "base/check.h"
#include "nic/setup/setup.h"
#include "steering.skel.h"
#include "tests/namespaces.h"
#include "tests/setup_packets.h"
#include "tests/splice_programs.h"
#include "wire/tcp.h"

namespace fairlead::nic {
namespace {

using test::PacketBytes;
using test::ProgramRun;

class NoMachine final : public port::Router {
 public:
  Result<port::Path> resolve(const IpAddress&) override { return fail(Errc::kHostUnreachable); }
  std::optional<IpAddress> source_for(const IpAddress&) override { return std::nullopt; }
  std::optional<uint16_t> mtu_for(const IpAddress&) const override { return std::nullopt; }
  uint64_t generation() const override { return 0; }
  bool is_local(const IpAddress&) const override { return false; }
};

struct Closer {
  void operator()(steering_bpf* skeleton) const { steering_bpf__destroy(skeleton); }
};

fl_listener key_of(const Endpoint& endpoint) {
  fl_listener out{.address = {}, .port = endpoint.port, .reserved = {}};
  std::memcpy(&out.address, endpoint.address.bytes().data(), sizeof out.address);
  return out;
}

class SetupProgramTest : public testing::Test {
 protected:
  void SetUp() override {
    FAIRLEAD_REQUIRE_NAMESPACES();
    namespaces_.emplace();
    programs_.reset(steering_bpf__open());
    ASSERT_NE(programs_, nullptr);
    programs_->rodata->answers_syns = 1;
    ASSERT_EQ(steering_bpf__load(programs_.get()), 0);
    const uint32_t zero = 0;
    ASSERT_EQ(update(programs_->maps.setup_secrets, zero, test::kSetupSecrets), 0);
    for (const bool v6 : {false, true}) listen(test::setup_listener_endpoint(v6));
  }

  void listen(const Endpoint& endpoint, uint8_t flags = test::kSetupListener.flags) {
    fl_setup_listener listener = test::kSetupListener;
    listener.flags = flags;
    ASSERT_EQ(update(programs_->maps.listeners, key_of(endpoint), uint8_t{1}), 0);
    ASSERT_EQ(update(programs_->maps.setup_listeners, key_of(endpoint), listener), 0);
    ASSERT_TRUE(offload_.set_listener(endpoint, listener));
  }
  void stop_listening(const Endpoint& endpoint) {
    const fl_listener key = key_of(endpoint);
    ASSERT_EQ(bpf_map_delete_elem(bpf_map__fd(programs_->maps.setup_listeners), &key), 0);
    ASSERT_EQ(bpf_map_delete_elem(bpf_map__fd(programs_->maps.listeners), &key), 0);
  }

  template <typename Key, typename Value>
  static int update(const bpf_map* map, const Key& key, const Value& value) {
    return bpf_map_update_elem(bpf_map__fd(map), &key, &value, BPF_ANY);
  }
  uint64_t count(uint32_t verdict) const {
    std::vector<uint64_t> per_cpu(static_cast<size_t>(libbpf_num_possible_cpus()));
    CHECK(bpf_map_lookup_elem(bpf_map__fd(programs_->maps.verdicts), &verdict, per_cpu.data()) ==
          0);
    uint64_t sum = 0;
    for (const uint64_t value : per_cpu) sum += value;
    return sum;
  }
  ProgramRun run_tc(const PacketBytes& packet, bool checksum_complete = true) const {
    return test::run_on_skb(
        bpf_program__fd(programs_->progs.fl_ingress),
        {.packet = packet, .checksum_complete = checksum_complete, .source_mac = kClientMac});
  }
  /// How many bytes the socket gets. Run like this a filter sees no Ethernet header, whose bytes
  /// are made up for here.
  int run_filter(PacketBytes packet) const {
    packet.resize(packet.size() + 14);
    return test::run_on_skb(bpf_program__fd(programs_->progs.fl_filter),
                            {.packet = packet, .source_mac = kClientMac})
        .returned;
  }
  ProgramRun run_xdp(const PacketBytes& packet) const {
    return test::run_on_xdp(bpf_program__fd(programs_->progs.fl_setup_xdp),
                            {.packet = packet, .source_mac = kClientMac});
  }

  fl_setup_verdict verdict_in_user_space(const PacketBytes& packet) {
    const PacketBytes frame = in_frame(packet);
    port::TxPacket answer;
    answer.clear();
    return offload_.on_packet({.frame = frame}, monotonic_now(), answer).verdict;
  }
  static PacketBytes in_frame(const PacketBytes& packet) {
    PacketBytes frame(12);
    test::append16(frame, packet[0] >> 4 == 6 ? 0x86dd : 0x0800);
    frame.insert(frame.end(), packet.begin(), packet.end());
    return frame;
  }

  /// What user space makes of it at that time: the packet itself unless it is answered. Padding is
  /// the frame's and stays.
  PacketBytes in_user_space(const PacketBytes& packet, Time now) {
    const PacketBytes frame = in_frame(packet);
    port::TxPacket answer;
    answer.clear();
    if (offload_.on_packet({.frame = frame}, now, answer).verdict != FL_SETUP_ANSWERED) {
      return packet;
    }
    const ByteSpan bytes = answer.header_bytes().subspan(14);
    PacketBytes out(bytes.begin(), bytes.end());
    out.insert(out.end(), packet.begin() + static_cast<ptrdiff_t>(out.size()), packet.end());
    return out;
  }
  /// Runs a program and expects what user space makes of the packet just before or just after it:
  /// the answer holds the time.
  template <typename Run>
  ProgramRun expect_same(const PacketBytes& packet, Run run) {
    const PacketBytes before = in_user_space(packet, monotonic_now());
    const ProgramRun out = run(packet);
    const PacketBytes after = in_user_space(packet, monotonic_now());
    EXPECT_TRUE(out.packet == before || out.packet == after);
    const bool answered = before != packet;
    PacketBytes macs(12);
    std::copy(kClientMac.begin(), kClientMac.end(), macs.begin() + (answered ? 0 : 6));
    EXPECT_EQ(PacketBytes(out.ethernet.begin(), out.ethernet.begin() + 12), macs);
    return out;
  }

  static constexpr std::array<uint8_t, 6> kClientMac{2, 0, 0, 0, 0, 7};

  std::optional<test::NamespacePair> namespaces_;
  std::unique_ptr<steering_bpf, Closer> programs_;
  NoMachine machine_;
  SetupOffload offload_{machine_, test::kSetupSecrets};
};

TEST_F(SetupProgramTest, TcAnswersEveryVectorAsUserSpaceDoes) {
  for (const test::SetupVector& vector : test::setup_vectors()) {
    SCOPED_TRACE(vector.name);
    const uint64_t before = count(FL_ANSWERED_SYN);
    const ProgramRun run =
        expect_same(vector.packet, [this](const PacketBytes& p) { return run_tc(p); });
    const bool answered = vector.verdict == FL_SETUP_ANSWERED;
    EXPECT_EQ(run.returned == TC_ACT_REDIRECT, answered);
    EXPECT_EQ(count(FL_ANSWERED_SYN), before + (answered ? 1 : 0));
  }
}

TEST_F(SetupProgramTest, SocketGetsWhatIsNotAnswered) {
  std::vector<PacketBytes> packets;
  for (const test::SetupVector& vector : test::setup_vectors()) packets.push_back(vector.packet);
  for (uint64_t seed = 0; seed < 5'000; ++seed) {
    Rng rng(seed);
    packets.push_back(test::random_syn(rng));
  }
  size_t answered = 0;
  for (const PacketBytes& packet : packets) {
    const uint64_t fragments = count(FL_OURS_FRAGMENT);
    const int action = run_tc(packet).returned;
    answered += action == TC_ACT_REDIRECT ? 1 : 0;
    // What has a wrong checksum may be nobody's, as a fragment is.
    if (verdict_in_user_space(packet) == FL_SETUP_UP_MALFORMED) continue;
    if (count(FL_OURS_FRAGMENT) > fragments) continue;
    ASSERT_EQ(run_filter(packet) != 0, action == TC_ACT_SHOT);
  }
  EXPECT_GT(answered, 1000u);
}

TEST_F(SetupProgramTest, XdpAnswersEveryVectorAsUserSpaceDoes) {
  for (const test::SetupVector& vector : test::setup_vectors()) {
    SCOPED_TRACE(vector.name);
    const ProgramRun run =
        expect_same(vector.packet, [this](const PacketBytes& p) { return run_xdp(p); });
    EXPECT_EQ(run.returned, vector.verdict == FL_SETUP_ANSWERED ? XDP_TX : XDP_PASS);
  }
}

TEST_F(SetupProgramTest, RandomSynsAreAnsweredAsInUserSpace) {
  for (uint64_t seed = 0; seed < 5'000 && !HasFailure(); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Rng rng(seed);
    const PacketBytes packet = test::random_syn(rng);
    expect_same(packet, [this](const PacketBytes& p) { return run_tc(p); });
    expect_same(packet, [this](const PacketBytes& p) { return run_xdp(p); });
  }
}

TEST_F(SetupProgramTest, AcksGoToTheDaemonWhichConfirmsThem) {
  for (const bool v6 : {false, true}) {
    const ProgramRun run = run_tc(packet_of(test::linux_syn(v6)));
    const auto syn_ack = test::read_segment(run.packet);
    ASSERT_TRUE(syn_ack);
    const PacketBytes ack = packet_of(test::ack_segment(*syn_ack, 5));
    EXPECT_EQ(run_tc(ack).returned, TC_ACT_SHOT) << "the socket has its copy";
    EXPECT_NE(run_filter(ack), 0);
    EXPECT_EQ(run_xdp(ack).returned, XDP_PASS);
    EXPECT_EQ(verdict_in_user_space(ack), FL_SETUP_NEW_CONNECTION);
  }
}

TEST_F(SetupProgramTest, AckThatBringsNothingIsDroppedForAListenerThatWaitsForData) {
  for (const bool v6 : {false, true}) {
    const ProgramRun run = run_tc(packet_of(test::linux_syn(v6)));
    const auto syn_ack = test::read_segment(run.packet);
    ASSERT_TRUE(syn_ack);
    listen(test::setup_listener_endpoint(v6), FL_SETUP_ECN | FL_SETUP_DEFER);
    const test::Segment ack = test::ack_segment(*syn_ack, 5);
    const auto expect_deferred = [&](const test::Segment& segment, bool deferred) {
      const PacketBytes packet = packet_of(segment);
      const uint64_t before = count(FL_DEFERRED_ACK);
      EXPECT_EQ(run_filter(packet) == 0, deferred);
      EXPECT_EQ(run_tc(packet).returned, TC_ACT_SHOT);
      EXPECT_EQ(count(FL_DEFERRED_ACK), before + (deferred ? 1 : 0));
      EXPECT_EQ(verdict_in_user_space(packet) == FL_SETUP_DEFERRED, deferred);
    };
    expect_deferred(ack, true);
    expect_deferred(test::ack_segment(*syn_ack, 5, test::some_bytes(1)), false);
    for (const auto change : {+[](test::Segment& s) { s.flags |= wire::tcp_flag::kFin; },
                              +[](test::Segment& s) { s.flags |= wire::tcp_flag::kRst; },
                              +[](test::Segment& s) { ++s.seq; },  // proves nothing
                              +[](test::Segment& s) { ++s.ack; }}) {
      test::Segment other = ack;
      change(other);
      expect_deferred(other, false);
    }
    listen(test::setup_listener_endpoint(v6));
    expect_deferred(ack, false);
  }
}

TEST_F(SetupProgramTest, PartialChecksumStaysToBeCompleted) {
  for (const bool v6 : {false, true}) {
    test::Segment syn = test::linux_syn(v6);
    syn.partial_checksum = true;
    const ProgramRun run = run_tc(packet_of(syn), false);
    EXPECT_EQ(run.returned, TC_ACT_REDIRECT);
    PacketBytes completed = run.packet;
    test::complete_checksums(completed, true);
    EXPECT_EQ(run.packet, completed) << "the pseudo header's sum again";
    EXPECT_EQ(run_xdp(packet_of(syn)).returned, XDP_PASS) << "nobody completes it there";
  }
}

TEST_F(SetupProgramTest, UnspecifiedAddressStandsForThisMachinesOwn) {
  const uint8_t present = 1;
  for (const bool v6 : {false, true}) {
    const Endpoint listener = test::setup_listener_endpoint(v6);
    stop_listening(listener);
    listen({v6 ? IpAddress() : IpAddress::v4(0), listener.port});
    EXPECT_EQ(run_tc(packet_of(test::linux_syn(v6))).returned, TC_ACT_UNSPEC);
    ASSERT_EQ(update(programs_->maps.addresses, key_of(listener).address, present), 0);
    EXPECT_EQ(run_tc(packet_of(test::linux_syn(v6))).returned, TC_ACT_REDIRECT);
  }
}

}  // namespace
}  // namespace fairlead::nic
