// What the kernel says of one network interface: index, kind, address, limits.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "wire/address.h"

namespace fairlead::port {

struct InterfaceInfo {
  std::string name;
  int index = 0;
  MacAddress mac;
  uint16_t mtu = 1500;            // bytes; loopback's 65,536 is given as 65,535
  uint32_t gso_max_size = 65536;  // longest super-packet frame the driver takes, bytes
  bool up = false;
};

/// Asks the kernel, over rtnetlink, in the calling thread's network namespace. ENODEV: no interface
/// of that name. EOPNOTSUPP: its frames are not Ethernet's.
Result<InterfaceInfo> query_interface(const std::string& name);

/// Whether the kernel merges what the interface receives (generic receive offload) before a packet
/// socket sees it. Asks over ethtool, in the calling thread's network namespace.
Result<bool> has_receive_offload(const std::string& name);

/// One end of a virtual pair: its driver says so over ethtool.
bool is_veth(const std::string& name);

/// Names of the Ethernet interfaces that are up and have an address that is not link-local, in the
/// order of their names: those through which this machine speaks. Neither loopback nor ports of a
/// bridge are among them.
Result<std::vector<std::string>> addressed_interfaces();

}  // namespace fairlead::port
