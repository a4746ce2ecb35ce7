// What splicing does to a packet, written a second time and plainly: fields are read, changed and
// written one by one, and checksums computed anew over the whole packet. It shares nothing with
// nic/splice/splice_rule.h but the pair's description, and judges it.
#pragma once

#include "base/bytes.h"
#include "nic/splice/rule.h"
#include "tests/splice_packets.h"

namespace fairlead::test {

struct NaiveInput {
  ByteSpan packet;  // from the IP header on; bytes behind its length are padding
  uint32_t gso_size = 0;
  bool checksum_partial = false;
};

struct NaiveOutcome {
  fl_splice_verdict verdict;
  PacketBytes packet;  // as it came unless translated
};

/// Of a packet on which the pair's rule for packets from the client (or from the server) is the
/// only one. Translating makes the checksums right, whatever they were. ICMP is not looked into.
NaiveOutcome naive_splice(const nic::SplicePair& pair, bool from_client, const NaiveInput& input);

/// True when every checksum of a plain packet is as its sender should have written it; `partial` as
/// SplicePacket.checksum_partial. The TCP checksum's two zeros count as one.
bool has_right_checksums(ByteSpan packet, bool partial);

}  // namespace fairlead::test
