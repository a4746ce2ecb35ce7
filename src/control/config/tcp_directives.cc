// `tcp { … }`: how every connection behaves. Names are those of the Linux tcp(7) options where
// there is one; bounds keep a typing mistake from becoming an outage and are no advice.
#include <fmt/format.h>

#include "control/config/directives.h"
#include "control/config/units.h"

namespace fairlead::control {
namespace {

constexpr Range<Duration> kAnyTimeout{.min = milliseconds(1), .max = hours(24)};
// A buffer below one MSS of the smallest link could never carry a segment; 1 GiB is the largest
// window RFC 7323 §2.3 can express.
constexpr Range<uint64_t> kBufferBytes{.min = 4096, .max = uint64_t{1} << 30};

void read_buffer_bounds(Arguments& in, uint32_t& out_min, uint32_t& out_max) {
  in.size("MIN", kBufferBytes, out_min);
  in.size("MAX", kBufferBytes, out_max);
  if (in.ok() && out_min > out_max) {
    in.reject(fmt::format("found MAX {} below MIN {}; expected MIN to be at most MAX",
                          format_size(out_max), format_size(out_min)));
  }
}

void read_congestion(DirectiveInput& in, Config& out) {
  static constexpr std::string_view kNames[] = {"cubic", "newreno"};
  size_t index = 0;
  in.arguments.choice("ALGORITHM", kNames, index);
  out.listen.socket.congestion =
      index == 0 ? host::CongestionAlgorithm::kCubic : host::CongestionAlgorithm::kNewReno;
}

void read_keepalive(DirectiveInput& in, Config& out) {
  host::SocketOptions& socket = out.listen.socket;
  in.arguments.on_off(socket.keepalive);
  if (!socket.keepalive || !in.arguments.more()) return;
  in.arguments.duration("IDLE", {.min = seconds(1), .max = hours(24)}, socket.keepalive_idle);
  in.arguments.duration("INTERVAL", {.min = seconds(1), .max = hours(1)},
                        socket.keepalive_interval);
  in.arguments.number("PROBES", {.min = 1, .max = 100}, socket.keepalive_probes);
}

constexpr Directive<Config> kTcp[] = {
    {.keyword = "congestion", .usage = "congestion cubic|newreno", .read = read_congestion},
    {.keyword = "connect_timeout",
     .usage = "connect_timeout DURATION",
     .read =
         [](DirectiveInput& in, Config& out) {
           in.arguments.duration("DURATION", kAnyTimeout, out.listen.socket.connect_timeout);
         }},
    {.keyword = "ecn",
     .usage = "ecn on|off",
     .read = [](DirectiveInput& in, Config& out) { in.arguments.on_off(out.listen.socket.ecn); }},
    {.keyword = "keepalive",
     .usage = "keepalive off|on [IDLE INTERVAL PROBES]",
     .read = read_keepalive},
    {.keyword = "linger_timeout",
     .usage = "linger_timeout DURATION",
     .read =
         [](DirectiveInput& in, Config& out) {
           in.arguments.duration("DURATION", kAnyTimeout, out.listen.socket.linger_timeout);
         }},
    {.keyword = "max_time_wait",
     .usage = "max_time_wait CONNECTIONS",
     .read =
         [](DirectiveInput& in, Config& out) {
           in.arguments.number("CONNECTIONS", {.min = 1, .max = 1u << 24}, out.stack.max_time_wait);
         }},
    {.keyword = "nodelay",
     .usage = "nodelay on|off",
     .read = [](DirectiveInput& in,
                Config& out) { in.arguments.on_off(out.listen.socket.nodelay); }},
    {.keyword = "receive_buffer",
     .usage = "receive_buffer MIN MAX",
     .read =
         [](DirectiveInput& in, Config& out) {
           host::SocketOptions& socket = out.listen.socket;
           read_buffer_bounds(in.arguments, socket.receive_buffer_min, socket.receive_buffer_max);
         }},
    {.keyword = "send_buffer",
     .usage = "send_buffer MIN MAX",
     .read =
         [](DirectiveInput& in, Config& out) {
           host::SocketOptions& socket = out.listen.socket;
           read_buffer_bounds(in.arguments, socket.send_buffer_min, socket.send_buffer_max);
         }},
    {.keyword = "syn_queue",
     .usage = "syn_queue CONNECTIONS",
     .read =
         [](DirectiveInput& in, Config& out) {
           in.arguments.number("CONNECTIONS", {.min = 1, .max = 1u << 20}, out.listen.syn_queue);
         }},
    {.keyword = "teardown_offload",
     .usage = "teardown_offload on|off",
     .read = [](DirectiveInput& in,
                Config& out) { in.arguments.on_off(out.listen.socket.teardown_offload); }},
    {.keyword = "time_wait",
     .usage = "time_wait DURATION",
     .read =
         [](DirectiveInput& in, Config& out) {
           in.arguments.duration("DURATION", {.min = milliseconds(1), .max = minutes(10)},
                                 out.listen.socket.time_wait);
         }},
    {.keyword = "unsent_buffer",
     .usage = "unsent_buffer SIZE",
     .read =
         [](DirectiveInput& in, Config& out) {
           in.arguments.size("SIZE", kBufferBytes, out.listen.socket.unsent_max);
         }},
    {.keyword = "user_timeout",
     .usage = "user_timeout DURATION",
     .read =
         [](DirectiveInput& in, Config& out) {
           in.arguments.duration("DURATION", kAnyTimeout, out.listen.socket.user_timeout);
         }},
};

}  // namespace

std::span<const Directive<Config>> tcp_directives() { return kTcp; }

}  // namespace fairlead::control
