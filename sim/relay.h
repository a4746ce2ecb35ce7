// Relay: a host between two others that ends each connection it is given, opens one of its own to
// the server, and forwards both streams. What a proxy does to TCP, without a proxy's reasons.
//
//   client ──▶ [listener] a ──forward──▶ b ──▶ server
//          ◀──            a ◀──forward── b
//
// With `splicing`, each pair becomes one connection at a moment drawn from the seed: as soon as
// both are established, in the middle of the streams, or while they end.
#pragma once

#include <vector>

#include "host/stack.h"
#include "sim/host.h"

namespace fairlead::sim {

class Relay final : nic::SpliceObserver {
 public:
  /// How pairs fared that were to be spliced.
  struct Splices {
    uint64_t begun = 0;
    uint64_t refused = 0;
    uint64_t ended = 0;
    uint64_t idle = 0;  // of these, because nothing came for long
  };

  /// Takes connections to `local`, which is an address of `host`, and connects to `server`.
  Relay(Simulator& simulator, SimHost& host, const Endpoint& local, const Endpoint& server,
        const host::SocketOptions& socket, bool splicing);
  ~Relay();

  bool idle() const { return pairs_.empty() && splices_.ended == splices_.begun; }
  const Splices& splices() const { return splices_; }

 private:
  /// One way: from's bytes, its end of stream and its failure reach `to`.
  struct Pair {
    host::Connection* a;
    host::Connection* b;
    bool a_ended = false;  // a's FIN was passed on to b
    bool b_ended = false;
    Time splice_at = Time::max();
    uint64_t splice_after = 0;  // bytes relayed
    uint64_t relayed = 0;
  };

  void on_splice_end(const nic::SpliceReport& report) override;
  bool splice(Pair& pair);

  void step();
  void accept();
  static size_t pass(host::Connection& from, host::Connection& to, bool& ended);
  static bool over(const host::Connection& c);
  bool step_pair(Pair& pair);

  Simulator& simulator_;
  SimHost& host_;
  Endpoint server_;
  host::SocketOptions socket_;
  bool splicing_;
  Rng rng_;
  Splices splices_;
  host::Listener* listener_;
  std::vector<Pair> pairs_;
};

}  // namespace fairlead::sim
