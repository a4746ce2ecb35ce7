#include "control/config/diagnostics.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace fairlead::control {

void Diagnostics::error(Position at, std::string message) {
  const auto where = std::ranges::upper_bound(errors_, at, {}, &Entry::at);
  errors_.insert(where, {at, std::move(message)});
  if (errors_.size() > kMaxErrors) {
    errors_.pop_back();
    ++not_shown_;
  }
}

std::vector<std::string> Diagnostics::lines() const {
  std::vector<std::string> out;
  for (const auto& [at, message] : errors_) {
    out.push_back(at.line == 0 ? fmt::format("{}: {}", file_, message)
                               : fmt::format("{}:{}:{}: {}", file_, at.line, at.column, message));
  }
  if (not_shown_ != 0) out.push_back(fmt::format("{}: {} more errors", file_, not_shown_));
  return out;
}

std::string Diagnostics::to_string() const { return fmt::format("{}", fmt::join(lines(), "\n")); }

std::string in_quotes(std::string_view text) {
  constexpr size_t kMaxShown = 60;
  std::string out = "\"";
  for (const char c : text.substr(0, kMaxShown)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  out += text.size() > kMaxShown ? "…\"" : "\"";
  return out;
}

}  // namespace fairlead::control
