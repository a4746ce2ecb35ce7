#include "app/reloader.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <sstream>
#include <string>
#include <utility>

#include "app/ask_shards.h"
#include "host/in_use.h"

namespace fairlead::app {
namespace {

// Making pools and listeners takes milliseconds; this is for a shard that hangs.
constexpr Duration kConfigureTimeout = seconds(3);
// Looking whether an address is still in use means a look at every connection.
constexpr Duration kReleaseInterval = seconds(5);

}  // namespace

std::vector<l7::SwitchOptions> switch_options_by_shard(const control::Config& config,
                                                       SwitchLogs& logs) {
  std::vector<l7::SwitchOptions> out;
  for (size_t shard = 0; shard < config.shards; ++shard) {
    out.push_back(switch_options(config, {.index = shard, .shards = config.shards},
                                 logs.targets(config, shard)));
  }
  return out;
}

Reloader::Reloader(Parts parts)
    : parts_(std::move(parts)),
      claims_(
          {.add = [this](const Endpoint& e) { return parts_.interfaces.add_listener(e); },
           .remove = [this](const Endpoint& e) { return parts_.interfaces.remove_listener(e); }}) {}

Result<void> Reloader::claim_listeners() {
  return claims_.claim(listened_by_switch(parts_.config));
}

Result<control::Json> Reloader::reload() {
  Result<ReloadPlan> plan = read_plan();
  if (!plan) return refuse(plan.error());
  if (auto applied = apply(*plan); !applied) return refuse(applied.error());
  parts_.config = std::move(plan->config);
  parts_.logs.reopen();
  parts_.log.info("{}: reloaded", parts_.file);
  for (const std::string& warning : plan->warnings) parts_.log.warning("reload: {}", warning);
  parts_.logs.configuration_event(parts_.config, "reloaded", parts_.file, "");
  return control::Json{{"file", parts_.file},
                       {"virtual_servers", parts_.config.virtual_servers.size()},
                       {"pools", parts_.config.pools.size()},
                       {"warnings", plan->warnings}};
}

Result<void> Reloader::stop_listening() {
  ReloadPlan plan;
  plan.config = parts_.config;
  plan.config.virtual_servers.clear();
  plan.removed = listened_by_switch(parts_.config);
  if (auto applied = apply(plan); !applied) return applied;
  parts_.config = std::move(plan.config);
  return {};
}

Result<ReloadPlan> Reloader::read_plan() const {
  auto wanted = control::load_config(parts_.file);
  if (!wanted) return fail(Errc::kInvalidArgument, wanted.error().to_string());
  return plan_reload(parts_.config, std::move(*wanted));
}

Result<void> Reloader::apply(const ReloadPlan& plan) {
  if (auto opened = parts_.logs.open(plan.config); !opened) return opened;
  if (opens_connections(plan.config) && !opens_connections(parts_.config)) {
    const auto set = parts_.interfaces.set_local_ports(local_ports_of(plan.config));
    if (!set) return set;
  }
  if (auto claimed = claims_.claim(plan.added); !claimed) return claimed;
  if (auto configured = configure_shards(plan.config); !configured) {
    if (auto back = configure_shards(parts_.config); !back) {
      parts_.log.error("reload: can't go back to the configuration before: {}",
                       back.error().to_string());
    }
    claims_.retire(plan.added);
    return configured;
  }
  claims_.retire(plan.removed);
  return {};
}

Result<void> Reloader::configure_shards(const control::Config& config) {
  auto options = std::make_shared<std::vector<l7::SwitchOptions>>(
      switch_options_by_shard(config, parts_.logs));
  auto answers = ask_shards(
      parts_.shards.members(),
      [options](ShardMember& member) {
        return member.layer7->reconfigure(std::move((*options)[member.index]));
      },
      kConfigureTimeout);
  if (!answers) return std::unexpected(answers.error());
  for (const Result<void>& answer : *answers) {
    if (!answer) return answer;
  }
  return {};
}

Result<control::Json> Reloader::refuse(const Error& error) {
  parts_.log.error("{}: not reloaded, nothing has changed:", parts_.file);
  std::istringstream lines(error.to_string());
  for (std::string line; std::getline(lines, line);) parts_.log.error("{}", line);
  parts_.logs.configuration_event(parts_.config, "reload_refused", parts_.file, error.to_string());
  return fail(error.code, fmt::format("not reloaded, nothing has changed:\n{}", error.to_string()));
}

void Reloader::release_unused(Time now) {
  if (claims_.retired().empty() || now < next_release_) return;
  next_release_ = now + kReleaseInterval;
  const std::vector<Endpoint> retired = claims_.retired();
  const auto answers = ask_shards(parts_.shards.members(), [retired](ShardMember& member) {
    return host::in_use(member.shard->stack(), retired);
  });
  if (!answers) return;  // a busy shard: next time
  for (size_t i = 0; i < retired.size(); ++i) {
    if (std::ranges::any_of(*answers, [i](const auto& used) { return used[i]; })) continue;
    if (auto released = claims_.release(retired[i]); !released) {
      parts_.log.warning("{} is still taken from the kernel: {}", retired[i].to_string(),
                         released.error().to_string());
    }
  }
}

}  // namespace fairlead::app
