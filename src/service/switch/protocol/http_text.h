// Characters and comparisons of HTTP/1.x, by table.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"

namespace fairlead::protocol {

enum CharClass : uint8_t {
  kTokenChar = 1,   // tchar, RFC 9110 §5.6.2
  kValueChar = 2,   // SP, HTAB, VCHAR, obs-text: RFC 9110 §5.5
  kTargetChar = 4,  // what may stand in a request-target: VCHAR without '#', see http_start_line.h
  kHostChar = 8,    // unreserved, sub-delims and '%': reg-name, RFC 3986 §3.2.2
};

namespace detail {

consteval std::array<uint8_t, 256> make_char_classes() {
  constexpr std::string_view kTokenPunctuation = "!#$%&'*+-.^_`|~";
  constexpr std::string_view kHostPunctuation = "-._~!$&'()*+,;=%";
  std::array<uint8_t, 256> classes{};
  for (unsigned c = 0; c < 256; ++c) {
    const auto letter = static_cast<char>(c);
    const bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool vchar = c > 0x20 && c < 0x7f;
    unsigned is = 0;
    if (alnum || (vchar && kTokenPunctuation.contains(letter))) is |= kTokenChar;
    if (alnum || (vchar && kHostPunctuation.contains(letter))) is |= kHostChar;
    if (vchar || c == ' ' || c == '\t' || c >= 0x80) is |= kValueChar;
    if (vchar && c != '#') is |= kTargetChar;
    classes[c] = static_cast<uint8_t>(is);
  }
  return classes;
}

inline constexpr std::array<uint8_t, 256> kCharClasses = make_char_classes();

}  // namespace detail

constexpr bool is_class(uint8_t c, CharClass of) { return (detail::kCharClasses[c] & of) != 0; }

constexpr bool all_of_class(std::string_view text, CharClass of) {
  return std::ranges::all_of(text, [of](char c) { return is_class(static_cast<uint8_t>(c), of); });
}

constexpr char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

constexpr bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::ranges::equal(a, b, {}, to_lower, to_lower);
}

/// Without the optional whitespace (RFC 9110 §5.6.3) at both ends.
constexpr std::string_view trim(std::string_view text) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

/// Takes the part before `separator` off the front of `rest`, which is empty after the last one.
constexpr std::string_view take_until(std::string_view& rest, char separator) {
  const size_t at = std::min(rest.find(separator), rest.size());
  const std::string_view part = rest.substr(0, at);
  rest.remove_prefix(std::min(at + 1, rest.size()));
  return part;
}

inline std::string_view as_text(ByteSpan bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace fairlead::protocol
