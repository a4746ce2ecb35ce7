#include "app/kernel_ports.h"

#include <fmt/format.h>

#include <charconv>
#include <fstream>

namespace fairlead::app {
namespace {

struct PortRange {
  uint32_t first = 0;
  uint32_t last = 65535;
};

/// "FIRST<separator>LAST", or one port.
std::optional<PortRange> parse_range(std::string_view text, std::string_view separators) {
  const char* end = text.data() + text.size();
  PortRange range;
  auto first = std::from_chars(text.data(), end, range.first);
  if (first.ec != std::errc{}) return std::nullopt;
  range.last = range.first;
  const char* at = first.ptr;
  while (at != end && separators.contains(*at)) ++at;
  if (at == end) return range;
  if (std::from_chars(at, end, range.last).ec != std::errc{}) return std::nullopt;
  return range;
}

bool is_reserved(uint32_t port, std::string_view reserved) {
  while (!reserved.empty()) {
    const size_t comma = reserved.find(',');
    const auto range = parse_range(reserved.substr(0, comma), "-");
    if (range && range->first <= port && port <= range->last) return true;
    reserved = comma == std::string_view::npos ? std::string_view() : reserved.substr(comma + 1);
  }
  return false;
}

std::string read_line(const char* file) {
  std::string line;
  std::ifstream in(file);
  std::getline(in, line);
  return line;
}

}  // namespace

std::optional<uint16_t> shared_port(nic::LocalPorts ours, std::string_view range,
                                    std::string_view reserved) {
  const PortRange kernel = parse_range(range, " \t").value_or(PortRange());
  for (uint32_t port = ours.first; port <= ours.last; ++port) {
    if (port >= kernel.first && port <= kernel.last && !is_reserved(port, reserved)) {
      return static_cast<uint16_t>(port);
    }
  }
  return std::nullopt;
}

std::string kernel_ports_warning(nic::LocalPorts ours) {
  const std::string range = read_line("/proc/sys/net/ipv4/ip_local_port_range");
  const auto shared =
      shared_port(ours, range, read_line("/proc/sys/net/ipv4/ip_local_reserved_ports"));
  if (!shared) return {};
  return fmt::format(
      "local ports {}-{} are ours, and the kernel may give them to other programs, which would get "
      "no answers: port {} is within net.ipv4.ip_local_port_range; add {}-{} to "
      "net.ipv4.ip_local_reserved_ports",
      ours.first, ours.last, *shared, ours.first, ours.last);
}

}  // namespace fairlead::app
