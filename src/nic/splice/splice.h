// Splice: two TCP connections that have become one. Each packet of the one is made a packet of the
// other (splice_rule.h) and sent on; neither has a state of ours any more.
//
//     client C ──[C → V]──▶ directions[kUp]   ──[L → D]──▶ server D
//     client C ◀──[V → C]── directions[kDown] ◀──[D → L]── server D
//
// The rules hold all there is to know: a splice found in a table after a restart is as good as a
// fresh one.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/intrusive_list.h"
#include "base/time.h"
#include "base/timer_wheel.h"
#include "nic/splice/splice_tables.h"
#include "nic/splice/split_tuples.h"
#include "port/path.h"
#include "wire/address.h"

namespace fairlead::nic {

/// How a splice ended.
enum class SpliceEnd : uint8_t {
  kClosed,         // FIN both ways, both acknowledged
  kResetByClient,  // RST
  kResetByServer,
  kIdle,     // nothing for idle_timeout
  kReused,   // a new SYN had taken its place
  kRemoved,  // by request, or the stack went away
};
/// "closed", "reset by client", ...
std::string_view splice_end_name(SpliceEnd end);

/// Where packets are translated now.
enum class SpliceSeat : uint8_t { kUser, kTc, kXdp };
/// "user", "tc", "xdp"
std::string_view splice_seat_name(SpliceSeat seat);

/// Where an operator wants them translated.
enum class SeatChoice : uint8_t { kAutomatic, kTc, kXdp, kUser };

/// One direction's traffic: segments (a super-packet counts as those it stands for) and bytes of
/// payload, retransmissions included.
struct SpliceFlow {
  uint64_t packets = 0;
  uint64_t bytes = 0;
};

struct SpliceStatus {
  std::array<SpliceFlow, 2> flows;  // by Splice::Way
  Time last_packet;
  uint32_t state = 0;  // FL_SPLICE_*
};

struct SpliceReport {
  FourTuple client;  // local: the address the client connected to
  FourTuple server;  // local: the address we connected from
  SpliceFlow up;     // client to server
  SpliceFlow down;
  SpliceEnd end = SpliceEnd::kRemoved;
};

class SpliceObserver {
 public:
  /// The splice is over and forgotten. May not call back into the stack's splices.
  virtual void on_splice_end(const SpliceReport& report) = 0;

 protected:
  ~SpliceObserver() = default;
};

struct SpliceOptions {
  SpliceObserver* observer = nullptr;        // outlives the splice
  Duration idle_timeout = hours(24);         // without a packet in either direction
  Duration half_closed_timeout = hours(24);  // likewise, after the first FIN
  Duration time_wait = seconds(60);          // both FINs acknowledged: late packets still pass
  Duration close_timeout = seconds(10);      // after a RST: if nothing else comes, it was genuine
  uint64_t sink_after_packets = 0;           // go down to the kernel's seat after so many packets
  uint64_t sink_after_bytes = UINT64_MAX;    // or bytes, whichever comes first
};

struct OverTag {};
struct SunkTag {};

class Splice : public TimerNode, public ListHook<OverTag>, public ListHook<SunkTag> {
 public:
  enum Way : uint8_t { kUp, kDown };

  /// Packets of one direction.
  struct Direction {
    FourTuple tuple;  // as they arrive: local is ours
    fl_splice_rule rule{};
    port::Path path;  // the way out
    uint64_t path_generation = 0;
    uint64_t packets_at_reset = 0;  // of the rule, when a RST had been noted
    Splice* splice = nullptr;
    Way way = kUp;
  };

  std::array<Direction, 2> directions;
  SpliceOptions options;
  Time asked_at{};
  Time spliced_at{};
  SpliceSeat seat = SpliceSeat::kUser;
  bool open = false;   // SpliceTable::open()
  bool stays = false;  // in this process: on its way to its end, or the kernel's table is full
  bool reset_noted = false;  // a RST has passed, close_timeout runs
  bool way_changed = false;  // and the kernel's rules don't know
  /// Not nullptr: packets of one direction come here only because the kernel's rule says so, by
  /// their hash they are another shard's. Its rules stay where they are until it is forgotten, also
  /// when it comes into the process (FL_SPLICE_SENT_UP), and so do its 4-tuples there.
  SplitTuples* split = nullptr;

  Direction& other(const Direction& direction) { return directions[direction.way ^ 1]; }
  const FourTuple& client() const { return directions[kUp].tuple; }
  const FourTuple& server() const { return directions[kDown].tuple; }
  uint32_t state() const { return directions[kUp].rule.state | directions[kDown].rule.state; }
  bool is_over() const { return (state() & FL_SPLICE_OVER) != 0; }
  bool is_half_closed() const { return (state() & FL_SPLICE_PEER_FIN_ACKED) != 0; }
  bool is_reset() const { return (state() & FL_SPLICE_RESET) != 0; }
  /// A new connection may take its place.
  bool is_finished() const { return (state() & (FL_SPLICE_OVER | FL_SPLICE_RESET_EXACT)) != 0; }
};

}  // namespace fairlead::nic
