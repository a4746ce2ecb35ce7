// The kernel's seat: attaching, its table, restarts, what is left behind. Packets are translated in
// splice_seat_traffic_test.cc.
#include <bpf/bpf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <net/if.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "nic/splice/bpf_seat.h"
#include "nic/steering/steering.h"
#include "tests/namespaces.h"

namespace fairlead::nic {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr auto kTcxIngress = static_cast<bpf_attach_type>(46);

IpAddress address(std::string_view text) { return *IpAddress::parse(text); }

bool exists(const std::string& path) {
  struct stat found{};
  return ::stat(path.c_str(), &found) == 0;
}

/// The TCX programs of an interface, in their order.
std::vector<uint32_t> programs_on(const std::string& interface) {
  std::vector<uint32_t> ids(16);
  auto count = static_cast<uint32_t>(ids.size());
  uint32_t flags = 0;
  const int index = static_cast<int>(::if_nametoindex(interface.c_str()));
  EXPECT_EQ(bpf_prog_query(index, kTcxIngress, 0, &flags, ids.data(), &count), 0);
  ids.resize(count);
  return ids;
}

std::string name_of(uint32_t program) {
  const UniqueFd fd(bpf_prog_get_fd_by_id(program));
  bpf_prog_info info{};
  uint32_t size = sizeof info;
  EXPECT_EQ(bpf_obj_get_info_by_fd(fd.get(), &info, &size), 0);
  return info.name;
}

std::vector<std::string> names_on(const std::string& interface) {
  std::vector<std::string> names;
  for (const uint32_t id : programs_on(interface)) names.push_back(name_of(id));
  return names;
}

/// The n-th connection, both ways out by `interface`.
SplicePair pair_number(uint16_t n, const std::string& interface) {
  const uint32_t index = ::if_nametoindex(interface.c_str());
  return {.client = {{address("10.77.0.2"), 80}, {address("10.77.0.1"), n}},
          .server = {{address("10.77.0.2"), n}, {address("10.77.0.1"), 60000}},
          .seq_offset = 5,
          .ack_offset = 7,
          .scales = {},
          .to_server = {.interface = index, .next_hop = address("10.77.0.1")},
          .to_client = {.interface = index, .next_hop = address("10.77.0.1")},
          .generation = n};
}

class SpliceSeatTest : public testing::Test {
 protected:
  void SetUp() override {
    FAIRLEAD_REQUIRE_NAMESPACES();
    namespaces_.emplace();
    runtime_ = testing::TempDir() + "fairlead-seat-" + std::to_string(::getpid());
    options_ = {.interfaces = {{.name = "fl-b"}},
                .max_rules = 64,
                .shards = 2,
                .hash_seed = 42,
                .directory = "/sys/fs/bpf/fl-test-" + std::to_string(::getpid()),
                .runtime_directory = runtime_};
  }
  void TearDown() override {
    if (options_.directory.empty()) return;
    std::filesystem::remove_all(options_.directory);
    std::filesystem::remove_all(runtime_);
  }

