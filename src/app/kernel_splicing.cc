#include "app/kernel_splicing.h"

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

#include "base/random.h"
#include "base/time.h"

namespace fairlead::app {
namespace {

nic::BpfSeat::Options options_of(const control::Config& config, uint64_t hash_seed) {
  nic::BpfSeat::Options options{.interfaces = {},
                                .max_rules = config.splice_rules,
                                .shards = config.shards,
                                .hash_seed = hash_seed};
  for (const control::InterfaceConfig& interface : config.interfaces) {
    options.interfaces.push_back({.name = interface.name, .choice = interface.seat});
  }
  return options;
}

std::string_view choice_name(nic::SeatChoice choice) {
  switch (choice) {
    case nic::SeatChoice::kAutomatic:
      return "automatic";
    case nic::SeatChoice::kTc:
      return "tc";
    case nic::SeatChoice::kXdp:
      return "xdp";
    case nic::SeatChoice::kUser:
      return "user";
  }
  return "unknown";
}

}  // namespace

KernelSplicing::KernelSplicing(const control::Config& config, Log& log) : log_(log) {
  uint64_t hash_seed = 0;
  fill_secure_random({reinterpret_cast<uint8_t*>(&hash_seed), sizeof(hash_seed)});
  opened_ = nic::BpfSeat::open(options_of(config, hash_seed));
  spreading_.shards = config.shards;
  spreading_.hash_seed = seat() != nullptr ? seat()->hash_seed() : hash_seed;
}

KernelSplicing::~KernelSplicing() {
  if (seat() != nullptr && remove_at_end_) seat()->close_down();
}

void KernelSplicing::report() const {
  for (const std::string& note : opened_.notes) log_.warning("{}", note);
  for (const nic::InterfaceSeat& interface : opened_.interfaces) {
    std::string line = fmt::format("interface {}: splices in seat {}", interface.name,
                                   splice_seat_name(interface.seat));
    if (!interface.how.empty()) line += fmt::format(" ({})", interface.how);
    if (interface.adopted) line += ", in the place of an earlier Fairlead's programs";
    if (!interface.reason.empty()) line += ": " + interface.reason;
    const bool asked = interface.asked != nic::SeatChoice::kAutomatic;
    if (asked && !interface.reason.empty()) {
      log_.warning("{}; seat {} was asked for", line, choice_name(interface.asked));
    } else {
      log_.info("{}", line);
    }
  }
}

nic::SteeringOptions KernelSplicing::steering_of(size_t interface) const {
  nic::SteeringOptions options = spreading_;
  const nic::InterfaceSeat& at = opened_.interfaces.at(interface);
  if (seat() == nullptr) return options;
  options.splice_rules = seat()->rules_fd();
  options.shard_by_rule = seat()->shard_by_rule();
  options.splices = at.seat != nic::SpliceSeat::kUser;
  if (!options.splices) return options;
  options.attach = at.tcx_link >= 0 ? nic::AttachMode::kTcx : nic::AttachMode::kClsact;
  options.splice_link = at.tcx_link;
  options.answer_syns = true;
  options.xdp_behind = at.xdp_behind;
  return options;
}

void KernelSplicing::adopt(ShardGroup& shards) {
  if (seat() == nullptr) return;
  const Time now = monotonic_now();
  size_t adopted = 0;
  size_t refused = 0;
  const size_t broken = seat()->for_each_pair([&](const nic::SplicePair& pair) {
    const bool taken = shards.adopt(pair, {.client_shard = nic::shard_of(pair.client, spreading_),
                                           .server_shard = nic::shard_of(pair.server, spreading_),
                                           .now = now});
    ++(taken ? adopted : refused);
  });
  if (adopted > 0) log_.info("took over {} spliced connections", adopted);
  if (refused > 0) log_.warning("no room for {} spliced connections; they are ended", refused);
  if (broken > 0) log_.warning("removed {} splice rules that are no pairs", broken);
}

void KernelSplicing::describe_interface(size_t interface, control::Json& row) const {
  const nic::InterfaceSeat& at = opened_.interfaces.at(interface);
  row["seat"] = splice_seat_name(at.seat);
  row["seat_asked"] = choice_name(at.asked);
  row["seat_attached"] = at.how;
  row["seat_reason"] = at.reason;
}

control::Json KernelSplicing::counters() const {
  control::Json out = control::Json::object();
  if (seat() == nullptr) return out;
  const nic::SpliceSeatCounters counters = seat()->counters();
  for (size_t i = 0; i < counters.size(); ++i) {
    out[std::string(nic::splice_seat_counter_name(i))] = counters[i];
  }
  return out;
}

}  // namespace fairlead::app
