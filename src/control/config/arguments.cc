#include "control/config/arguments.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "control/config/suggest.h"
#include "control/config/units.h"

namespace fairlead::control {

Position Arguments::last_at() const {
  return next_ == 0 ? statement_.keyword.at : statement_.arguments[next_ - 1].at;
}

const Word* Arguments::take(std::string_view name) {
  if (!ok_) return nullptr;
  if (next_ == statement_.arguments.size()) {
    diagnostics_.error(statement_.keyword.at,
                       fmt::format("{} is missing; expected \"{}\"", name, usage_));
    ok_ = false;
    return nullptr;
  }
  return &statement_.arguments[next_++];
}

void Arguments::wrong(const Word& found, std::string_view name, std::string_view expected) {
  diagnostics_.error(found.at, fmt::format("found {} for {} of \"{}\"; expected {}",
                                           in_quotes(found.text), name, usage_, expected));
  ok_ = false;
}

bool Arguments::read_number(std::string_view name, Range<uint64_t> range, uint64_t& out) {
  const Word* word = take(name);
  if (word == nullptr) return false;
  const std::optional<uint64_t> value = parse_number(word->text);
  if (!value || *value < range.min || *value > range.max) {
    wrong(*word, name, fmt::format("a whole number from {} to {}", range.min, range.max));
    return false;
  }
  out = *value;
  return true;
}

bool Arguments::read_size(std::string_view name, Range<uint64_t> range, uint64_t& out) {
  const Word* word = take(name);
  if (word == nullptr) return false;
  const std::optional<uint64_t> value = parse_size(word->text);
  if (!value || *value < range.min || *value > range.max) {
    wrong(*word, name,
          fmt::format("a size from {} to {}, such as 64k or 4M", format_size(range.min),
                      format_size(range.max)));
    return false;
  }
  out = *value;
  return true;
}

void Arguments::duration(std::string_view name, Range<Duration> range, Duration& out) {
  const Word* word = take(name);
  if (word == nullptr) return;
  const std::optional<Duration> value = parse_duration(word->text);
  if (!value || *value < range.min || *value > range.max) {
    wrong(*word, name,
          fmt::format("a duration from {} to {}, such as 5ms, 10s or 2h",
                      format_duration(range.min), format_duration(range.max)));
    return;
  }
  out = *value;
}

void Arguments::address(std::string_view name, IpAddress& out) {
  const Word* word = take(name);
  if (word == nullptr) return;
  const Result<IpAddress> value = IpAddress::parse(word->text);
  if (!value) {
    wrong(*word, name, "an IPv4 or IPv6 address, such as 192.0.2.1 or 2001:db8::1");
    return;
  }
  out = *value;
}

void Arguments::choice(std::string_view name, std::span<const std::string_view> words,
                       size_t& out) {
  const Word* word = take(name);
  if (word == nullptr) return;
  for (size_t i = 0; i < words.size(); ++i) {
    if (word->text == words[i]) {
      out = i;
      return;
    }
  }
  const std::string_view near = closest(word->text, words);
  wrong(*word, name,
        near.empty()
            ? fmt::format("one of: {}", fmt::join(words, ", "))
            : fmt::format("one of: {} (did you mean \"{}\"?)", fmt::join(words, ", "), near));
}

void Arguments::on_off(bool& out) {
  static constexpr std::string_view kWords[] = {"off", "on"};
  size_t index = out ? 1 : 0;
  choice("the switch", kWords, index);
  out = index == 1;
}

void Arguments::text(std::string_view name, std::string& out) {
  const Word* word = take(name);
  if (word == nullptr) return;
  if (word->text.empty()) {
    wrong(*word, name, "a text that is not empty");
    return;
  }
  out = word->text;
}

void Arguments::reject(std::string message) {
  if (!ok_) return;
  diagnostics_.error(last_at(), std::move(message));
  ok_ = false;
}

bool Arguments::finish() {
  if (more()) {
    const Word& extra = statement_.arguments[next_];
    diagnostics_.error(
        extra.at, fmt::format("found {} too much; expected \"{}\"", in_quotes(extra.text), usage_));
    ok_ = false;
  }
  return ok_;
}

}  // namespace fairlead::control
