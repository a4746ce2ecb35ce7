#include "app/steered_interfaces.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/random.h"
#include "nic/aggregate/aggregating_port.h"
#include "port/af_packet.h"
#include "port/interface_info.h"

namespace fairlead::app {
namespace {

std::string_view mode_name(nic::AttachMode mode) {
  switch (mode) {
    case nic::AttachMode::kAutomatic:
      return "automatic";
    case nic::AttachMode::kTcx:
      return "tcx";
    case nic::AttachMode::kClsact:
      return "clsact";
  }
  return "unknown";
}

port::ReceiveMode receive_mode(control::InterfaceConfig::ReceiveMode mode) {
  return mode == control::InterfaceConfig::ReceiveMode::kRing ? port::ReceiveMode::kRing
                                                              : port::ReceiveMode::kSocket;
}

/// EOPNOTSUPP and the like: an interface that does not say is taken to merge nothing.
bool aggregates(const control::InterfaceConfig& config) {
  using enum control::InterfaceConfig::Aggregate;
  if (config.aggregate == kAutomatic) {
    return !port::has_receive_offload(config.name).value_or(false);
  }
  return config.aggregate == kOn;
}

/// For one shard. PSH is carried and sums are left out: the stack comes at once, and verifies
/// nothing that the aggregator has verified.
std::unique_ptr<port::Port> aggregated(std::unique_ptr<port::Port> port) {
  nic::AggregateConfig config{.contexts = 4096,
                              .open_aggregates = 128,
                              .more_buffers = 512,
                              .carry_push = true,
                              .leave_checksum = true};
  fill_secure_random({reinterpret_cast<uint8_t*>(&config.secret), sizeof config.secret});
  return std::make_unique<nic::AggregatingPort>(std::move(port),
                                                nic::AggregatingPort::Options{.aggregate = config});
}

}  // namespace

bool opens_connections(const control::Config& config) {
  return config.reserve_local_ports || !config.virtual_servers.empty();
}

nic::LocalPorts local_ports_of(const control::Config& config) {
  return {.first = config.stack.local_port_first, .last = config.stack.local_port_last};
}

Result<std::unique_ptr<SteeredInterfaces>> SteeredInterfaces::attach(const control::Config& config,
                                                                     const KernelSplicing& splicing,
                                                                     Time now) {
  std::unique_ptr<SteeredInterfaces> out(new SteeredInterfaces(splicing));
  out->open_teardowns(config);
  for (const control::InterfaceConfig& interface : config.interfaces) {
    nic::SteeringOptions options = splicing.steering_of(out->interfaces_.size());
    if (options.answer_syns && out->teardowns_) options.teardown_flows = out->teardowns_->fd();
    auto steering = nic::Steering::attach(interface.name, options);
    if (!steering) return std::unexpected(steering.error());
    out->interfaces_.push_back({.config = interface, .steering = std::move(*steering)});
    out->open_bursts(out->interfaces_.back());
  }
  if (opens_connections(config)) {
    if (auto set = out->set_local_ports(local_ports_of(config)); !set) {
      return std::unexpected(set.error());
    }
  }
  auto router = port::NetlinkRouter::open(out->interfaces(), now);
  if (!router) return std::unexpected(router.error());
  out->router_ = std::move(*router);
  if (auto synced = out->process(now); !synced) return std::unexpected(synced.error());
  return out;
}

void SteeredInterfaces::open_teardowns(const control::Config& config) {
  bool wanted = false;
  for (size_t i = 0; i < config.interfaces.size(); ++i) {
    wanted = wanted || splicing_.steering_of(i).answer_syns;
  }
  if (!wanted) return;
  auto map = nic::TeardownMap::create({.max_flows = config.stack.max_teardowns,
                                       .shards = splicing_.spreading().shards,
                                       .hash_seed = splicing_.spreading().hash_seed});
  if (map) {
    teardowns_ = std::move(*map);
  } else {
    no_teardowns_ = map.error().to_string();
  }
}

void SteeredInterfaces::open_bursts(Interface& interface) const {
  if (interface.config.send_mode != control::InterfaceConfig::SendMode::kBurst) return;
  auto bursts = nic::SendBursts::attach(interface.config.name, splicing_.spreading().shards);
  if (bursts) {
    interface.bursts = std::move(*bursts);
  } else {
    interface.no_bursts = bursts.error().to_string();
  }
}

std::vector<port::NetlinkRouter::Interface> SteeredInterfaces::interfaces() const {
  std::vector<port::NetlinkRouter::Interface> out;
  for (const Interface& interface : interfaces_) {
    out.push_back({.name = interface.config.name, .port_index = static_cast<uint8_t>(out.size())});
  }
  return out;
}

Result<std::vector<std::vector<std::unique_ptr<port::Port>>>> SteeredInterfaces::open_ports()
    const {
  std::vector<std::vector<std::unique_ptr<port::Port>>> by_shard(splicing_.spreading().shards);
  for (const Interface& interface : interfaces_) {
    auto ports = port::open_af_packet({
        .interface = interface.config.name,
        .shards = splicing_.spreading().shards,
        .receive = receive_mode(interface.config.receive_mode),
        .filter_fd = interface.steering->filter_fd(),
        .fanout_fd = interface.steering->fanout_fd(),
        .bursts = interface.bursts ? interface.bursts->memory() : std::span<fl_burst>(),
        .receive_bytes = interface.config.receive_buffer,
    });
    if (!ports) return std::unexpected(ports.error());
    if (aggregates(interface.config)) {
      for (auto& port : *ports) port = aggregated(std::move(port));
    }
    for (size_t shard = 0; shard < by_shard.size(); ++shard) {
      by_shard[shard].push_back(std::move((*ports)[shard]));
    }
  }
  return by_shard;
}

Result<void> SteeredInterfaces::add_listener(const Endpoint& endpoint) {
  for (size_t i = 0; i < interfaces_.size(); ++i) {
    Result<void> added = interfaces_[i].steering->add_listener(endpoint);
    if (added) continue;
    while (i-- > 0) static_cast<void>(interfaces_[i].steering->remove_listener(endpoint));
    return added;
  }
  return {};
}

Result<void> SteeredInterfaces::remove_listener(const Endpoint& endpoint) {
  Result<void> outcome;
  for (Interface& interface : interfaces_) {
    Result<void> removed = interface.steering->remove_listener(endpoint);
    if (outcome && !removed) outcome = std::move(removed);
  }
  return outcome;
}

Result<void> SteeredInterfaces::set_local_ports(nic::LocalPorts ports) {
  for (Interface& interface : interfaces_) {
    if (auto set = interface.steering->set_local_ports(ports); !set) return set;
  }
  return {};
}

void SteeredInterfaces::set_setup(const nic::ListenMessage& message) {
  const fl_setup_listener* listener = message.listener ? &*message.listener : nullptr;
  for (Interface& interface : interfaces_) {
    static_cast<void>(interface.steering->set_setup(message.endpoint, listener));
  }
}

Result<void> SteeredInterfaces::set_setup_secrets(const fl_setup_secrets& secrets) {
  for (Interface& interface : interfaces_) {
    if (auto set = interface.steering->set_setup_secrets(secrets); !set) return set;
  }
  return {};
}

Result<void> SteeredInterfaces::process(Time now) {
  Result<void> outcome = router_->process(now);
  if (router_->generation() == synced_generation_) return outcome;
  synced_generation_ = router_->generation();
  for (size_t i = 0; i < interfaces_.size(); ++i) {
    Result<void> synced = sync_addresses(interfaces_[i], static_cast<uint8_t>(i));
    if (outcome && !synced) outcome = std::move(synced);
  }
  return outcome;
}

Result<void> SteeredInterfaces::sync_addresses(Interface& interface, uint8_t port_index) {
  std::vector<IpAddress> wanted = router_->local_addresses(port_index);
  std::ranges::sort(wanted);
  std::vector<IpAddress> gone;
  std::ranges::set_difference(interface.addresses, wanted, std::back_inserter(gone));
  Result<void> outcome;
  for (const IpAddress& address : wanted) {
    Result<void> added = interface.steering->add_local_address(address);
    if (outcome && !added) outcome = std::move(added);
  }
  for (const IpAddress& address : gone) {
    Result<void> removed = interface.steering->remove_local_address(address);
    if (outcome && !removed) outcome = std::move(removed);
  }
  interface.addresses = std::move(wanted);
  return outcome;
}

control::Json SteeredInterfaces::describe() const {
  control::Json out = control::Json::array();
  for (size_t i = 0; i < interfaces_.size(); ++i) {
    const Interface& interface = interfaces_[i];
    control::Json counters = control::Json::object();
    interface.steering->counters().for_each(
        [&](std::string_view name, uint64_t value) { counters[std::string(name)] = value; });
    control::Json row{
        {"name", interface.config.name},
        {"attached", mode_name(interface.steering->attach_mode())},
        {"setup_seat", interface.steering->setup_seat()},
        {"setup_reason", interface.steering->setup_reason()},
        {"teardown_seat", interface.steering->teardown_seat()},
        {"teardown_reason", teardowns_ ? interface.steering->teardown_reason() : no_teardowns_},
        {"send_mode", interface.bursts ? "burst" : "socket"},
        {"send_reason", interface.no_bursts},
        {"counters", std::move(counters)}};
    splicing_.describe_interface(i, row);
    out.push_back(std::move(row));
  }
  return out;
}

uint64_t SteeredInterfaces::syns_answered() const {
  uint64_t sum = 0;
  for (const Interface& interface : interfaces_) sum += interface.steering->counters().answered_syn;
  return sum;
}

std::vector<std::string> SteeredInterfaces::replaced_leftovers() const {
  std::vector<std::string> out;
  for (const Interface& interface : interfaces_) {
    if (interface.steering->replaced_leftover()) out.push_back(interface.config.name);
  }
  return out;
}

}  // namespace fairlead::app
