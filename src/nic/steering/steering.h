// Steering: gives the packets of Fairlead's own listeners and connections to the host stack and
// leaves every other packet to the kernel, on one interface, in two kernel programs and a fan-out.
//
//                         ┌─ filter_fd(): accepts ours ──▶ AF_PACKET port ──▶ host stack
//     interface ingress ──┤
//                         └─ tc ingress program: drops ours, passes the rest ──▶ kernel
//
// Both run the same rule over the same tables (steering_rule.h says which packet is whose). Nothing
// is ours until a listener or a local port range is added, so attaching disturbs no one.
//
// The tc program answers SYNs to listeners whose connection setup is offloaded, before anybody else
// sees them (bpf/setup_answer.h); and with the filter it decides for connections in teardown
// (bpf/teardown_answer.h).
//
// Only one Fairlead steers an interface (InterfaceLock). Nothing is pinned: with the process go its
// programs, tables and, on TCX, the attachment, so that after a crash the kernel speaks for the
// dead listeners again (IngressAttachment has the rest).
//
// Fragments: the first fragment of a TCP segment of ours is dropped and counted; later ones, which
// name no ports, reach the kernel and time out there.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "nic/setup/setup_tables.h"
#include "nic/steering/ingress_attachment.h"
#include "wire/address.h"

namespace fairlead::nic {

struct SteeringOptions {
  AttachMode attach = AttachMode::kAutomatic;
  unsigned shards = 1;
  uint64_t hash_seed = 0;  // of the flow hash; random, so that nobody outside can aim at one shard
  std::string runtime_directory = "/run/fairlead";  // for the lock file
  // Where packets are spliced in the kernel (splice/bpf_seat.h):
  int splice_rules = -1;       // the rules' table; -1: none
  bool splices = true;         // the splice program is here, and takes what has a rule
  int splice_link = -1;        // that program's TCX link; -1: it is on clsact, or there is none
  bool shard_by_rule = false;  // of what has a rule, rather than by hash
  // Where the kernel answers SYNs (answers_syns()):
  bool answer_syns = false;  // to listeners with set_setup(), in the tc program
  int xdp_behind = -1;  // and behind this splice program's XDP program, BpfSeat's; -1: not there
  // And, wherever it answers SYNs, decides for flows in teardown: TeardownMap's; -1: it does not.
  int teardown_flows = -1;
};

/// Packets seen on ingress, by what became of them. Sums over all processors.
struct SteeringCounters {
  uint64_t passed_not_tcp = 0;     // to the kernel: neither TCP nor an ICMP error about TCP
  uint64_t passed_not_ours = 0;    // to the kernel: its own TCP
  uint64_t passed_not_here = 0;    // to the kernel: another machine's, another VLAN's, multicast
  uint64_t taken_listener = 0;     // to the host stack: for a listener of ours
  uint64_t taken_local_port = 0;   // to the host stack: for a connection we opened
  uint64_t dropped_fragment = 0;   // first fragments of segments of ours
  uint64_t copied_icmp_error = 0;  // to both: ICMP errors about connections of ours
  uint64_t answered_syn = 0;       // to nobody: SYNs to a listener of ours, answered here
  uint64_t answered_fin = 0;       // the same: FINs of connections in teardown
  uint64_t closing_ack = 0;        // to nobody: ACKs of connections in teardown, taken here
  uint64_t deferred_ack = 0;       // to nobody: ACKs of handshakes, to listeners that wait for data

  /// Calls handle(name, value) for each.
  template <typename Handle>
  void for_each(const Handle& handle) const {
    handle(std::string_view("passed_not_tcp"), passed_not_tcp);
    handle(std::string_view("passed_not_ours"), passed_not_ours);
    handle(std::string_view("passed_not_here"), passed_not_here);
    handle(std::string_view("taken_listener"), taken_listener);
    handle(std::string_view("taken_local_port"), taken_local_port);
    handle(std::string_view("dropped_fragment"), dropped_fragment);
    handle(std::string_view("copied_icmp_error"), copied_icmp_error);
    handle(std::string_view("answered_syn"), answered_syn);
    handle(std::string_view("answered_fin"), answered_fin);
    handle(std::string_view("closing_ack"), closing_ack);
    handle(std::string_view("deferred_ack"), deferred_ack);
  }
};

/// Ports for our outgoing connections, inclusive; first > last: none.
struct LocalPorts {
  uint16_t first = 1;
  uint16_t last = 0;
};

class Steering {
 public:
  /// Loads the programs and attaches to the interface, in the calling thread's network namespace.
  /// ENODEV: no such interface. EADDRINUSE: another Fairlead has it. EPERM: no CAP_BPF or
  /// CAP_NET_ADMIN. EOPNOTSUPP: the kernel lacks a feature; the message names it.
  static Result<std::unique_ptr<Steering>> attach(const std::string& interface,
                                                  const SteeringOptions& options);
  virtual ~Steering() = default;

  /// An unspecified address (0.0.0.0 or ::) stands for the local addresses of its family.
  /// EADDRINUSE: it is there already. ENOBUFS: the table is full (8,192).
  virtual Result<void> add_listener(const Endpoint& endpoint) = 0;
  /// ENOENT: it was not there.
  virtual Result<void> remove_listener(const Endpoint& endpoint) = 0;
  /// SYNs to this listener are answered in the kernel, as SetupOffload answers them, while it is a
  /// listener (add_listener()) and there are secrets; nullptr: no longer. ENOBUFS: as above.
  virtual Result<void> set_setup(const Endpoint& endpoint, const fl_setup_listener* listener) = 0;
  /// SetupSecrets::secrets().
  virtual Result<void> set_setup_secrets(const fl_setup_secrets& secrets) = 0;
  /// The kernel must not use these ports itself: keep them out of net.ipv4.ip_local_port_range.
  virtual Result<void> set_local_ports(LocalPorts ports) = 0;
  /// This machine's addresses on the interface. Adding one twice is fine. ENOBUFS: the table is
  /// full (4,096).
  virtual Result<void> add_local_address(const IpAddress& address) = 0;
  /// ENOENT: it was not there.
  virtual Result<void> remove_local_address(const IpAddress& address) = 0;

  virtual SteeringCounters counters() const = 0;
  /// Where SYNs are answered: "xdp", "tc", or "user", that is not here.
  virtual std::string_view setup_seat() const = 0;
  /// Why not where they were to be; empty: they are.
  virtual const std::string& setup_reason() const = 0;
  /// The same of flows in teardown.
  virtual std::string_view teardown_seat() const = 0;
  virtual const std::string& teardown_reason() const = 0;
  virtual AttachMode attach_mode() const = 0;
  /// True when something left behind by a crashed Fairlead was replaced.
  virtual bool replaced_leftover() const = 0;
  /// For AfPacketOptions; owned by this object.
  virtual int filter_fd() const = 0;
  virtual int fanout_fd() const = 0;
  /// The tc program, for tests that run it on packets of theirs (BPF_PROG_TEST_RUN).
  virtual int ingress_fd() const = 0;
  /// The same of the XDP program that answers SYNs, and FINs.
  virtual int setup_xdp_fd() const = 0;
};

/// The shard which the fan-out program picks for a connection, either direction.
unsigned shard_of(const FourTuple& tuple, const SteeringOptions& options);

}  // namespace fairlead::nic
