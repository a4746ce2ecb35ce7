#include "control/socket/commands.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "base/check.h"
#include "control/config/diagnostics.h"
#include "control/config/suggest.h"

namespace fairlead::control {

void CommandTable::add(std::string name, CommandHandler handler) {
  const bool added = handlers_.emplace(std::move(name), std::move(handler)).second;
  CHECK(added);
}

Result<Json> CommandTable::run(const Request& request) const {
  const auto found = handlers_.find(request.command);
  if (found != handlers_.end()) return found->second(request.arguments);

  std::vector<std::string_view> names;
  for (const auto& [name, handler] : handlers_) names.push_back(name);
  const std::string_view near = closest(request.command, names);
  return fail(Errc::kInvalidArgument,
              near.empty() ? fmt::format("unknown command {}; expected one of: {}",
                                         in_quotes(request.command), fmt::join(names, ", "))
                           : fmt::format("unknown command {}; did you mean \"{}\"?",
                                         in_quotes(request.command), near));
}

}  // namespace fairlead::control