  std::unique_ptr<BpfSeat> open() {
    opened_ = BpfSeat::open(options_);
    for (const InterfaceSeat& interface : opened_.interfaces) {
      if (!opened_.seat) ADD_FAILURE() << interface.name << ": " << interface.reason;
    }
    return std::move(opened_.seat);
  }
  SpliceRecords install(BpfSeat& seat, uint16_t n) {
    SpliceRecords records = records_of(pair_number(n, "fl-b"));
    const Result<void> installed = seat.install(records);
    EXPECT_TRUE(installed) << installed.error().to_string();
    return records;
  }
  /// Another process opens the seat, installs pair 1, and is killed.
  void open_install_and_die() {
    const pid_t child = ::fork();
    if (child == 0) {
      BpfSeat::Opened opened = BpfSeat::open(options_);
      if (opened.seat) (void)opened.seat->install(records_of(pair_number(1, "fl-b")));
      ::kill(::getpid(), SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
  }
  std::string pins() const {
    return options_.directory + '/' + std::to_string(*network_namespace());
  }

  std::optional<test::NamespacePair> namespaces_;
  std::string runtime_;
  BpfSeat::Options options_;
  BpfSeat::Opened opened_;
};

TEST_F(SpliceSeatTest, SitsInFrontOfSteeringWhicheverComesFirst) {
  const auto seat = open();
  ASSERT_TRUE(seat);
  ASSERT_THAT(opened_.interfaces, SizeIs(1));
  EXPECT_EQ(opened_.interfaces[0].seat, SpliceSeat::kTc);
  EXPECT_EQ(opened_.interfaces[0].how, "tcx");
  EXPECT_EQ(opened_.interfaces[0].reason, "");
  auto steering = Steering::attach("fl-b", {.runtime_directory = runtime_,
                                            .splice_rules = seat->rules_fd(),
                                            .splice_link = opened_.interfaces[0].tcx_link});
  ASSERT_TRUE(steering) << steering.error().to_string();
  EXPECT_THAT(names_on("fl-b"), ElementsAre("fl_splice_ingre", "fl_ingress"));
}

TEST_F(SpliceSeatTest, SitsInFrontOfSteeringOnClsactToo) {
  options_.attach = AttachMode::kClsact;
  auto seat = open();
  ASSERT_TRUE(seat);
  EXPECT_EQ(opened_.interfaces[0].how, "clsact");
  auto steering = Steering::attach("fl-b", {.attach = AttachMode::kClsact,
                                            .runtime_directory = runtime_,
                                            .splice_rules = seat->rules_fd()});
  ASSERT_TRUE(steering) << steering.error().to_string();
  const auto index = static_cast<int>(::if_nametoindex("fl-b"));
  EXPECT_TRUE(has_clsact_filter(index, IngressRole::kSplice));
  EXPECT_TRUE(has_clsact_filter(index, IngressRole::kSteering));
  steering->reset();
  seat.reset();
  EXPECT_FALSE(has_clsact_filter(index, IngressRole::kSplice));
  EXPECT_FALSE(has_clsact_filter(index, IngressRole::kSteering));
}

TEST_F(SpliceSeatTest, AKilledProcessLeavesRulesAndProgramForTheNext) {
  open_install_and_die();
  const std::vector<uint32_t> before = programs_on("fl-b");
  ASSERT_THAT(before, SizeIs(1));
  options_.hash_seed = 43;
  options_.max_rules = 128;
  const auto seat = open();
  ASSERT_TRUE(seat);
  EXPECT_TRUE(opened_.interfaces[0].adopted);
  EXPECT_THAT(opened_.notes, IsEmpty());
  const std::vector<uint32_t> after = programs_on("fl-b");
  ASSERT_THAT(after, SizeIs(1));
  EXPECT_NE(after, before);
  EXPECT_EQ(seat->size(), 2u);
  EXPECT_EQ(seat->hash_seed(), 42u);
  EXPECT_FALSE(seat->shard_by_rule());
  std::vector<SplicePair> pairs;
  EXPECT_EQ(seat->for_each_pair([&](const SplicePair& pair) { pairs.push_back(pair); }), 0u);
  EXPECT_THAT(pairs, ElementsAre(pair_number(1, "fl-b")));
}

TEST_F(SpliceSeatTest, AKilledProcessOnClsactLeavesThemToo) {
  options_.attach = AttachMode::kClsact;
  open_install_and_die();
  const auto seat = open();
  ASSERT_TRUE(seat);
  EXPECT_TRUE(opened_.interfaces[0].adopted);
  EXPECT_EQ(seat->size(), 2u);
}

TEST_F(SpliceSeatTest, RulesOfAnotherNumberOfShardsDecideTheirPacketsShard) {
  open_install_and_die();
  options_.shards = 3;
  EXPECT_TRUE(open()->shard_by_rule());
  EXPECT_TRUE(open()->shard_by_rule());  // as long as there are such rules
  options_.shards = 4;
  const auto seat = open();
  SpliceRecords records = records_of(pair_number(1, "fl-b"));
  EXPECT_TRUE(seat->remove(records));
}

TEST_F(SpliceSeatTest, RulesThatNoProgramWorksByAreThrownAway) {
  open_install_and_die();
  const std::string link = pins() + "/tc-" + std::to_string(::if_nametoindex("fl-b"));
  const UniqueFd fd(bpf_obj_get(link.c_str()));
  ASSERT_EQ(bpf_link_detach(fd.get()), 0);
  EXPECT_THAT(programs_on("fl-b"), IsEmpty());
  const auto seat = open();
  ASSERT_TRUE(seat);
  EXPECT_EQ(seat->size(), 0u);
  EXPECT_THAT(opened_.notes, ElementsAre(HasSubstr("2 rules which no program works by")));
}

TEST_F(SpliceSeatTest, NothingIsLeftOfASeatClosedDown) {
  auto seat = open();
  ASSERT_TRUE(seat);
  install(*seat, 1);
  seat->close_down();
  EXPECT_THAT(programs_on("fl-b"), IsEmpty());
  EXPECT_FALSE(exists(options_.directory));
  seat.reset();
  EXPECT_EQ(open()->size(), 0u);
}

TEST_F(SpliceSeatTest, NothingIsLeftOfASeatWithoutRules) {
  auto seat = open();
  ASSERT_TRUE(seat);
  SpliceRecords records = install(*seat, 1);
  EXPECT_TRUE(seat->remove(records));
  seat.reset();
  EXPECT_THAT(programs_on("fl-b"), IsEmpty());
  EXPECT_FALSE(exists(options_.directory));
}

TEST_F(SpliceSeatTest, ASeatWithRulesStaysWhenItsOwnerGoes) {
  auto seat = open();
  ASSERT_TRUE(seat);
  install(*seat, 1);
  seat.reset();
  EXPECT_THAT(names_on("fl-b"), ElementsAre("fl_splice_ingre"));
  EXPECT_EQ(open()->size(), 2u);
}

TEST_F(SpliceSeatTest, WhatAnEarlierOneHadOnAnotherInterfaceIsRemoved) {
  namespaces_->run_in_b("ip link add fl-c type veth peer name fl-d");
  options_.interfaces = {{.name = "fl-b"}, {.name = "fl-c"}};
  auto seat = open();
  ASSERT_TRUE(seat);
  install(*seat, 1);
  seat.reset();
  EXPECT_THAT(programs_on("fl-c"), SizeIs(1));
  options_.interfaces = {{.name = "fl-b"}};
  seat = open();
  EXPECT_THAT(opened_.notes, ElementsAre(HasSubstr("left by an earlier Fairlead; removed")));
  EXPECT_THAT(programs_on("fl-c"), IsEmpty());
  EXPECT_EQ(seat->size(), 2u);
}

TEST_F(SpliceSeatTest, ATableOfAnotherLayoutIsRemovedAndSaidSo) {
  auto seat = open();
  ASSERT_TRUE(seat);
  install(*seat, 1);
  const std::string old = pins() + "/rules-v0";
  ASSERT_EQ(bpf_obj_pin(seat->rules_fd(), old.c_str()), 0);
  seat.reset();
  seat = open();
  EXPECT_THAT(opened_.notes, ElementsAre(HasSubstr("another version of Fairlead")));
  EXPECT_FALSE(exists(old));
}

TEST_F(SpliceSeatTest, BothRulesAreInOrNone) {
  options_.max_rules = 3;
  const auto seat = open();
  ASSERT_TRUE(seat);
  SpliceRecords first = install(*seat, 1);
  const Result<void> full = seat->install(records_of(pair_number(2, "fl-b")));
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, Errc::kNoBufferSpace);
  EXPECT_EQ(seat->size(), 2u);
  const Result<void> twice = seat->install(first);
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().code, Errc::kAddressInUse);
  EXPECT_EQ(seat->size(), 2u);
  EXPECT_TRUE(seat->remove(first));
  EXPECT_EQ(seat->size(), 0u);
  install(*seat, 2);
}

TEST_F(SpliceSeatTest, AnEmptyTableTakesANewCapacity) {
  open();
  options_.max_rules = 2;
  const auto seat = open();
  install(*seat, 1);
  EXPECT_FALSE(seat->install(records_of(pair_number(2, "fl-b"))));
}

TEST_F(SpliceSeatTest, AWayOutByAnInterfaceWithoutASeatIsNotSupported) {
  const auto seat = open();
  ASSERT_TRUE(seat);
  for (const char* other : {"lo", "none"}) {
    SplicePair pair = pair_number(1, "fl-b");
    pair.to_client.interface = ::if_nametoindex(other);
    const Result<void> installed = seat->install(records_of(pair));
    ASSERT_FALSE(installed);
    EXPECT_EQ(installed.error().code, Errc::kNotSupported);
  }
  EXPECT_EQ(seat->size(), 0u);
}

TEST_F(SpliceSeatTest, WhatIsReadIsWhatTheRuleCounted) {
  const auto seat = open();
  ASSERT_TRUE(seat);
  SpliceRecords records = records_of(pair_number(1, "fl-b"));
  records.from_client.rule.packets = 3;
  records.from_client.rule.state = FL_SPLICE_PEER_FIN;
  ASSERT_TRUE(seat->install(records));
  SpliceRecords read = records_of(pair_number(1, "fl-b"));
  EXPECT_TRUE(seat->read(read));
  EXPECT_EQ(read.from_client.rule.packets, 3u);
  EXPECT_EQ(read.from_client.rule.state, uint32_t{FL_SPLICE_PEER_FIN});
  EXPECT_TRUE(seat->remove(read));
  EXPECT_FALSE(seat->remove(read));
  EXPECT_EQ(read.from_client.rule.packets, 0u);
}

TEST_F(SpliceSeatTest, RewiringLeavesWhatPacketsHaveChanged) {
  const auto seat = open();
  ASSERT_TRUE(seat);
  SpliceRecords records = records_of(pair_number(1, "fl-b"));
  records.from_server.rule.packets = 9;
  ASSERT_TRUE(seat->install(records));
  SplicePair pair = pair_number(1, "fl-b");
  pair.to_client = {
      .interface = pair.to_client.interface, .next_hop = address("10.77.0.254"), .mtu = 1280};
  pair.shard = 1;
  ASSERT_TRUE(seat->rewire(records_of(pair)));
  SpliceRecords read = records_of(pair);
  ASSERT_TRUE(seat->read(read));
  EXPECT_EQ(read.from_server.rule.packets, 9u);
  EXPECT_EQ(pair_of(read.from_client, read.from_server), pair);
  ASSERT_TRUE(seat->remove(read));
  const Result<void> gone = seat->rewire(records_of(pair));
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, Errc::kNoEntry);
}

