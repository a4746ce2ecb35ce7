// Which interfaces a configuration without an interface line gets.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "port/interface_info.h"
#include "tests/namespaces.h"

namespace fairlead::port {
namespace {

using Names = std::vector<std::string>;

TEST(AddressedInterfaces, AreEthernetUpAndHaveAnAddressBeyondTheLink) {
  FAIRLEAD_REQUIRE_NAMESPACES();
  const test::NamespacePair namespaces;  // this thread is in B: lo and fl-b are up
  EXPECT_EQ(*addressed_interfaces(), Names{"fl-b"});

  namespaces.run_in_b(
      "ip link add z0 type veth peer name a0 && ip link set z0 up && ip link set a0 up");
  EXPECT_EQ(*addressed_interfaces(), Names{"fl-b"}) << "link-local addresses only";
  namespaces.run_in_b("ip addr add 10.78.0.1/24 dev z0 && ip addr add fd78::1/64 dev a0 nodad");
  EXPECT_EQ(*addressed_interfaces(), (Names{"a0", "fl-b", "z0"}));

  namespaces.run_in_b("ip link set fl-b down");
  EXPECT_EQ(*addressed_interfaces(), (Names{"a0", "z0"}));
  namespaces.run_in_b("ip addr flush dev z0 && ip addr flush dev a0");
  EXPECT_EQ(*addressed_interfaces(), Names{});
}

}  // namespace
}  // namespace fairlead::port
