// The bytes of channel messages, behind the Ethernet header; doc/channel.md explains them. Big
// endian, no padding; addresses are IPv6 or IPv4-mapped.
#pragma once

#include <array>
#include <cstdint>

#include "base/endian.h"

namespace fairlead::nic::channel_layout {

using Address = std::array<uint8_t, 16>;

struct Tuple {
  Address local;
  Address remote;
  Be16 local_port;
  Be16 remote_port;
};

struct Listen {
  Address address;
  Be16 port;
  uint8_t on;  // 0: the rest is 0
  uint8_t window_scale;
  uint8_t flags;  // FL_SETUP_ECN, FL_SETUP_DEFER
  uint8_t reserved;
  Be16 mss;
  Be16 window;
};
static_assert(sizeof(Listen) == 26 && alignof(Listen) == 1);

/// Behind the packet.
struct NewConnection {
  Be64 proof;
  Be16 mss;
  Be16 window;
  Be16 gso_size;
  uint8_t window_shift;
  uint8_t checksum;  // port::ChecksumState
  uint8_t port_index;
  uint8_t reserved;
  Be32 timestamp_offset;
};
static_assert(sizeof(NewConnection) == 22 && alignof(NewConnection) == 1);

/// Behind the packet. The first three are the paper's.
struct Teardown {
  Be16 mss;
  Be32 rto;    // us
  Be16 state;  // kEstablished or kCloseWait
  Be32 sent;   // bytes of the data, and the FIN, that are on their way
  Be32 send_window;
  Be32 receive_window;
  uint8_t port_index;
  uint8_t reserved;
};
static_assert(sizeof(Teardown) == 22 && alignof(Teardown) == 1);
// Linux's numbers (include/net/tcp_states.h).
inline constexpr uint16_t kEstablished = 1;
inline constexpr uint16_t kCloseWait = 8;

struct Way {
  Address next_hop;
  Be32 interface;
  Be16 mtu;
};

/// The first two are the paper's.
struct Splice {
  Be32 seq_offset;
  Be32 ack_offset;
  Tuple client;
  Tuple server;
  Be32 ts_value_offset;
  Be32 ts_echo_offset;
  uint8_t announced_by_client;
  uint8_t announced_to_client;
  uint8_t announced_by_server;
  uint8_t announced_to_server;
  uint8_t flags;  // kTimestamps, kSack
  uint8_t reserved;
  Be16 shard;
  Be32 generation;
  Be64 spliced_at;
  Way to_server;
  Way to_client;
};
static_assert(sizeof(Splice) == 152 && alignof(Splice) == 1);
inline constexpr uint8_t kTimestamps = 1;
inline constexpr uint8_t kSack = 2;

/// First of both kinds of "closed".
enum class Closed : uint8_t { kTeardown = 1, kSplice = 2 };

struct ClosedTeardown {
  uint8_t what;  // Closed::kTeardown
  uint8_t end;   // TeardownEnd
  Tuple tuple;
  Be32 bytes;
  Be32 acked;
  Be32 retransmitted;
  Be64 lasted;  // ns
};
static_assert(sizeof(ClosedTeardown) == 58 && alignof(ClosedTeardown) == 1);

struct Flow {
  Be64 packets;
  Be64 bytes;
};

struct ClosedSplice {
  uint8_t what;  // Closed::kSplice
  uint8_t end;   // SpliceEnd
  Tuple client;
  Tuple server;
  Flow up;
  Flow down;
};
static_assert(sizeof(ClosedSplice) == 106 && alignof(ClosedSplice) == 1);

struct Load {
  Be32 closing;
  Be32 most;
};
static_assert(sizeof(Load) == 8 && alignof(Load) == 1);

}  // namespace fairlead::nic::channel_layout
