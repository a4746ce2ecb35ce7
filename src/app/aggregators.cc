#include "app/aggregators.h"

#include <algorithm>
#include <utility>

#include "base/random.h"
#include "port/af_packet.h"

namespace fairlead::app {
namespace {

using control::Json;

Result<std::unique_ptr<port::Port>> open_port(const std::string& interface) {
  auto ports = port::open_af_packet({.interface = interface, .transparent = true});
  if (!ports) return std::unexpected(ports.error());
  return std::move(ports->front());
}

Json describe_bump(const control::AggregatorConfig& config, const Bump::Statistics& statistics) {
  const nic::AggregateCounters& counts = statistics.aggregate;
  const auto per = [](auto total, uint64_t packets) {
    return static_cast<double>(total) / static_cast<double>(std::max<uint64_t>(packets, 1));
  };
  Json counters = Json::object();
  counts.for_each(
      [&](std::string_view name, uint64_t value) { counters[std::string(name)] = value; });
  counters["dropped"] = statistics.dropped;
  return {{"from", config.from},
          {"to", config.to},
          {"contexts", statistics.contexts},
          {"ratio", per(counts.packets_in, counts.packets_out)},
          {"delay_mean_us", per(statistics.delay.total.count() / 1000, counts.packets_in)},
          {"delay_max_us", statistics.delay.longest / microseconds(1)},
          {"back_packets", statistics.to.rx_packets},
          {"rx_dropped", statistics.from.rx_dropped + statistics.to.rx_dropped},
          {"counters", std::move(counters)}};
}

}  // namespace

Result<std::unique_ptr<Aggregators>> Aggregators::open(
    const std::vector<control::AggregatorConfig>& configs) {
  std::unique_ptr<Aggregators> out(new Aggregators);
  for (const control::AggregatorConfig& config : configs) {
    auto from = open_port(config.from);
    if (!from) return std::unexpected(from.error());
    auto to = open_port(config.to);
    if (!to) return std::unexpected(to.error());
    nic::AggregateConfig aggregate = config.aggregate;
    fill_secure_random({reinterpret_cast<uint8_t*>(&aggregate.secret), sizeof aggregate.secret});
    out->members_.push_back(
        {.config = config,
         .bump = std::make_unique<Bump>(Bump::Ports{.from = std::move(*from), .to = std::move(*to)},
                                        aggregate, monotonic_now),
         .thread = {}});
  }
  return out;
}

Aggregators::~Aggregators() {
  for (Member& member : members_) {
    member.bump->stop();
    if (member.thread.joinable()) member.thread.join();
  }
}

void Aggregators::start() {
  for (Member& member : members_) {
    member.thread = std::thread([bump = member.bump.get()] { bump->run(); });
  }
}

Json Aggregators::describe() const {
  Json out = Json::array();
  for (const Member& member : members_) {
    out.push_back(describe_bump(member.config, member.bump->statistics()));
  }
  return out;
}

}  // namespace fairlead::app
