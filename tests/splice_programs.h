// The splice programs, loaded with a table of their own, for tests that run them on packets of
// theirs (BPF_PROG_TEST_RUN), and the packet socket's filter on the same table.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "nic/splice/rule.h"
#include "tests/splice_packets.h"

namespace fairlead::test {

struct ProgramRun {
  int returned = 0;        // TC_ACT_..., XDP_..., or how many bytes the socket gets
  PacketBytes packet{};    // as the program left it, from its IP header on
  PacketBytes ethernet{};  // the 14 bytes before
};

struct ProgramInput {
  PacketBytes packet;  // from its IP header on
  uint32_t gso_size = 0;
  /// skb->csum holds the sum of all bytes, which the kernel checks again after the run.
  bool checksum_complete = false;
  uint32_t interface = 0;               // XDP: where it comes in; 0: the loopback interface
  std::array<uint8_t, 6> source_mac{};  // its destination is the loopback interface's, all zero
};

/// Any tc program or socket filter, and any XDP program; aborts when the kernel refuses.
ProgramRun run_on_skb(int program, const ProgramInput& input);
ProgramRun run_on_xdp(int program, const ProgramInput& input);

class SplicePrograms {
 public:
  /// Loads them for `entries` rules; aborts when the kernel refuses. `mac` is what the XDP program
  /// takes for its interface's address.
  static std::unique_ptr<SplicePrograms> load(uint32_t entries,
                                              const std::array<uint8_t, 6>& mac = {});
  virtual ~SplicePrograms() = default;

  /// Both rules of the pair, in place of what was there under their keys. Steering takes packets to
  /// our ends of both connections for ours.
  virtual void install(const nic::SplicePair& pair) = 0;
  virtual void remove(const nic::SplicePair& pair) = 0;
  /// One rule only.
  virtual void install(const nic::SpliceRecord& record) = 0;
  /// As it is in the table now; aborts when there is none.
  virtual fl_splice_rule rule(const FourTuple& tuple) const = 0;
  virtual bool has_rule(const FourTuple& tuple) const = 0;
  virtual void make_ring(uint16_t shard) = 0;
  /// What the shard's ring buffer holds; empties it.
  virtual std::vector<fl_splice_event> events(uint16_t shard) = 0;

  virtual ProgramRun run_tc(const ProgramInput& input) const = 0;
  virtual ProgramRun run_xdp(const ProgramInput& input) const = 0;
  /// Whether the packet socket would get it.
  virtual bool filter_accepts(const ProgramInput& input) const = 0;
  /// By enum fl_splice_verdict, and FL_SPLICE_EVENTS_LOST.
  virtual uint64_t count(uint32_t counter) const = 0;

  virtual int tc_fd() const = 0;
  virtual int xdp_fd() const = 0;
};

}  // namespace fairlead::test
