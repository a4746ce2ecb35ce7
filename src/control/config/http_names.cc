#include "control/config/http_names.h"

#include <algorithm>

#include "wire/address.h"

namespace fairlead::control {
namespace {

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// A label of RFC 1034 §3.5, and with "_" as some names in use have it.
bool is_label(std::string_view text) {
  constexpr size_t kMaxLabel = 63;
  return !text.empty() && text.size() <= kMaxLabel && !text.starts_with('-') &&
         !text.ends_with('-') && std::ranges::all_of(text, [](char c) {
           return is_letter_or_digit(c) || c == '-' || c == '_';
         });
}

bool is_host_name(std::string_view text) {
  constexpr size_t kMaxName = 253;
  if (text.size() > kMaxName) return false;
  while (true) {
    const size_t dot = text.find('.');
    if (!is_label(text.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

}  // namespace

bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return is_letter_or_digit(c) || std::string_view("!#$%&'*+-.^_`|~").contains(c);
  });
}

bool is_path(std::string_view text) {
  return text.starts_with('/') && std::ranges::all_of(text, [](char c) {
           return c > ' ' && c < 0x7f && c != '?' && c != '#';
         });
}

bool is_host_pattern(std::string_view text) {
  if (text.starts_with('[') && text.ends_with(']')) {
    const auto address = IpAddress::parse(text.substr(1, text.size() - 2));
    return address.has_value() && address->is_v6();
  }
  if (text.starts_with("*.")) text.remove_prefix(2);
  return is_host_name(text);
}

}  // namespace fairlead::control
