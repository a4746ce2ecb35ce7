// The kernel's copies of the teardown rule, run by the kernel on the vectors that user space passes
// (BPF_PROG_TEST_RUN), and compared with a Teardown without them.
#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "base/check.h"
#include "nic/teardown/teardown_map.h"
#include "steering.skel.h"
#include "tests/namespaces.h"
#include "tests/splice_programs.h"
#include "tests/teardown_programs.h"

namespace fairlead::nic {
namespace {

using test::PacketBytes;
using test::ProgramRun;
using test::TeardownDecision;

constexpr uint64_t kSeed = 4711;
constexpr std::array<uint8_t, 6> kPeerMac{2, 0, 0, 0, 0, 7};

struct Closer {
  void operator()(steering_bpf* skeleton) const { steering_bpf__destroy(skeleton); }
};

/// The programs, with a table and the vectors' listeners.
class Programs {
 public:
  Programs() : map_(*TeardownMap::create({.max_flows = 64, .hash_seed = kSeed})) {
    skeleton_.reset(steering_bpf__open());
    CHECK(skeleton_ != nullptr);
    CHECK(bpf_map__reuse_fd(skeleton_->maps.teardown_flows, map_->fd()) == 0);
    skeleton_->rodata->teardown_buckets = bpf_map__max_entries(skeleton_->maps.teardown_flows);
    skeleton_->rodata->hash_seed = kSeed;
    CHECK(steering_bpf__load(skeleton_.get()) == 0);
    for (const bool v6 : {false, true}) {
      const Endpoint endpoint = test::setup_listener_endpoint(v6);
      fl_listener key{.address = {}, .port = endpoint.port, .reserved = {}};
      std::memcpy(&key.address, endpoint.address.bytes().data(), sizeof key.address);
      const uint8_t present = 1;
      CHECK(bpf_map_update_elem(bpf_map__fd(skeleton_->maps.listeners), &key, &present, BPF_ANY) ==
            0);
    }
  }

  TeardownTable table() const { return map_->table(0); }
  uint64_t count(uint32_t verdict) const {
    std::vector<uint64_t> per_cpu(static_cast<size_t>(libbpf_num_possible_cpus()));
    CHECK(bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.verdicts), &verdict, per_cpu.data()) ==
          0);
    uint64_t sum = 0;
    for (const uint64_t value : per_cpu) sum += value;
    return sum;
  }
  uint64_t decided() const { return count(FL_ANSWERED_FIN) + count(FL_CLOSING_ACK); }
  ProgramRun run_tc(const PacketBytes& packet, bool checksum_complete) const {
    return test::run_on_skb(
        bpf_program__fd(skeleton_->progs.fl_ingress_closing),
        {.packet = packet, .checksum_complete = checksum_complete, .source_mac = kPeerMac});
  }
  /// Run like this a filter sees no Ethernet header, whose bytes are made up for here.
  bool filter_accepts(PacketBytes packet) const {
    packet.resize(packet.size() + 14);
    return test::run_on_skb(bpf_program__fd(skeleton_->progs.fl_filter_closing),
                            {.packet = packet, .source_mac = kPeerMac})
               .returned != 0;
  }
  ProgramRun run_xdp(const PacketBytes& packet) const {
    return test::run_on_xdp(bpf_program__fd(skeleton_->progs.fl_setup_xdp_closing),
                            {.packet = packet, .source_mac = kPeerMac});
  }

 private:
  std::unique_ptr<TeardownMap> map_;
  std::unique_ptr<steering_bpf, Closer> skeleton_;
};

/// Goes back to where it came from.
TeardownDecision answered(const ProgramRun& run) {
  const PacketBytes macs(run.ethernet.begin(), run.ethernet.begin() + 12);
  PacketBytes expected(12);
  std::copy(kPeerMac.begin(), kPeerMac.end(), expected.begin());
  EXPECT_EQ(macs, expected);
  return {.up = false, .answer = run.packet};
}

/// As a packet goes: first the packet socket's filter sees it, then the tc program.
class TcProgram final : public test::TeardownProgram {
 public:
  explicit TcProgram(const Programs& programs)
      : TeardownProgram(programs.table()), programs_(programs) {}

