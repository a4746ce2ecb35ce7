#include "lab/peers/report.h"

#include <sys/resource.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

namespace fairlead::lab {
namespace {

double in_seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

/// Processor time of this process, user and system.
double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto of = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

nlohmann::ordered_json in_microseconds(Latencies& latencies) {
  nlohmann::ordered_json json;
  for (const auto& [name, fraction] :
       {std::pair("p50", 0.5), std::pair("p99", 0.99), std::pair("max", 1.0)}) {
    json[name] = in_seconds(latencies.quantile(fraction)) * 1e6;
  }
  return json;
}

}  // namespace

void Latencies::add(Duration latency) {
  constexpr int64_t kMax = std::numeric_limits<uint32_t>::max();
  nanoseconds_.push_back(static_cast<uint32_t>(std::clamp(latency.count(), int64_t{0}, kMax)));
}

Duration Latencies::quantile(double fraction) {
  const auto last = static_cast<double>(nanoseconds_.size() - 1);
  const auto nth = nanoseconds_.begin() + static_cast<ptrdiff_t>(last * fraction);
  std::nth_element(nanoseconds_.begin(), nth, nanoseconds_.end());
  return Duration(*nth);
}

std::string Report::to_json() {
  const double seconds = in_seconds(elapsed);
  uint64_t failed = 0;
  for (const auto& [what, count] : failures) failed += count;

  nlohmann::ordered_json json;
  json["mode"] = mode;
  json["connections"] = connections;
  json["failed"] = failed;
  json["failures"] = failures;
  json["seconds"] = seconds;
  json["cpu_seconds"] = cpu_seconds();
  json["bytes_sent"] = bytes_sent;
  json["bytes_received"] = bytes_received;
  json["gigabytes_per_second"] =
      static_cast<double>(std::max(bytes_sent, bytes_received)) / seconds * 1e-9;
  json["connections_per_second"] = static_cast<double>(connections) / seconds;
  json["verified"] = verified;
  if (!hash_sent.empty()) json["hash_sent"] = hash_sent;
  if (!hash_received.empty()) json["hash_received"] = hash_received;
  if (requests > 0) json["requests"] = requests;
  if (!connect.empty()) json["connect_microseconds"] = in_microseconds(connect);
  if (!request.empty()) json["request_microseconds"] = in_microseconds(request);
  return json.dump(2) + "\n";
}

}  // namespace fairlead::lab
