// Packets with the verdict the steering rule must give them. One table, run twice: in user space
// (steering_rule_test) and by the kernel's own copy of the rule under BPF_PROG_TEST_RUN
// (steering_program_test).
//
// The tables they are judged by:
//
//     listeners          10.0.0.1:80   [2001:db8::1]:80   0.0.0.0:7000   [::]:7000
//     local addresses    10.0.0.1      2001:db8::1
//     local ports        61000-61999
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nic/steering/steering_tables.h"
#include "wire/address.h"

namespace fairlead::test {

struct SteeringVector {
  std::string name;
  std::vector<uint8_t> frame;  // Ethernet, destination 00:00:00:00:00:00
  fl_verdict verdict;
};

std::vector<SteeringVector> steering_vectors();

inline constexpr uint16_t kLocalPortFirst = 61000;
inline constexpr uint16_t kLocalPortLast = 61999;
std::vector<Endpoint> vector_listeners();
std::vector<IpAddress> vector_addresses();

}  // namespace fairlead::test
