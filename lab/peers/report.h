// Report: what a run of the client came to, as one JSON object.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/time.h"

namespace fairlead::lab {

/// How long something took, many times.
class Latencies {
 public:
  void add(Duration latency);
  bool empty() const { return nanoseconds_.empty(); }
  /// The value below which `fraction` of them lie. There must be some.
  Duration quantile(double fraction);

 private:
  std::vector<uint32_t> nanoseconds_;  // 4.3 s and more count as 4.3 s
};

struct Report {
  std::string mode;
  uint64_t connections = 0;                  // that ended as they should
  std::map<std::string, uint64_t> failures;  // by what failed and how: "connect ECONNREFUSED"
  uint64_t requests = 0;
  uint64_t bytes_sent = 0;
  uint64_t bytes_received = 0;
  Duration elapsed{};
  bool verified = false;  // every byte that came was compared with what should come
  std::string hash_sent, hash_received;
  Latencies connect, request;

  void add_failure(const std::string& what) { ++failures[what]; }
  /// Ends with a newline. Throughput counts the bytes of one direction, the larger.
  std::string to_json();
};

}  // namespace fairlead::lab
