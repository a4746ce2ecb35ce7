// Which local ports the kernel may give to programs of its own: with ports of ours among them, the
// answers to such a program would come to us, and it would wait for them in vain.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "nic/steering/steering.h"

namespace fairlead::app {

/// `range` and `reserved` as the kernel writes net.ipv4.ip_local_port_range ("32768\t60999") and
/// net.ipv4.ip_local_reserved_ports ("8080,9000-9100", or empty). The first of our ports that the
/// kernel may choose; none when there is none. What can't be read is taken for no restriction.
std::optional<uint16_t> shared_port(nic::LocalPorts ours, std::string_view range,
                                    std::string_view reserved);

/// Of this network namespace: what to say about it; empty when there is nothing to say.
std::string kernel_ports_warning(nic::LocalPorts ours);

}  // namespace fairlead::app