TEST_F(SpliceSeatTest, WhatIsSentUpStaysSoUntilItIsRewired) {
  const auto seat = open();
  ASSERT_TRUE(seat);
  SpliceRecords records = records_of(pair_number(1, "fl-b"));
  records.from_client.rule.window = 1000;
  records.from_client.rule.state = FL_SPLICE_PEER_FIN;
  ASSERT_TRUE(seat->install(records));
  for (SpliceRecord* record : {&records.from_client, &records.from_server}) record->rule.shard = 1;
  seat->send_up(records);
  SpliceRecords read = records;
  ASSERT_TRUE(seat->read(read));
  EXPECT_EQ(read.from_client.rule.shard, 1);
  EXPECT_EQ(read.from_server.rule.shard, 1);
  EXPECT_EQ(read.from_client.rule.state, FL_SPLICE_PEER_FIN | FL_SPLICE_SENT_UP);
  EXPECT_EQ(read.from_server.rule.state, FL_SPLICE_SENT_UP);
  ASSERT_TRUE(seat->rewire(records));
  ASSERT_TRUE(seat->read(read));
  EXPECT_EQ(read.from_client.rule.state, FL_SPLICE_PEER_FIN);
  EXPECT_EQ(read.from_client.rule.window, FL_SPLICE_ANY_WINDOW);
  EXPECT_EQ(read.from_server.rule.state, 0u);
}

