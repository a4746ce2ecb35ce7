#include "app/kernel_ports.h"

#include <gtest/gtest.h>

namespace fairlead::app {
namespace {

constexpr nic::LocalPorts kOurs{.first = 61000, .last = 65535};

TEST(KernelPorts, LinuxDefaultRangeLeavesOursAlone) {
  EXPECT_EQ(shared_port(kOurs, "32768\t60999", ""), std::nullopt);
}

TEST(KernelPorts, ARangeThatReachesIntoOursSharesTheFirstSuchPort) {
  EXPECT_EQ(shared_port(kOurs, "1024\t65000", ""), 61000);
  EXPECT_EQ(shared_port(kOurs, "64000 65535", ""), 64000);
}

TEST(KernelPorts, ReservedPortsAreNotShared) {
  EXPECT_EQ(shared_port(kOurs, "1024\t65000", "61000-65535"), std::nullopt);
  EXPECT_EQ(shared_port(kOurs, "1024\t65000", "8080,61000-61999,62000"), 62001);
}

TEST(KernelPorts, WhatCannotBeReadIsNoRestriction) {
  EXPECT_EQ(shared_port(kOurs, "", ""), 61000);
  EXPECT_EQ(shared_port(kOurs, "32768\t60999", "x,-,"), std::nullopt);
}

}  // namespace
}  // namespace fairlead::app
