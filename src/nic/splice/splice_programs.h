// SplicePrograms: bpf/splice.bpf.c in the kernel, with the tables that it does not share with
// earlier processes: a ring buffer of events for each shard, and the counters.
//
// The tc program is loaded once for all interfaces; the XDP program knows its interface's MAC
// address and is loaded for each.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "nic/splice/rule.h"
#include "port/interface_info.h"

struct splice_bpf;
struct ring_buffer;

namespace fairlead::nic {

/// By enum fl_splice_verdict, and FL_SPLICE_EVENTS_LOST.
using SpliceSeatCounters = std::array<uint64_t, FL_SPLICE_COUNTERS>;
/// "translated", "up_syn", ..., "events_lost"
std::string_view splice_seat_counter_name(size_t index);

class SplicePrograms {
 public:
  /// EPERM; EOPNOTSUPP, with a message that names what this kernel lacks.
  static Result<SplicePrograms> load(int rules, unsigned shards);

  int tc_fd() const;
  /// Gives a rule the way out and the shard of `record`. False: there is no such rule.
  bool rewire(const SpliceRecord& record) const;
  /// Of this rule and its peer.
  void send_up(const SpliceRecord& record) const;
  /// From here on XDP programs leave what goes out by this interface to tc.
  Result<void> keep_from_xdp(uint32_t interface_index);
  SpliceSeatCounters counters() const;

  int event_fd(unsigned shard) const;
  void poll_events(unsigned shard, const std::function<void(const fl_splice_event&)>& handle);

  /// The XDP program of one interface, with these tables.
  class Xdp;
  Result<std::unique_ptr<Xdp>> load_xdp(const port::InterfaceInfo& interface) const;

 private:
  struct SkeletonCloser {
    void operator()(splice_bpf* skeleton) const;
  };
  using Skeleton = std::unique_ptr<splice_bpf, SkeletonCloser>;
  struct RingCloser {
    void operator()(ring_buffer* ring) const;
  };
  using Handler = std::function<void(const fl_splice_event&)>;
  struct Ring {
    UniqueFd map;
    const Handler* handle = nullptr;  // during poll_events()
    std::unique_ptr<ring_buffer, RingCloser> reader;
  };

  SplicePrograms() = default;
  Result<void> make_rings(unsigned shards);
  static int on_event(void* ring, void* event, size_t size);

  Skeleton skeleton_;
  std::vector<std::unique_ptr<Ring>> rings_;
};

class SplicePrograms::Xdp {
 public:
  int fd() const;
  /// A table of one program, which gets what has no rule; SteeringOptions::xdp_behind.
  int behind_fd() const;

 private:
  friend class SplicePrograms;
  Skeleton skeleton_;
};

}  // namespace fairlead::nic
