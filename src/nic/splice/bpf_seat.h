// BpfSeat: splicing in the kernel on a set of interfaces. The seats `tc` and `xdp`, one table.
//
//     interface ──▶ XDP program ──▶ tc program ──▶ steering ──▶ kernel
//                     seat xdp        both seats
//                         └── rules ────┘  one table, pinned (RulesMap)
//
// Table and links have names in a BPF file system (BpfPins) and outlive a process that dies: what
// is spliced goes on. The next open() puts new programs in the place of the old ones and finds the
// table as it is. A process that ends in order decides: close_down() takes everything away;
// otherwise it stays while there are rules in the table.
//
// What an interface can't have is replaced by the next best, visibly: xdp in the driver, xdp in the
// kernel ("generic"; only asked for by name), tc, user. Automatic is tc: it leaves super-packets
// and checksums to hardware as they are, which XDP on many drivers takes away.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nic/splice/bpf_pins.h"
#include "nic/splice/kernel_seat.h"
#include "nic/splice/rules_map.h"
#include "nic/splice/splice_programs.h"
#include "nic/steering/ingress_attachment.h"
#include "nic/steering/interface_lock.h"

namespace fairlead::nic {

/// What has become of an interface.
struct InterfaceSeat {
  std::string name;
  SeatChoice asked = SeatChoice::kAutomatic;
  int index = 0;
  SpliceSeat seat = SpliceSeat::kUser;
  std::string how;       // "tcx", "clsact", "native", "generic"; empty: user
  std::string reason;    // why not what was asked for; empty: it is
  bool adopted = false;  // in the place of an earlier process's programs
  int tcx_link = -1;     // for steering to come after
  int xdp_behind = -1;   // SteeringOptions'
};

class BpfSeat final : public KernelSeat {
 public:
  struct Interface {
    std::string name;
    SeatChoice choice = SeatChoice::kAutomatic;
  };
  struct Options {
    std::vector<Interface> interfaces;
    uint32_t max_rules = 1 << 20;  // two a splice; install() beyond it: ENOBUFS
    unsigned shards = 1;
    uint64_t hash_seed = 0;  // of the flow hash; a table with rules in it has its own
    AttachMode attach = AttachMode::kAutomatic;
    std::string directory = "/sys/fs/bpf/fairlead";
    std::string runtime_directory = "/run/fairlead";  // for the lock file
  };
  struct Opened {
    std::unique_ptr<BpfSeat> seat;          // none: every interface has seat user
    std::vector<InterfaceSeat> interfaces;  // as in the options
    std::vector<std::string> notes;         // what was thrown away
  };

  /// In the calling thread's network namespace. Never fails: the reasons are in `interfaces`.
  static Opened open(const Options& options);
  ~BpfSeat() override;

  SpliceSeat seat() const override;
  Result<void> install(const SpliceRecords& records) override;
  Result<void> rewire(const SpliceRecords& records) override;
  void send_up(const SpliceRecords& records) override { programs_.send_up(records.from_client); }
  bool read(SpliceRecords& records) override;
  bool remove(SpliceRecords& records) override;
  void poll_events(unsigned shard,
                   const std::function<void(const fl_splice_event&)>& handle) override;
  int event_fd(unsigned shard) const override;
  uint64_t events_lost() const override { return counters()[FL_SPLICE_EVENTS_LOST]; }

  /// How packets are to be spread over shards: SteeringOptions' hash_seed and shard_by_rule.
  uint64_t hash_seed() const { return rules_.state().hash_seed; }
  bool shard_by_rule() const { return rules_.state().shard_by_rule != 0; }
  int rules_fd() const { return rules_.fd(); }

  SpliceSeatCounters counters() const { return programs_.counters(); }
  /// Rules in the table; walks it.
  size_t size() const { return rules_.size(); }
  void for_each_record(const std::function<void(const SpliceRecord&)>& visit) const {
    rules_.for_each(visit);
  }
  /// Calls visit with each pair in the table. Rules that are no pair's are taken out; returns how
  /// many.
  size_t for_each_pair(const std::function<void(const SplicePair&)>& visit);

  /// Ends it for good: nothing is left in the kernel. Steering of its interfaces ends before.
  void close_down();

 private:
  struct Attached {
    std::optional<IngressAttachment> tc;
    std::unique_ptr<SplicePrograms::Xdp> xdp_program;
    InterfaceLink xdp;
  };

  BpfSeat(InterfaceLock lock, BpfPins pins, RulesMap rules, SplicePrograms programs)
      : lock_(std::move(lock)),
        pins_(std::move(pins)),
        rules_(std::move(rules)),
        programs_(std::move(programs)) {}

  static Result<std::unique_ptr<BpfSeat>> load(const Options& options,
                                               std::vector<std::string>& notes);
  void attach(const Options& options, InterfaceSeat& interface);
  void attach_xdp(InterfaceSeat& interface, Attached& attached);
  void remove_other_pins(std::vector<std::string>& notes) const;
  bool has_way(const SpliceRecords& records) const;
  bool is_pair(const SpliceRecord& record, std::optional<SplicePair>& pair) const;

  // Destroyed from the last up: detached first, unlocked last.
  InterfaceLock lock_;
  BpfPins pins_;
  RulesMap rules_;
  SplicePrograms programs_;
  std::vector<InterfaceSeat> interfaces_;  // those attached to
  std::vector<Attached> attached_;
  bool closed_ = false;
};

}  // namespace fairlead::nic