TEST_F(SpliceSeatTest, RulesThatAreNoPairsAreTakenOut) {
  const auto seat = open();
  ASSERT_TRUE(seat);
  install(*seat, 1);
  SpliceRecords half = install(*seat, 2);
  ASSERT_EQ(bpf_map_delete_elem(seat->rules_fd(), &half.from_client.key), 0);
  SpliceRecords other = records_of(pair_number(3, "fl-b"));
  other.from_client.rule.generation = 77;
  ASSERT_TRUE(seat->install(other));
  int pairs = 0;
  EXPECT_EQ(seat->for_each_pair([&](const SplicePair&) { ++pairs; }), 3u);
  EXPECT_EQ(pairs, 1);
  EXPECT_EQ(seat->size(), 2u);
}

TEST_F(SpliceSeatTest, AFullTableIsWalkedWhole) {
  options_.max_rules = 20000;
  const auto seat = open();
  ASSERT_TRUE(seat);
  for (uint16_t n = 1; n <= 10000; ++n) install(*seat, n);
  EXPECT_EQ(seat->size(), 20000u);
}

TEST_F(SpliceSeatTest, TwoInterfacesShareOneTable) {
  namespaces_->run_in_b("ip link add fl-c type veth peer name fl-d");
  options_.interfaces = {{.name = "fl-b"}, {.name = "fl-c", .choice = SeatChoice::kTc}};
  const auto seat = open();
  ASSERT_TRUE(seat);
  EXPECT_THAT(names_on("fl-b"), ElementsAre("fl_splice_ingre"));
  EXPECT_EQ(programs_on("fl-b"), programs_on("fl-c"));
  SplicePair pair = pair_number(1, "fl-b");
  pair.to_server.interface = ::if_nametoindex("fl-c");
  EXPECT_TRUE(seat->install(records_of(pair)));
}

