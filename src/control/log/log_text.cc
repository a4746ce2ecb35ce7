#include "control/log/log_text.h"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <iterator>

namespace fairlead::control {
namespace {

uint8_t byte_at(std::string_view text, size_t at) { return static_cast<uint8_t>(text[at]); }

// The length of the UTF-8 sequence at the front of `text`, 0 when it is none: Unicode 15, table 3-7
// ("Well-Formed UTF-8 Byte Sequences"), which rules out overlong forms and surrogates.
size_t utf8_length(std::string_view text) {
  const uint8_t first = byte_at(text, 0);
  if (first < 0x80) return 1;
  if (first < 0xC2 || first > 0xF4) return 0;
  const size_t length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  if (text.size() < length) return 0;
  const uint8_t lowest = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  const uint8_t highest = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  if (byte_at(text, 1) < lowest || byte_at(text, 1) > highest) return 0;
  for (size_t i = 2; i < length; ++i) {
    if ((byte_at(text, i) & 0xC0) != 0x80) return 0;
  }
  return length;
}

bool plain(uint8_t byte) { return byte >= 0x20 && byte < 0x7F && byte != '"' && byte != '\\'; }

// Appends the bytes at the front that need no look; returns what is left.
std::string_view append_plain(std::string& out, std::string_view value) {
  size_t n = 0;
  while (n < value.size() && plain(byte_at(value, n))) ++n;
  out += value.substr(0, n);
  return value.substr(n);
}

constexpr std::array<const char*, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

}  // namespace

void append_json(std::string& out, std::string_view value) {
  out += '"';
  value = append_plain(out, value.substr(0, kMaxLoggedValue));
  while (!value.empty()) {
    const uint8_t byte = byte_at(value, 0);
    const size_t length = byte < 0x20 || byte == 0x7F ? 0 : utf8_length(value);
    if (length == 0) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", byte);
    } else {
      if (byte == '"' || byte == '\\') out += '\\';
      out += value.substr(0, length);
    }
    value = append_plain(out, value.substr(length == 0 ? 1 : length));
  }
  out += '"';
}

void append_member(std::string& out, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  fmt::format_to(std::back_inserter(out), ",\"{}\":", name);
  append_json(out, value);
}

void append_member(std::string& out, std::string_view name, uint64_t value) {
  fmt::format_to(std::back_inserter(out), ",\"{}\":{}", name, value);
}

void append_common(std::string& out, std::string_view value) {
  value = append_plain(out, value.substr(0, kMaxLoggedValue));
  while (!value.empty()) {
    const uint8_t byte = byte_at(value, 0);
    if (byte == '"' || byte == '\\') {
      out += '\\';
      out += value[0];
    } else {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", byte);
    }
    value = append_plain(out, value.substr(1));
  }
}

unsigned LogClock::refresh() {
  using std::chrono::system_clock;
  const auto now = system_clock::now();
  const auto since = now.time_since_epoch();
  const std::time_t second = std::chrono::duration_cast<std::chrono::seconds>(since).count();
  if (second != second_) {
    second_ = second;
    std::tm t{};
    ::gmtime_r(&second, &t);
    iso_ = fmt::format("{}-{:02}-{:02}T{:02}:{:02}:{:02}", t.tm_year + 1900, t.tm_mon + 1,
                       t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec);
    common_ = fmt::format("{:02}/{}/{}:{:02}:{:02}:{:02} +0000", t.tm_mday,
                          kMonths[static_cast<size_t>(t.tm_mon)], t.tm_year + 1900, t.tm_hour,
                          t.tm_min, t.tm_sec);
  }
  return static_cast<unsigned>(since / std::chrono::milliseconds(1) % 1000);
}

void LogClock::append_iso(std::string& out) {
  const unsigned millisecond = refresh();
  fmt::format_to(std::back_inserter(out), "{}.{:03}Z", iso_, millisecond);
}

void LogClock::append_common(std::string& out) {
  refresh();
  out += common_;
}

}  // namespace fairlead::control
