// CommandTable: the commands a control socket answers, by name.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "control/socket/protocol.h"

namespace fairlead::control {

/// Answers one request. Runs on the control thread, which may wait a little while (shards answer
/// between two bursts) but must not hang.
using CommandHandler = std::function<Result<Json>(const Json& arguments)>;

class CommandTable {
 public:
  /// A name may be added once.
  void add(std::string name, CommandHandler handler);

  /// EINVAL with the nearest known name for an unknown command.
  Result<Json> run(const Request& request) const;

 private:
  std::map<std::string, CommandHandler, std::less<>> handlers_;
};

}  // namespace fairlead::control
