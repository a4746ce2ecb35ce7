#include "service/switch/protocol/forwarded_for.h"

#include <algorithm>
#include <string>

#include "service/switch/protocol/http_text.h"

namespace fairlead::protocol {
namespace {

constexpr std::string_view kName = "X-Forwarded-For";
constexpr std::string_view kCrLf = "\r\n";

struct Insertion {
  size_t at;
  std::string text;
};

Insertion insertion_for(std::string_view text, const HttpHead& head, const IpAddress& client) {
  std::string address = client.to_string();
  for (size_t i = head.field_count; i-- > 0;) {
    const HttpField& field = head.field_array[i];
    if (!equal_ignoring_case(field.name, kName)) continue;
    const auto end = static_cast<size_t>(field.value.data() - text.data()) + field.value.size();
    return {end, (field.value.empty() ? " " : ", ") + address};
  }
  return {head.size - kCrLf.size(), std::string(kName).append(": ").append(address).append(kCrLf)};
}

}  // namespace

std::optional<size_t> write_with_forwarded_for(ByteSpan bytes, const HttpHead& head,
                                               const IpAddress& client, MutableByteSpan out) {
  const std::string_view text = as_text(bytes.first(head.size));
  const Insertion insertion = insertion_for(text, head, client);
  if (out.size() < text.size() + insertion.text.size()) return std::nullopt;
  auto to = std::ranges::copy(text.substr(0, insertion.at), out.begin()).out;
  to = std::ranges::copy(insertion.text, to).out;
  to = std::ranges::copy(text.substr(insertion.at), to).out;
  return static_cast<size_t>(to - out.begin());
}

}  // namespace fairlead::protocol
