#include "control/metrics/prometheus_text.h"

#include <fmt/format.h>

#include <iterator>

namespace fairlead::control {
namespace {

void append_escaped(std::string& out, std::string_view value) {
  for (const char c : value) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '\\' || c == '"') out += '\\';
    out += c;
  }
}

}  // namespace

void PrometheusText::family(std::string_view name, Type type, std::string_view help) {
  name_ = name;
  fmt::format_to(std::back_inserter(out_), "# HELP {} {}\n# TYPE {} {}\n", name, help, name,
                 type == Type::kCounter ? "counter" : "gauge");
}

void PrometheusText::sample(const Labels& labels, uint64_t value) {
  begin_sample(labels);
  fmt::format_to(std::back_inserter(out_), "{}\n", value);
}

void PrometheusText::sample(const Labels& labels, double value) {
  begin_sample(labels);
  fmt::format_to(std::back_inserter(out_), "{}\n", value);
}

void PrometheusText::begin_sample(const Labels& labels) {
  out_ += name_;
  char separator = '{';
  for (const auto& [label, value] : labels) {
    fmt::format_to(std::back_inserter(out_), "{}{}=\"", separator, label);
    append_escaped(out_, value);
    out_ += '"';
    separator = ',';
  }
  if (!labels.empty()) out_ += '}';
  out_ += ' ';
}

}  // namespace fairlead::control
