// SwitchCounters: what a Switch has done since it started, one name for everything it can do or
// refuse.
#pragma once

#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>

#include "service/switch/protocol/body_framer.h"
#include "service/switch/protocol/client_hello.h"
#include "service/switch/protocol/http_fault.h"
#include "service/switch/protocol/proxy_protocol.h"

namespace fairlead::l7 {

// X(name, what is counted)
#define FAIRLEAD_SWITCH_COUNTERS(X)                                                \
  X(clients_accepted, "connections taken from clients")                            \
  X(clients_refused, "reset: no room for one more session")                        \
  X(requests, "HTTP requests whose head was read")                                 \
  X(responses_2xx, "answers passed on, by status")                                 \
  X(responses_3xx, "")                                                             \
  X(responses_4xx, "")                                                             \
  X(responses_5xx, "")                                                             \
  X(spliced, "sessions whose two connections became one")                          \
  X(switched_protocols, "101 and CONNECT: relayed as bytes from there on")         \
  X(no_route, "no rule took the request and there is no pool of its own")          \
  X(no_server, "no server of the pool could take it")                              \
  X(server_connects, "connections made to servers")                                \
  X(server_reused, "requests that found a connection to their server open")        \
  X(server_refused, "connections to servers that were refused or unreachable")     \
  X(no_local_port, "connections to servers not made: every local port was in use") \
  X(server_timeouts, "connections to servers that were not answered in time")      \
  X(server_retries, "requests for which another server was tried")                 \
  X(answer_timeouts, "servers that took a request and did not answer in time")     \
  X(server_aborted, "servers that broke off before or within an answer")           \
  X(server_bad_answers, "answers of servers that are no HTTP")                     \
  X(client_aborted, "clients that broke off before their answer was complete")     \
  X(head_timeouts, "clients that did not send their head in time")                 \
  X(idle_timeouts, "connections that were silent for too long")                    \
  X(ended_by_command, "connections ended because their server was disabled")       \
  X(bytes_from_clients, "")                                                        \
  X(bytes_to_clients, "")                                                          \
  X(health_checks, "")                                                             \
  X(health_checks_failed, "")

struct SwitchCounters {
#define FAIRLEAD_X(name, what) uint64_t name = 0;
  FAIRLEAD_SWITCH_COUNTERS(FAIRLEAD_X)
#undef FAIRLEAD_X
  uint64_t http_faults[protocol::kHttpFaultCount] = {};    // requests refused, by HttpFault
  uint64_t body_faults[protocol::kBodyFaultCount] = {};    // bodies that broke their framing
  uint64_t hello_faults[protocol::kHelloFaultCount] = {};  // ClientHellos refused
  uint64_t proxy_faults[protocol::kProxyFaultCount] = {};  // PROXY headers refused

  /// Calls f(name, value) for every counter; the faults' names begin with "http_", "body_",
  /// "hello_" or "proxy_".
  template <typename F>
  void for_each(F f) const {
#define FAIRLEAD_X(name, what) f(std::string_view(#name), name);
    FAIRLEAD_SWITCH_COUNTERS(FAIRLEAD_X)
#undef FAIRLEAD_X
    auto faults = [&f](std::string_view prefix, const auto& counts, auto name_of) {
      for (size_t i = 0; i < std::size(counts); ++i)
        f(std::string(prefix) + std::string(name_of(i)), counts[i]);
    };
    faults("http_", http_faults, [](size_t i) { return protocol::kHttpFaults[i].name; });
    faults("body_", body_faults, [](size_t i) { return protocol::kBodyFaultNames[i]; });
    faults("hello_", hello_faults, [](size_t i) { return protocol::kHelloFaultNames[i]; });
    faults("proxy_", proxy_faults, [](size_t i) { return protocol::kProxyFaultNames[i]; });
  }
};

}  // namespace fairlead::l7
