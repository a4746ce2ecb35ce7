// Inside `interface NAME { … }`.
#include "control/config/directives.h"

namespace fairlead::control {
namespace {

constexpr Directive<InterfaceConfig> kInterface[] = {
    {.keyword = "mtu",
     .usage = "mtu BYTES",
     .read =
         [](DirectiveInput& in, InterfaceConfig& out) {
           // 576: what every IPv4 host must take (RFC 1122 §3.3.3).
           in.arguments.number("BYTES", {.min = 576, .max = 65535}, out.mtu);
         }},
    {.keyword = "receive_ring",
     .usage = "receive_ring SIZE",
     .read =
         [](DirectiveInput& in, InterfaceConfig& out) {
           // Two super-packets at the least; the kernel takes the memory at once, unswappable.
           in.arguments.size("SIZE", {.min = 256u << 10, .max = 1u << 30}, out.receive_ring);
         }},
};

}  // namespace

std::span<const Directive<InterfaceConfig>> interface_directives() { return kInterface; }

}  // namespace fairlead::control
