// SetupOffload: connection setup at seat user, as the kernel programs do it at theirs.
//
//     frame ──▶ on_packet() ──▶ ANSWERED: `answer` goes back out, the host never sees the SYN
//                           ──▶ NEW_CONNECTION: up to the host, with what was agreed on
//                           ──▶ DEFERRED: dropped
//                           ──▶ anything else: up to the host, as if we were not there
//
// Nothing is stored of a handshake (setup_cookie.h), so that a flood of SYNs costs no memory; what
// is stored is which handshakes have made a connection, a little while (replay_cache.h).
//
// It knows no connections: the first data that a client sends again, and all it sends until it has
// heard of the host, prove the handshake anew. Whose connection is in the host's table, that one it
// is for; the proof counts where there is none.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "base/result.h"
#include "base/siphash.h"
#include "base/time.h"
#include "nic/setup/replay_cache.h"
#include "nic/setup/setup_tables.h"
#include "port/packet.h"
#include "port/path.h"
#include "wire/address.h"
#include "wire/tcp_options.h"

namespace fairlead::nic {

/// A completed handshake: all that the host needs to go on, beside the segment itself, which is the
/// first after the SYN and often has data.
struct NewConnection {
  FourTuple tuple;  // local: the end of ours that the client chose
  SeqNum irs;       // the client's ISN
  SeqNum iss;       // ours
  /// What we have said.
  uint16_t mss = 0;          // bytes
  uint16_t window = 0;       // bytes, from irs + 1
  uint8_t window_shift = 0;  // of our windows from now on; 0 where nobody scales
  /// What the client has said.
  uint16_t peer_mss = 0;  // bytes; not above what it said, rounded down to a size of the table
  std::optional<uint8_t> peer_window_shift;  // nullopt: no scaling, either way
  bool sack = false;
  bool ecn = false;
  /// Of the segment. What the host sends must have a larger TSval than `echo`, and an even one:
  /// fl_timestamp_sent().
  wire::Timestamps timestamps;
  uint32_t timestamp_offset = 0;  // SetupOffload::timestamp_offset()
  uint64_t proof = 0;             // for made_connection()
};

/// "answered"
std::string_view setup_verdict_name(fl_setup_verdict verdict);

struct SetupOutcome {
  fl_setup_verdict verdict = FL_SETUP_NOT_OURS;
  NewConnection connection{};  // with FL_SETUP_NEW_CONNECTION
};

struct SetupOptions {
  size_t max_listeners = 4096;
  size_t max_replays = 1 << 18;  // handshakes remembered, 8 bytes each; replay_cache.h
  /// Before, SYN-ACKs were made with secrets that are lost, by a process that is no more: what
  /// answers one is expired, as it would be of a host that has forgotten its connections. nullopt:
  /// never.
  std::optional<Time> secrets_since{};
};

/// One a shard.
class SetupOffload {
 public:
  using Options = SetupOptions;

  /// `router` knows which addresses a listener on the unspecified one stands for.
  SetupOffload(const port::Router& router, const fl_setup_secrets& secrets, Options options = {});

  /// Handshakes with this endpoint are ours from now on; in place of what was said of it before.
  /// ENOBUFS: at the bound, the host keeps them.
  Result<void> set_listener(const Endpoint& endpoint, const fl_setup_listener& listener);
  void remove_listener(const Endpoint& endpoint);
  /// SetupSecrets::secrets(), within 64 s of each rotation.
  void set_secrets(const fl_setup_secrets& secrets) { secrets_ = secrets; }

  /// Of the connection's timestamp clock: the same in the SYN-ACK and in all that follows it.
  uint32_t timestamp_offset(const FourTuple& tuple) const;

  /// Any bytes are allowed. Fills `answer`, which is clear, with FL_SETUP_ANSWERED: a whole frame,
  /// checksums complete.
  SetupOutcome on_packet(const port::RxPacket& packet, Time now, port::TxPacket& answer);
  /// on_packet() would find a new connection, as far as the packet goes. Counts nothing.
  bool proves(const port::RxPacket& packet, Time now) const;
  /// It has been made already.
  bool is_made(const NewConnection& connection) const {
    return replays_.contains(connection.proof);
  }
  /// What acknowledges this ISN will be judged.
  void prefetch(uint32_t isn) const { replays_.prefetch(isn); }
  /// The host has made the connection: its proof is worth nothing from now on.
  void made_connection(const NewConnection& connection, Time now);

  /// By verdict.
  uint64_t count(fl_setup_verdict verdict) const { return counts_[verdict]; }
  /// Handshakes that were forgotten while a copy of their ACK would still have been taken.
  uint64_t replays_forgotten() const { return replays_forgotten_; }

 private:
  struct EndpointHash {
    SipKey key;
    size_t operator()(const Endpoint& endpoint) const { return siphash13(key, endpoint); }
  };

  const fl_setup_listener* find_listener(const Endpoint& local) const;
  SetupOutcome judge(const port::RxPacket& packet, Time now, port::TxPacket& answer) const;
  bool predates_secrets(uint32_t isn, uint32_t units) const;
  bool is_old(uint32_t ts_echo, const fl_setup_tuple& tuple, Time now) const;

  const port::Router& router_;
  fl_setup_secrets secrets_;
  Options options_;
  std::unordered_map<Endpoint, fl_setup_listener, EndpointHash> listeners_;
  ReplayCache replays_;
  std::array<uint64_t, FL_SETUP_VERDICTS> counts_{};
  uint64_t replays_forgotten_ = 0;
};

}  // namespace fairlead::nic
