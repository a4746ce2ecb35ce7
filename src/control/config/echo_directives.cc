// Inside `echo_server ADDRESS PORT { … }`.
#include "control/config/directives.h"

namespace fairlead::control {
namespace {

using Mode = EchoServerConfig::Mode;

constexpr const char* kLimitElsewhere =
    "found limit with discard or chargen; it is for a server that echoes";

template <Mode mode>
void read_mode(DirectiveInput& in, EchoServerConfig& out) {
  if (out.mode != Mode::kEcho) {
    in.arguments.reject("found a second mode; expected discard or chargen, not both");
    return;
  }
  if (out.limit) {
    in.arguments.reject(kLimitElsewhere);
    return;
  }
  out.mode = mode;
}

void read_limit(DirectiveInput& in, EchoServerConfig& out) {
  in.arguments.size("SIZE", {.min = 1, .max = uint64_t{1} << 40}, out.limit.emplace());
  if (in.arguments.ok() && out.mode != Mode::kEcho) in.arguments.reject(kLimitElsewhere);
}

constexpr Directive<EchoServerConfig> kEchoServer[] = {
    {.keyword = "backlog",
     .usage = "backlog CONNECTIONS",
     .read =
         [](DirectiveInput& in, EchoServerConfig& out) {
           in.arguments.number("CONNECTIONS", {.min = 1, .max = 1u << 20}, out.backlog);
         }},
    {.keyword = "chargen", .usage = "chargen", .read = read_mode<Mode::kChargen>},
    {.keyword = "discard", .usage = "discard", .read = read_mode<Mode::kDiscard>},
    {.keyword = "limit", .usage = "limit SIZE", .read = read_limit},
    {.keyword = "setup_offload",
     .usage = "setup_offload off|on|deferred",
     .read = [](DirectiveInput& in,
                EchoServerConfig& out) { read_setup_offload(in.arguments, out.setup_offload); }},
    {.keyword = "teardown_offload",
     .usage = "teardown_offload on|off",
     .read = [](DirectiveInput& in,
                EchoServerConfig& out) { in.arguments.on_off(out.teardown_offload.emplace()); }},
};

}  // namespace

std::span<const Directive<EchoServerConfig>> echo_server_directives() { return kEchoServer; }

}  // namespace fairlead::control
