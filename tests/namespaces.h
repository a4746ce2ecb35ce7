// Network namespaces for a test: two of them, joined by a veth pair.
//
//     namespace A                       namespace B
//     fl-a  10.77.0.1/24  ── veth ──    fl-b  10.77.0.2/24
//           fd77::1/64                        fd77::2/64
//
// Both are anonymous: nothing outside this process sees them, and the kernel removes them, with
// everything in them, when the process ends.
#pragma once

#include <string>

#include "base/unique_fd.h"

namespace fairlead::test {

class NamespacePair {
 public:
  /// Why the tests can't run here (no privilege), or empty when they can.
  static std::string why_not();

  /// Builds the pair; the calling thread is in B afterwards. Aborts when a command fails.
  NamespacePair();
  ~NamespacePair();
  NamespacePair(const NamespacePair&) = delete;
  NamespacePair& operator=(const NamespacePair&) = delete;

  void enter_a() const;
  void enter_b() const;
  /// Runs a shell command in A or B; aborts when it fails.
  void run_in_a(const std::string& command) const;
  void run_in_b(const std::string& command) const;
  /// Switches segmentation and checksum offload of both interfaces.
  void set_offloads(bool on) const;

 private:
  UniqueFd original_;
  UniqueFd a_;
  UniqueFd b_;
};

}  // namespace fairlead::test

/// In a test body: skips, saying why, when namespaces can't be made here.
#define FAIRLEAD_REQUIRE_NAMESPACES()                                                 \
  if (const std::string why = fairlead::test::NamespacePair::why_not(); !why.empty()) \
  GTEST_SKIP() << why
