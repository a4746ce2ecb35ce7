// A configuration file of any bytes is read or refused with diagnostics, within its bounds.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "control/config/config.h"

namespace {

void check(const fairlead::control::VirtualServerConfig& server) {
  CHECK(!server.listeners.empty());
  CHECK(!server.pool.servers.empty() || !server.matches.empty());
  CHECK(server.pool.servers.size() <= fairlead::control::PoolConfig::kMaxServers);
  for (const auto& match : server.matches) {
    CHECK(!match.conditions.empty() && !match.pool.empty());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fairlead::control;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto config = parse_config(text, "fuzz");
  if (config) {
    CHECK(!config->interfaces.empty() || !config->virtual_servers.empty());
    CHECK(config->listen.socket.send_buffer_min <= config->listen.socket.send_buffer_max);
    for (const VirtualServerConfig& server : config->virtual_servers) check(server);
    for (const PoolConfig& pool : config->pools) CHECK(!pool.name.empty() && !pool.servers.empty());
  } else {
    const size_t lines = config.error().lines().size();
    CHECK(lines >= 1 && lines <= Diagnostics::kMaxErrors + 1);
  }
  return 0;
}
