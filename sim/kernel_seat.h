// SimKernelSeat: the kernel's seat in a simulation: the rules, the packet socket's filter and the
// splicing program, on processors of their own.
//
//   frame ──▶ filter ──▶ look-up, translation ──▶ what the rule remembers ──▶ out
//                └─ up ─▶ socket
//
// A packet's three steps come one after the other, with time between them, and each direction's
// packets in order. What the process does to the rules meanwhile comes between any two steps: the
// seat lets packets go on before, between and after its own accesses to the table.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "nic/splice/kernel_seat.h"
#include "sim/link.h"
#include "sim/simulator.h"

namespace fairlead::sim {

class SimKernelSeat final : public nic::KernelSeat {
 public:
  using Deliver = std::function<void(Link::Frame)>;

  SimKernelSeat(Simulator& simulator, Deliver socket, Deliver out);

  /// A frame arrives at the interface.
  void receive(Link::Frame frame);

  nic::SpliceSeat seat() const override { return nic::SpliceSeat::kTc; }
  Result<void> install(const nic::SpliceRecords& records) override;
  Result<void> rewire(const nic::SpliceRecords& records) override;
  void send_up(const nic::SpliceRecords& records) override;
  bool read(nic::SpliceRecords& records) override;
  bool remove(nic::SpliceRecords& records) override;
  void poll_events(unsigned shard,
                   const std::function<void(const fl_splice_event&)>& handle) override;
  int event_fd(unsigned) const override { return -1; }
  uint64_t events_lost() const override { return 0; }

  fl_splice_rule* find(const fl_splice_key& key) const;

 private:
  struct Packet {
    Link::Frame frame;
    int steps = 0;  // done
    fl_splice_key key{};
    fl_splice_rule* rule = nullptr;
    fl_splice_segment segment{};
  };
  /// Of one processor, in order.
  using Queue = std::deque<Packet>;

  void step(Queue& queue);
  bool filter(Packet& packet);
  bool translate(Packet& packet);
  void track(Packet& packet);
  fl_splice_rule* find_peer(const fl_splice_rule& rule) const;
  nic::SpliceOutcome judge(const fl_splice_rule& rule, MutableByteSpan ip) const;
  void others_run();
  bool take(nic::SpliceRecord& record, bool out);

  Simulator& simulator_;
  Deliver socket_;
  Deliver out_;
  Rng rng_;
  std::array<Queue, 2> processors_;
  std::map<std::string, fl_splice_rule*> rules_;
  std::deque<fl_splice_rule> storage_;  // what was taken out may still be in a processor's hands
  std::vector<fl_splice_event> events_;
};

}  // namespace fairlead::sim
