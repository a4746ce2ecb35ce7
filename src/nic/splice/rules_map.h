// RulesMap: the rules' table in the kernel, under its pinned name. A hash map that never evicts: a
// rule is a live connection.
//
// It is found again after a restart, with what is in it, and with fl_splice_state, which says how
// the packets of those rules were spread over shards.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "nic/splice/bpf_pins.h"
#include "nic/splice/rule.h"

namespace fairlead::nic {

class RulesMap {
 public:
  static constexpr const char* kName = "rules-v1";
  static constexpr const char* kStateName = "state-v1";

  struct Options {
    uint32_t max_rules = 1 << 20;
    unsigned shards = 1;
    uint64_t hash_seed = 0;  // for a table without rules; one with rules keeps its own
    bool in_use = false;     // something in the kernel still works by what was found
  };

  /// Finds the table or makes it. What a message of `notes` tells was thrown away.
  static Result<RulesMap> open(const BpfPins& pins, const Options& options,
                               std::vector<std::string>& notes);

  int fd() const { return fd_.get(); }
  const fl_splice_state& state() const { return state_; }
  /// How many rules there is room for.
  uint32_t capacity() const { return capacity_; }
  bool empty() const;
  size_t size() const;

  /// Both or none. ENOBUFS: full. EADDRINUSE: one is there already.
  Result<void> insert(const SpliceRecords& records);
  /// False: there is none.
  bool read(SpliceRecord& record) const;
  bool take(SpliceRecord& record);
  void erase(const fl_splice_key& key);
  /// Calls visit with each record there is all the while; others may come and go meanwhile.
  void for_each(const std::function<void(const SpliceRecord&)>& visit) const;

 private:
  RulesMap() = default;
  Result<void> create(const BpfPins& pins, const Options& options);
  Result<void> open_state(const BpfPins& pins, const Options& options);

  UniqueFd fd_;
  uint32_t capacity_ = 0;
  fl_splice_state state_{};
};

}  // namespace fairlead::nic
