#include "app/query_commands.h"

#include <fmt/format.h>

#include <cstdio>

#include "app/exit_status.h"
#include "app/version.h"
#include "control/show/render.h"
#include "control/socket/client.h"

namespace fairlead::app {
namespace {

// A daemon answers within a burst, or a few seconds when it collects from busy shards.
constexpr Duration kReplyTimeout = seconds(10);

std::string render(const std::string& what, const control::Json& reply) {
  if (what == "show connections" || what == "show tcp") return control::render_connections(reply);
  if (what == "show listeners") return control::render_listeners(reply);
  if (what == "show servers") return control::render_servers(reply);
  if (what == "show stats") return control::render_stats(reply);
  if (what == "drain" || what == "enable" || what == "disable") return control::render_admin(reply);
  if (what == "stop") return control::render_stop(reply);
  if (what == "reload") return control::render_reload(reply);
  return control::render_version(reply);
}

}  // namespace

int run_check(const CheckCommand& command) {
  const auto config = control::load_config(command.config_file);
  if (!config) {
    fmt::print(stderr, "{}\n", config.error().to_string());
    return kUsageError;
  }
  fmt::print("{}: no mistakes; {} interfaces, {} virtual servers, {} pools, {} echo servers\n",
             command.config_file, config->interfaces.size(), config->virtual_servers.size(),
             config->pools.size(), config->echo_servers.size());
  return kSuccess;
}

int run_ask(const AskCommand& command) {
  control::Request request{.command = command.what};
  if (command.what == "show connections" || command.what == "show tcp") {
    request.arguments["limit"] = command.limit;
  }
  if (!command.server.empty()) request.arguments["server"] = command.server;
  if (command.what == "stop") {
    request.arguments["mode"] = stop_mode_name(command.stop.mode);
    request.arguments["milliseconds"] = static_cast<uint64_t>(command.stop.drain / milliseconds(1));
  }
  const Result<control::Json> reply =
      control::control_request(command.socket, request, kReplyTimeout);
  if (!reply) {
    fmt::print(stderr, "fairlead: {}\n", reply.error().to_string());
    return kRuntimeError;
  }
  const std::string text =
      command.json ? reply->dump(2, ' ', false, control::Json::error_handler_t::replace) + "\n"
                   : render(command.what, *reply);
  const bool written = std::fputs(text.c_str(), stdout) >= 0 && std::fflush(stdout) == 0;
  return written ? kSuccess : kRuntimeError;
}

int run_version(const VersionCommand&) {
  fmt::print("fairlead {}\n", kVersion);
  return kSuccess;
}

}  // namespace fairlead::app