// ---- what can't be had ----

TEST_F(SpliceSeatTest, XdpIsNativeWhereTheDriverCan) {
  options_.interfaces[0].choice = SeatChoice::kXdp;
  auto seat = open();
  ASSERT_TRUE(seat);
  EXPECT_EQ(seat->seat(), SpliceSeat::kXdp);
  EXPECT_EQ(opened_.interfaces[0].how, "native");
  EXPECT_EQ(opened_.interfaces[0].reason, "");
  EXPECT_THAT(names_on("fl-b"), ElementsAre("fl_splice_ingre"));
  install(*seat, 1);
  seat.reset();
  seat = open();
  EXPECT_EQ(opened_.interfaces[0].how, "native");
  EXPECT_EQ(seat->size(), 2u);
}

TEST_F(SpliceSeatTest, XdpIsGenericWhereTheDriverCanNot) {
  namespaces_->run_in_b("ip link add fl-bridge type bridge");
  options_.interfaces = {{.name = "fl-bridge", .choice = SeatChoice::kXdp}};
  const auto seat = open();
  ASSERT_TRUE(seat);
  EXPECT_EQ(opened_.interfaces[0].seat, SpliceSeat::kXdp);
  EXPECT_EQ(opened_.interfaces[0].how, "generic");
  EXPECT_THAT(opened_.interfaces[0].reason, HasSubstr("the driver's native xdp"));
}

TEST_F(SpliceSeatTest, XdpThatIsTakenBySomebodyElseBecomesTc) {
  options_.interfaces[0].choice = SeatChoice::kXdp;
  BpfSeat::Options other = options_;
  other.directory += "-other";
  other.runtime_directory += "-other";
  const BpfSeat::Opened somebody = BpfSeat::open(other);
  ASSERT_EQ(somebody.interfaces[0].seat, SpliceSeat::kXdp);
  const auto seat = open();
  ASSERT_TRUE(seat);
  EXPECT_EQ(opened_.interfaces[0].seat, SpliceSeat::kTc);
  EXPECT_THAT(opened_.interfaces[0].reason, HasSubstr("xdp"));
  std::filesystem::remove_all(other.runtime_directory);
}

TEST_F(SpliceSeatTest, UserIsNoSeatInTheKernelAndEndsAnEarlierOnes) {
  open_install_and_die();
  options_.interfaces[0].choice = SeatChoice::kUser;
  opened_ = BpfSeat::open(options_);
  EXPECT_FALSE(opened_.seat);
  EXPECT_EQ(opened_.interfaces[0].seat, SpliceSeat::kUser);
  EXPECT_EQ(opened_.interfaces[0].reason, "");
  EXPECT_FALSE(exists(options_.directory));
  EXPECT_THAT(programs_on("fl-b"), IsEmpty());
}

TEST_F(SpliceSeatTest, WithoutABpfFileSystemTheReasonSaysSo) {
  options_.directory = runtime_ + "/pins";
  opened_ = BpfSeat::open(options_);
  EXPECT_FALSE(opened_.seat);
  EXPECT_EQ(opened_.interfaces[0].seat, SpliceSeat::kUser);
  EXPECT_THAT(opened_.interfaces[0].reason, HasSubstr("mount -t bpf"));
}

TEST_F(SpliceSeatTest, AnotherFairleadInTheNamespaceIsNamed) {
  const auto seat = open();
  ASSERT_TRUE(seat);
  const BpfSeat::Opened second = BpfSeat::open(options_);
  EXPECT_FALSE(second.seat);
  EXPECT_THAT(second.interfaces[0].reason, HasSubstr("in use by another Fairlead"));
  EXPECT_THAT(programs_on("fl-b"), SizeIs(1));
}

TEST_F(SpliceSeatTest, WithoutPrivilegeTheReasonNamesIt) {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct before[2];
  ASSERT_EQ(::syscall(SYS_capget, &header, before), 0);
  __user_cap_data_struct none[2];
  std::memcpy(none, before, sizeof none);
  none[0].effective = 1u << CAP_DAC_OVERRIDE;
  none[1].effective = 0;
  ASSERT_EQ(::syscall(SYS_capset, &header, none), 0);
  opened_ = BpfSeat::open(options_);
  ASSERT_EQ(::syscall(SYS_capset, &header, before), 0);
  EXPECT_FALSE(opened_.seat);
  EXPECT_THAT(opened_.interfaces[0].reason, HasSubstr("CAP_BPF"));
}

}  // namespace
}  // namespace fairlead::nic
