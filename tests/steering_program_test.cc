// The kernel's copy of the steering rule, run by the kernel on the same packets as the user-space
// one (BPF_PROG_TEST_RUN), and what attaching and detaching leave behind.
#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <linux/pkt_cls.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <optional>
#include <string>

#include "base/unique_fd.h"
#include "nic/steering/steering.h"
#include "nic/teardown/teardown_map.h"
#include "port/af_packet.h"
#include "tests/namespaces.h"
#include "tests/steering_vectors.h"

namespace fairlead::nic {
namespace {

using test::NamespacePair;

class SteeringTest : public testing::Test {
 protected:
  void SetUp() override {
    FAIRLEAD_REQUIRE_NAMESPACES();
    namespaces_.emplace();
    directory_ = testing::TempDir() + "fairlead-steering-" + std::to_string(::getpid());
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  Result<std::unique_ptr<Steering>> try_attach(AttachMode mode = AttachMode::kAutomatic) {
    return Steering::attach("fl-b", {.attach = mode,
                                     .runtime_directory = directory_,
                                     .answer_syns = teardown_flows_ >= 0,
                                     .teardown_flows = teardown_flows_});
  }
  std::unique_ptr<Steering> attach(AttachMode mode = AttachMode::kAutomatic) {
    auto steering = try_attach(mode);
    if (!steering) {
      ADD_FAILURE() << steering.error().to_string();
      return nullptr;
    }
    return std::move(*steering);
  }

  /// Attaches in a child process which is then killed.
  void crash_attached(AttachMode mode) {
    int ready[2];
    ASSERT_EQ(::pipe(ready), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      const auto steering = try_attach(mode);
      const char result = steering ? 'y' : 'n';
      if (::write(ready[1], &result, 1) != 1) ::_exit(1);
      ::pause();
      ::_exit(1);
    }
    char result = 'n';
    EXPECT_EQ(::read(ready[0], &result, 1), 1);
    EXPECT_EQ(result, 'y');
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    ::close(ready[0]);
    ::close(ready[1]);
  }

  std::optional<NamespacePair> namespaces_;
  std::string directory_;
  int teardown_flows_ = -1;
};

TEST_F(SteeringTest, KernelGivesEveryVectorTheVerdictOfTheUserSpaceRule) {
  const auto steering = attach();
  ASSERT_TRUE(steering);
  for (const Endpoint& endpoint : test::vector_listeners()) {
    ASSERT_TRUE(steering->add_listener(endpoint));
  }
  for (const IpAddress& address : test::vector_addresses()) {
    ASSERT_TRUE(steering->add_local_address(address));
  }
  ASSERT_TRUE(steering->set_local_ports({test::kLocalPortFirst, test::kLocalPortLast}));

  for (const test::SteeringVector& vector : test::steering_vectors()) {
    bpf_test_run_opts run{};
    run.sz = sizeof run;
    run.data_in = vector.frame.data();
    run.data_size_in = static_cast<uint32_t>(vector.frame.size());
    const SteeringCounters before = steering->counters();
    ASSERT_EQ(bpf_prog_test_run_opts(steering->ingress_fd(), &run), 0) << vector.name;
    const bool hidden = vector.verdict == FL_OURS_LISTENER ||
                        vector.verdict == FL_OURS_LOCAL_PORT || vector.verdict == FL_OURS_FRAGMENT;
    EXPECT_EQ(static_cast<int>(run.retval), hidden ? TC_ACT_SHOT : TC_ACT_UNSPEC) << vector.name;
    uint64_t counted[FL_VERDICTS]{};
    const SteeringCounters after = steering->counters();
    counted[FL_PASS_NOT_TCP] = after.passed_not_tcp - before.passed_not_tcp;
    counted[FL_PASS_NOT_OURS] = after.passed_not_ours - before.passed_not_ours;
    counted[FL_OURS_LISTENER] = after.taken_listener - before.taken_listener;
    counted[FL_OURS_LOCAL_PORT] = after.taken_local_port - before.taken_local_port;
    counted[FL_OURS_FRAGMENT] = after.dropped_fragment - before.dropped_fragment;
    counted[FL_OURS_ICMP_ERROR] = after.copied_icmp_error - before.copied_icmp_error;
    EXPECT_GE(counted[vector.verdict], 1u) << vector.name;
  }
}

TEST_F(SteeringTest, FrameForAnotherMachineIsTheKernels) {
  const auto steering = attach();
  ASSERT_TRUE(steering);
  ASSERT_TRUE(steering->add_listener(test::vector_listeners().front()));
  std::vector<uint8_t> frame = test::steering_vectors().front().frame;
  frame[5] = 7;
  bpf_test_run_opts run{};
  run.sz = sizeof run;
  run.data_in = frame.data();
  run.data_size_in = static_cast<uint32_t>(frame.size());
  ASSERT_EQ(bpf_prog_test_run_opts(steering->ingress_fd(), &run), 0);
  EXPECT_EQ(static_cast<int>(run.retval), TC_ACT_UNSPEC);
  EXPECT_GE(steering->counters().passed_not_here, 1u);
}

TEST_F(SteeringTest, SecondFairleadOnTheInterfaceIsRefusedAndToldWhoHasIt) {
  const auto first = attach();
  ASSERT_TRUE(first);
  const auto second = try_attach();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::kAddressInUse);
  EXPECT_EQ(second.error().to_string(),
            "interface fl-b: in use by another Fairlead, process " + std::to_string(::getpid()));
}

TEST_F(SteeringTest, DetachingLeavesNeitherProgramNorLockFile) {
  for (const AttachMode mode : {AttachMode::kAutomatic, AttachMode::kClsact}) {
    attach(mode).reset();
    namespaces_->run_in_b("! tc filter show dev fl-b ingress | grep -q fl_ingress");
    EXPECT_TRUE(std::filesystem::is_empty(directory_));
    EXPECT_TRUE(attach(mode));
  }
}

TEST_F(SteeringTest, KilledFairleadOnTcxLeavesNothingBehind) {
  crash_attached(AttachMode::kTcx);
  const auto next = attach(AttachMode::kTcx);
  ASSERT_TRUE(next);
  EXPECT_FALSE(next->replaced_leftover());
}

TEST_F(SteeringTest, FilterLeftOnClsactByAKilledFairleadIsReplaced) {
  crash_attached(AttachMode::kClsact);
  namespaces_->run_in_b("tc filter show dev fl-b ingress | grep -q fl_ingress");
  auto next = attach(AttachMode::kClsact);
  ASSERT_TRUE(next);
  EXPECT_TRUE(next->replaced_leftover());
  next.reset();
  namespaces_->run_in_b("! tc filter show dev fl-b ingress | grep -q fl_ingress");
}

TEST_F(SteeringTest, WhatDecidesForConnectionsInTeardownIsReplacedLikewise) {
  const auto flows = TeardownMap::create({.max_flows = 100});
  ASSERT_TRUE(flows);
  teardown_flows_ = (*flows)->fd();
  crash_attached(AttachMode::kClsact);
  const auto next = attach(AttachMode::kClsact);
  ASSERT_NE(next, nullptr);
  EXPECT_TRUE(next->replaced_leftover());
  EXPECT_EQ(next->teardown_seat(), "tc");
  EXPECT_EQ(next->teardown_reason(), "");
}

TEST_F(SteeringTest, WithoutTheProgramsThatCloseConnectionsItStillSteersAndAnswersSyns) {
  // What they do with entries of this size no verifier takes.
  const UniqueFd flows(bpf_map_create(BPF_MAP_TYPE_ARRAY, "small", 4, 8, 1, nullptr));
  ASSERT_TRUE(flows);
  teardown_flows_ = flows.get();
  const auto steering = attach();
  ASSERT_NE(steering, nullptr);
  EXPECT_EQ(steering->teardown_seat(), "user");
  EXPECT_NE(steering->teardown_reason().find("BPF programs"), std::string::npos);
  EXPECT_EQ(steering->setup_seat(), "tc");
  EXPECT_EQ(steering->setup_reason(), "");
  EXPECT_GE(steering->filter_fd(), 0);
  EXPECT_GE(steering->ingress_fd(), 0);
}

TEST_F(SteeringTest, MissingInterfaceIsNamedInTheError) {
  const auto steering = Steering::attach("fl-nowhere", {.runtime_directory = directory_});
  ASSERT_FALSE(steering);
  EXPECT_EQ(steering.error().code, Errc::kNoDevice);
  EXPECT_EQ(steering.error().to_string(), "interface fl-nowhere: no such interface");
}

TEST_F(SteeringTest, MissingPrivilegeIsNamedInTheError) {
  std::filesystem::create_directory(directory_);
  std::filesystem::permissions(directory_, std::filesystem::perms::all);
  constexpr uid_t kNobody = 65534;
  ASSERT_EQ(::seteuid(kNobody), 0);
  const auto steering = try_attach();
  const auto ports = port::open_af_packet({.interface = "fl-b"});
  ASSERT_EQ(::seteuid(0), 0);
  ASSERT_FALSE(steering);
  EXPECT_EQ(steering.error().code, Errc::kPermission);
  EXPECT_EQ(steering.error().to_string(),
            "steering on fl-b: loading BPF programs needs CAP_BPF and CAP_NET_ADMIN (run as root)");
  ASSERT_FALSE(ports);
  EXPECT_EQ(ports.error().code, Errc::kPermission);
  EXPECT_EQ(ports.error().to_string(), "packet socket on fl-b: needs CAP_NET_RAW (run as root)");
}

TEST_F(SteeringTest, ListenersAreUniqueAndBounded) {
  const auto steering = attach();
  ASSERT_TRUE(steering);
  const Endpoint endpoint{IpAddress::v4(0x0a000001), 80};
  EXPECT_TRUE(steering->add_listener(endpoint));
  EXPECT_EQ(steering->add_listener(endpoint).error().code, Errc::kAddressInUse);
  EXPECT_TRUE(steering->remove_listener(endpoint));
  EXPECT_EQ(steering->remove_listener(endpoint).error().code, Errc::kNoEntry);
  Result<void> added;
  unsigned count = 0;
  for (; added && count < 10'000; ++count) {
    added = steering->add_listener({IpAddress::v4(0x0a000001), static_cast<uint16_t>(count + 1)});
  }
  EXPECT_FALSE(added);
  EXPECT_EQ(added.error().code, Errc::kNoBufferSpace);
  EXPECT_EQ(count, 8193u);
}

}  // namespace
}  // namespace fairlead::nic
