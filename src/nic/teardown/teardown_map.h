// TeardownMap: the table of flows in teardown for which the kernel's programs decide, in memory
// that those programs and the shards have in common: a mapped BPF array. One for all interfaces,
// since a flow's packets may come in by any; not pinned: it goes with the process and its programs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/result.h"
#include "base/unique_fd.h"
#include "nic/teardown/teardown_table.h"

namespace fairlead::nic {

class TeardownMap {
 public:
  struct Options {
    size_t max_flows = 1 << 16;  // room for twice as many, of all shards, 64 bytes each
    unsigned shards = 1;
    uint64_t hash_seed = 0;  // SteeringOptions'
  };
  /// EPERM: no CAP_BPF. ENOBUFS: no memory. EOPNOTSUPP: the kernel maps no arrays (Linux 5.5).
  static Result<std::unique_ptr<TeardownMap>> create(const Options& options);

  /// For the shard's Teardown; this outlives it.
  TeardownTable table(unsigned shard);
  /// SteeringOptions'.
  int fd() const { return fd_.get(); }

 private:
  struct Unmap {
    size_t bytes;
    void operator()(fl_teardown_bucket* memory) const;
  };
  using Memory = std::unique_ptr<fl_teardown_bucket, Unmap>;

  TeardownMap(const Options& options, UniqueFd fd, Memory memory, size_t buckets)
      : options_(options), fd_(std::move(fd)), memory_(std::move(memory)), buckets_(buckets) {}

  Options options_;
  UniqueFd fd_;
  Memory memory_;
  size_t buckets_;
};

}  // namespace fairlead::nic
