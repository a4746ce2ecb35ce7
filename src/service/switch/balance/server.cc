#include "service/switch/balance/server.h"

namespace fairlead::balance {

Server::Server(const Options& options)
    : options_(options), name_(options.endpoint.to_string()), health_(options.health) {
  CHECK(options.weight >= 1);
  CHECK(options.health.rise >= 1 && options.health.fall >= 1);
}

}  // namespace fairlead::balance
