// Packets with the rule that applies to them and what must become of them. One table, run three
// times: in user space (splice_rule_test), and by the tc and the XDP program under
// BPF_PROG_TEST_RUN (splice_program_test).
//
//     client 198.51.100.7:40000 ── 192.0.2.1:80   10.0.0.1:61000 ── server 10.0.0.2:8080
//            2001:db8:1::7             2001:db8::1      fd00::1             fd00::2
#pragma once

#include <string>
#include <vector>

#include "nic/splice/rule.h"
#include "tests/splice_packets.h"

namespace fairlead::test {

struct SpliceVector {
  std::string name;
  nic::SplicePair pair;
  bool from_client = true;
  PacketBytes packet{};  // from its IP header on
  uint32_t gso_size = 0;
  bool checksum_partial = false;
  fl_splice_verdict verdict = FL_SPLICE_TRANSLATED;
  PacketBytes expected{};  // as it came unless translated
};

/// Written by hand: the edges.
std::vector<SpliceVector> splice_vectors();

/// Random pairs and packets, with what the naive translator makes of them. Numbers lie close to
/// where they wrap more often than not, and about a tenth of the packets is not for translating.
std::vector<SpliceVector> generated_splice_vectors(uint32_t seed, size_t count);

/// The pair of the drawing, IPv4 or IPv6; each test changes what it is about.
nic::SplicePair vector_pair(bool v6 = false);

/// A random pair, and a random packet for it; for those who check against the naive translator.
SpliceVector generated_splice_vector(uint32_t seed);

/// The packet's protocol number in an Ethernet header.
uint16_t ether_type_of(const PacketBytes& packet);

}  // namespace fairlead::test
