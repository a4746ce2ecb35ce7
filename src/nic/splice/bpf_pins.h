// BpfPins: the names, in a BPF file system, of what outlives the process that spliced:
//
//     DIRECTORY/NETWORK NAMESPACE/rules-v1     the rules' table (fl_splice_key → fl_splice_rule)
//                                 state-v1     fl_splice_state
//                                 tc-INDEX     links, by interface index (InterfaceLink)
//                                 xdp-INDEX
//
// A network namespace's number is used again when it is gone. What is left of an earlier one is
// told by its links: their interfaces are gone, too.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace fairlead::nic {

class BpfPins {
 public:
  /// Makes the directory of the calling thread's network namespace below `directory`, and mounts a
  /// BPF file system above it where sysfs has a place for one. ENOTSUP: there is none. EPERM.
  static Result<BpfPins> open(const std::string& directory);

  std::string path(const std::string& name) const { return directory_ + '/' + name; }
  std::vector<std::string> names() const;
  /// A link is attached to an interface that exists.
  bool has_live_link() const;
  void remove(const std::string& name) const;
  /// Everything, and the directory.
  void remove_all() const;

 private:
  explicit BpfPins(std::string directory) : directory_(std::move(directory)) {}

  std::string directory_;
};

}  // namespace fairlead::nic
