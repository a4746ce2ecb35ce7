#include "app/data_path.h"

#include <string>
#include <utility>

#include "app/kernel_ports.h"

namespace fairlead::app {

Result<std::unique_ptr<DataPath>> DataPath::open(const control::Config& config, Log& log) {
  std::unique_ptr<DataPath> path(new DataPath(log));
  if (auto opened = path->open_interfaces(config); !opened) {
    return std::unexpected(opened.error());
  }
  if (auto opened = path->open_shards(config); !opened) return std::unexpected(opened.error());
  return path;
}

DataPath::~DataPath() = default;

Result<void> DataPath::open_interfaces(const control::Config& config) {
  splicing_ = std::make_unique<KernelSplicing>(config, log_);
  auto interfaces = SteeredInterfaces::attach(config, *splicing_, monotonic_now());
  if (!interfaces) return std::unexpected(interfaces.error());
  interfaces_ = std::move(*interfaces);
  if (opens_connections(config)) {
    const std::string warning = kernel_ports_warning(local_ports_of(config));
    if (!warning.empty()) log_.warning("{}", warning);
  }
  for (const std::string& name : interfaces_->replaced_leftovers()) {
    log_.warning("interface {}: replaced what a crashed Fairlead had left behind", name);
  }
  return {};
}

Result<void> DataPath::open_shards(const control::Config& config) {
  if (auto told = interfaces_->set_setup_secrets(setup_secrets_.secrets()); !told) return told;
  auto ports = interfaces_->open_ports();
  if (!ports) return std::unexpected(ports.error());
  setup_seats_ = std::make_unique<SetupSeats>(
      config.shards,
      [this](const nic::ListenMessage& message) { interfaces_->set_setup(message); });
  auto shards = ShardGroup::open({.config = config,
                                  .interfaces = interfaces_->interfaces(),
                                  .steering = splicing_->spreading(),
                                  .seat = splicing_->seat(),
                                  .setup_seats = setup_seats_.get(),
                                  .teardowns = interfaces_->teardowns(),
                                  .setup_secrets = setup_secrets_.secrets(),
                                  .log = log_},
                                 std::move(*ports));
  if (!shards) return std::unexpected(shards.error());
  shards_ = std::move(*shards);
  splicing_->adopt(*shards_);
  return {};
}

void DataPath::process(Time now) {
  follow_addresses(now);
  rotate_secrets(now);
}

// Says so once when this falls behind, and once when it has caught up.
void DataPath::follow_addresses(Time now) {
  const Result<void> done = interfaces_->process(now);
  if (addresses_current_ && !done) {
    log_.warning("this machine's addresses may be out of date: {}", done.error().to_string());
  } else if (!addresses_current_ && done) {
    log_.info("this machine's addresses are up to date again");
  }
  addresses_current_ = done.has_value();
}

// Several times in the 64 s that there are for it.
void DataPath::rotate_secrets(Time now) {
  if (setup_secrets_.rotate(now)) secrets_told_ = false;
  if (secrets_told_) return;
  const bool kernel_told = interfaces_->set_setup_secrets(setup_secrets_.secrets()).has_value();
  secrets_told_ = shards_->set_setup_secrets(setup_secrets_.secrets()) && kernel_told;
}

void DataPath::stop(nic::SunkSplices sunk) {
  shards_->stop(sunk);
  if (sunk == nic::SunkSplices::kReset) splicing_->remove_at_end();
}

}  // namespace fairlead::app
