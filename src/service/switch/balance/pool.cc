#include "service/switch/balance/pool.h"

#include <utility>

namespace fairlead::balance {
namespace {

std::vector<std::unique_ptr<Server>> make_servers(const std::vector<Server::Options>& options) {
  std::vector<std::unique_ptr<Server>> servers;
  for (const Server::Options& each : options) servers.push_back(std::make_unique<Server>(each));
  return servers;
}

}  // namespace

Pool::Pool(Options options, uint64_t seed)
    : name_(std::move(options.name)),
      servers_(make_servers(options.servers)),
      balancer_(std::move(options.schedule), servers_, seed) {}

Server* Pool::find(std::string_view server_name) const {
  for (const std::unique_ptr<Server>& server : servers_) {
    if (server->name() == server_name) return server.get();
  }
  return nullptr;
}

}  // namespace fairlead::balance
