#include "lab/peers/chargen.h"

#include <array>

namespace fairlead::lab {
namespace {

constexpr size_t kPrinting = 95;  // ' ' to '~'
constexpr size_t kLine = 72 + 2;  // RFC 864: 72 characters, carriage return, line feed
constexpr size_t kPeriod = kPrinting * kLine;
constexpr size_t kTable = kPeriod * 10;  // a write from any place in the first period has 63 KB

std::byte character_at(size_t offset) {
  const size_t line = offset / kLine;
  const size_t column = offset % kLine;
  if (column == 72) return std::byte{'\r'};
  if (column == 73) return std::byte{'\n'};
  return static_cast<std::byte>(' ' + (line + column) % kPrinting);
}

}  // namespace

std::span<const std::byte> chargen_at(size_t offset) {
  static const auto table = [] {
    std::array<std::byte, kTable> bytes{};
    for (size_t i = 0; i < kTable; ++i) bytes[i] = character_at(i % kPeriod);
    return bytes;
  }();
  return std::span(table).subspan(offset % kPeriod);
}

}  // namespace fairlead::lab
