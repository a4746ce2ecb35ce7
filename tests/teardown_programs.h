// Connections in teardown whose ordinary packets a program decides: packets at the edges of the
// rule, each with what must become of it, and random ones, which must be answered as by a Teardown
// without a program. One table and one comparison for each program: the rule in user space
// (teardown_rule_test), the packet socket's filter with the tc program behind it, and the XDP
// program (teardown_program_test, under BPF_PROG_TEST_RUN).
//
//     peer 198.51.100.7:40000 ── 192.0.2.1:80, 2001:db8::1:80
//          2001:db8:1::7
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nic/teardown/teardown.h"
#include "tests/setup_packets.h"

namespace fairlead::test {

/// What a program makes of a packet.
struct TeardownDecision {
  bool up = true;        // to the process
  PacketBytes answer{};  // what goes back; empty: nothing
};

/// A program, and the table it works by, all of which is shard 0's.
class TeardownProgram {
 public:
  explicit TeardownProgram(const nic::TeardownTable& its_table) : table(its_table) {}
  virtual ~TeardownProgram() = default;
  /// `now` is monotonic_now() for programs that read the clock.
  virtual TeardownDecision run(const PacketBytes& packet, Time now) = 0;

  nic::TeardownTable table;
};

/// The connection of all vectors.
FourTuple teardown_tuple(bool v6);

struct TeardownVector {
  std::string name;
  bool v6 = false;
  bool timestamps = false;  // agreed on
  nic::TeardownState state;
  PacketBytes packet;
  enum class Outcome : uint8_t { kUp, kTaken, kAnswered } outcome;
  /// What is known afterwards.
  bool fin_acked = false;
  bool peer_closed = false;
};
std::vector<TeardownVector> teardown_vectors();
/// Gives the vector's connection to the program, runs it, and expects what the vector says.
void expect_vector(const TeardownVector& vector, TeardownProgram& program);

/// A random connection, closed twice: by a Teardown, and by another one with the program before it.
/// The same packets come in, and the same must go out. How many of them the program has decided.
size_t compare_teardowns(TeardownProgram& program, uint64_t seed, Time now);

}  // namespace fairlead::test
