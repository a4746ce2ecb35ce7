// PrometheusText: writes the text exposition format, version 0.0.4.
//
//   # HELP fairlead_connections TCP connections that exist.
//   # TYPE fairlead_connections gauge
//   fairlead_connections{shard="0"} 12
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fairlead::control {

class PrometheusText {
 public:
  enum class Type : uint8_t { kCounter, kGauge };
  using Labels = std::vector<std::pair<std::string_view, std::string>>;

  /// Samples that follow belong to this family. A name may begin once.
  void family(std::string_view name, Type type, std::string_view help);
  void sample(const Labels& labels, uint64_t value);
  void sample(const Labels& labels, double value);

  const std::string& text() const { return out_; }

 private:
  void begin_sample(const Labels& labels);

  std::string out_;
  std::string name_;
};

}  // namespace fairlead::control
