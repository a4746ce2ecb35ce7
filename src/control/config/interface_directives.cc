// Inside `interface NAME { … }`.
#include <fmt/format.h>
#include <net/if.h>

#include "control/config/directives.h"

namespace fairlead::control {
namespace {

constexpr Directive<InterfaceConfig> kInterface[] = {
    {.keyword = "aggregate",
     .usage = "aggregate automatic|on|off",
     .read =
         [](DirectiveInput& in, InterfaceConfig& out) {
           static constexpr std::string_view kWhen[] = {"automatic", "on", "off"};
           in.arguments.choice("WHEN", kWhen, out.aggregate);
         }},
    {.keyword = "receive_buffer",
     .usage = "receive_buffer SIZE",
     .read =
         [](DirectiveInput& in, InterfaceConfig& out) {
           // At least a few super-packets of 64 KiB; the kernel's memory cannot be swapped out.
           in.arguments.size("SIZE", {.min = 256u << 10, .max = 1u << 30}, out.receive_buffer);
         }},
    {.keyword = "receive_mode",
     .usage = "receive_mode socket|ring",
     .read =
         [](DirectiveInput& in, InterfaceConfig& out) {
           static constexpr std::string_view kModes[] = {"socket", "ring"};
           in.arguments.choice("MODE", kModes, out.receive_mode);
         }},
    {.keyword = "seat",
     .usage = "seat automatic|tc|xdp|user",
     .read =
         [](DirectiveInput& in, InterfaceConfig& out) {
           static constexpr std::string_view kSeats[] = {"automatic", "tc", "xdp", "user"};
           in.arguments.choice("SEAT", kSeats, out.seat);
         }},
    {.keyword = "send_mode",
     .usage = "send_mode socket|burst",
     .read =
         [](DirectiveInput& in, InterfaceConfig& out) {
           static constexpr std::string_view kModes[] = {"socket", "burst"};
           in.arguments.choice("MODE", kModes, out.send_mode);
         }},
};

}  // namespace

std::span<const Directive<InterfaceConfig>> interface_directives() { return kInterface; }

void read_interface_name(Arguments& in, std::string_view name, std::string& out) {
  in.text(name, out);
  if (in.ok() && (out.size() >= IFNAMSIZ || out.find('/') != std::string::npos)) {
    in.reject(fmt::format("found {}; expected an interface name of at most {} letters",
                          in_quotes(out), IFNAMSIZ - 1));
  }
}

}  // namespace fairlead::control
