// Relay: a host between two others that ends each connection it is given, opens one of its own to
// the server, and forwards both streams. What a proxy does to TCP, without a proxy's reasons.
//
//   client ──▶ [listener] a ──forward──▶ b ──▶ server
//          ◀──            a ◀──forward── b
#pragma once

#include <vector>

#include "host/stack.h"
#include "sim/host.h"

namespace fairlead::sim {

class Relay {
 public:
  /// Takes connections to `local`, which is an address of `host`, and connects to `server`.
  Relay(Simulator& simulator, SimHost& host, const Endpoint& local, const Endpoint& server,
        const host::SocketOptions& socket);
  ~Relay();

  bool idle() const { return pairs_.empty(); }

 private:
  /// One way: from's bytes, its end of stream and its failure reach `to`.
  struct Pair {
    host::Connection* a;
    host::Connection* b;
    bool a_ended = false;  // a's FIN was passed on to b
    bool b_ended = false;
  };

  void step();
  void accept();
  static void pass(host::Connection& from, host::Connection& to, bool& ended);
  static bool over(const host::Connection& c);
  bool step_pair(Pair& pair);

  Simulator& simulator_;
  SimHost& host_;
  Endpoint server_;
  host::SocketOptions socket_;
  host::Listener* listener_;
  std::vector<Pair> pairs_;
};

}  // namespace fairlead::sim
