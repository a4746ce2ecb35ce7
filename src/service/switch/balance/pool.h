// Pool: servers that are all alike to a client, and the balancer that chooses among them.
//
// Belongs to one shard, and is shared there by all virtual servers that name it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "service/switch/balance/balancer.h"

namespace fairlead::balance {

class Pool {
 public:
  struct Options {
    std::string name{};
    Schedule schedule{};
    std::vector<Server::Options> servers{};  // as many as Balancer() takes, endpoints distinct
  };

  /// `seed` is for schedules that draw lots.
  Pool(Options options, uint64_t seed);
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  const std::string& name() const { return name_; }
  /// In the order of the configuration. They live as long as the pool, at the same place.
  std::span<const std::unique_ptr<Server>> servers() const { return servers_; }
  /// By "ADDRESS:PORT"; null when there is none.
  Server* find(std::string_view server_name) const;

  /// Balancer::choose().
  Server* choose(const RequestFacts& facts, std::span<const Server* const> tried = {}) {
    return balancer_.choose(facts, tried);
  }

 private:
  const std::string name_;
  const std::vector<std::unique_ptr<Server>> servers_;
  Balancer balancer_;
};

}  // namespace fairlead::balance