  TeardownDecision run(const PacketBytes& packet, Time) override {
    const uint64_t fragments = programs_.count(FL_OURS_FRAGMENT);
    const uint64_t before = programs_.decided();
    const bool accepted = programs_.filter_accepts(packet);
    const ProgramRun run = programs_.run_tc(packet, checksum_complete);
    if (programs_.decided() == before) {
      EXPECT_EQ(run.packet, packet);
      const bool dropped = programs_.count(FL_OURS_FRAGMENT) > fragments;
      EXPECT_EQ(accepted, run.returned == TC_ACT_SHOT && !dropped);
      return {};
    }
    EXPECT_FALSE(accepted);
    if (run.returned == TC_ACT_REDIRECT) return answered(run);
    EXPECT_EQ(run.returned, TC_ACT_SHOT);
    return {.up = false};
  }

  bool checksum_complete = true;

 private:
  const Programs& programs_;
};

class XdpProgram final : public test::TeardownProgram {
 public:
  explicit XdpProgram(const Programs& programs)
      : TeardownProgram(programs.table()), programs_(programs) {}

  TeardownDecision run(const PacketBytes& packet, Time) override {
    const uint64_t before = programs_.decided();
    const ProgramRun run = programs_.run_xdp(packet);
    EXPECT_EQ(programs_.decided() - before, run.returned == XDP_PASS ? 0u : 1u);
    if (run.returned == XDP_TX) return answered(run);
    EXPECT_EQ(run.packet, packet);
    return {.up = run.returned == XDP_PASS};
  }

 private:
  const Programs& programs_;
};

class TeardownProgramTest : public testing::Test {
 protected:
  void SetUp() override {
    FAIRLEAD_REQUIRE_NAMESPACES();
    namespaces_.emplace();
    programs_.emplace();
  }
  static void run_vectors(test::TeardownProgram& program) {
    for (const test::TeardownVector& vector : test::teardown_vectors()) {
      expect_vector(vector, program);
    }
  }
  static void compare(test::TeardownProgram& program) {
    size_t decided = 0;
    for (uint64_t seed = 0; seed < 1000 && !HasFailure(); ++seed) {
      decided += compare_teardowns(program, seed, monotonic_now());
    }
    EXPECT_GT(decided, 2000u);
  }

  std::optional<test::NamespacePair> namespaces_;
  std::optional<Programs> programs_;
};

TEST_F(TeardownProgramTest, TcDecidesEveryVector) {
  TcProgram program(*programs_);
  run_vectors(program);
}

TEST_F(TeardownProgramTest, XdpDecidesEveryVector) {
  XdpProgram program(*programs_);
  run_vectors(program);
}

TEST_F(TeardownProgramTest, TcAnswersAsATeardownDoes) {
  TcProgram program(*programs_);
  compare(program);
}

TEST_F(TeardownProgramTest, XdpAnswersAsATeardownDoes) {
  XdpProgram program(*programs_);
  compare(program);
}

/// A connection whose FIN is acknowledged by the peer's, which has come.
class OneFin : public TeardownProgramTest {
 protected:
  void SetUp() override {
    TeardownProgramTest::SetUp();
    if (!programs_) return;
    TeardownTable table = programs_->table();
    entry_ = table.reserve({.tuple = test::teardown_tuple(false),
                            .end = SeqNum(fin_.ack),
                            .fin_seq = SeqNum(fin_.seq)});
    ASSERT_NE(entry_, nullptr);
    word_ = TeardownTable::give(*entry_, FlowState{}, monotonic_now() + seconds(60));
  }

  test::Segment fin_{.from = test::teardown_tuple(false).remote,
                     .to = test::teardown_tuple(false).local,
                     .seq = 7,
                     .ack = 8,
                     .flags = 0x11};
  fl_teardown_entry* entry_ = nullptr;
  uint64_t word_ = 0;
};

TEST_F(OneFin, TcChangesNothingThatTheFilterHasNotDecided) {
  EXPECT_EQ(programs_->run_tc(packet_of(fin_), true).returned, TC_ACT_SHOT);
  EXPECT_EQ(programs_->decided(), 0u);
  EXPECT_EQ(TeardownTable::read(*entry_).word, word_);
}

TEST_F(OneFin, PartialChecksumStaysToBeCompleted) {
  fin_.partial_checksum = true;
  XdpProgram xdp(*programs_);
  EXPECT_TRUE(xdp.run(packet_of(fin_), {}).up) << "nobody completes it there";
  TcProgram tc(*programs_);
  tc.checksum_complete = false;
  const TeardownDecision decision = tc.run(packet_of(fin_), {});
  ASSERT_FALSE(decision.answer.empty());
  PacketBytes completed = decision.answer;
  test::complete_checksums(completed, true);
  EXPECT_EQ(decision.answer, completed) << "the pseudo header's sum again";
}

}  // namespace
}  // namespace fairlead::nic
