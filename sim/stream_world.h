// StreamWorld: a client and a server exchange streams over an adverse link, and everything that
// should hold is checked: exact bytes, clean close or a named error, nothing left over.
//
//   client ──[link there]──▶ server        both addresses families, offload on or off, as the seed
//          ◀──[link back]───               has it
//
// or, with `relay`, two TCP connections in a row:
//
//   client ──[link there]──▶ relay ──[link on]────▶ server
//          ◀──[link back]───       ◀──[link home]──
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "host/stack.h"
#include "sim/link.h"

namespace fairlead::sim {

struct WorldOptions {
  uint64_t seed = 1;
  bool random_impairment = true;  // draw links, sizes and behaviours from the seed; else as below
  LinkOptions there;
  LinkOptions back;
  uint64_t upload = 0;    // bytes client to server
  uint64_t download = 0;  // bytes server to client
  bool ipv6 = false;
  bool segmentation_offload = false;
  bool relay = false;
  bool splice = false;       // with relay: the two connections become one on the way
  bool kernel_seat = false;  // and go down to the relay's kernel
  host::CongestionAlgorithm congestion = host::CongestionAlgorithm::kCubic;
  std::optional<host::Offer> offer{};  // of the client's SYN; nothing: all it can
  bool hold_first_acks = false;        // at the server
  bool nic_stack = false;  // does handshakes, and closes what applications are done with
  int connections = 1;
  Duration read_lag{};        // between an end's reads
  bool answer_close = false;  // the client closes when it has all, the server when the client has
  Duration limit = hours(4);  // of virtual time
};

struct WorldResult {
  std::string failure;  // empty: everything held
  uint64_t hash = 0;    // of all deliveries
  uint64_t bytes = 0;   // delivered to applications
  int errors = 0;       // connections that ended with a named error
  Duration took{};      // virtual
  host::Counters client;
  host::Counters server;
  uint64_t confirmed = 0;  // connections whose handshake the NIC stack has done
  uint64_t torn_down = 0;  // ends that it has closed
  uint64_t spliced = 0;    // pairs
  uint64_t splices_refused = 0;
  uint64_t splices_idle = 0;  // ended because nothing came for half an hour
};

WorldResult run_world(const WorldOptions& options);

}  // namespace fairlead::sim
