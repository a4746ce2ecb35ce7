// fairlead: the daemon and its command-line tools in one program.
#include <cstdio>

#include "app/aggregate_command.h"
#include "app/command_line.h"
#include "app/query_commands.h"
#include "app/run_command.h"

int main(int argc, char** argv) {
  using namespace fairlead::app;
  const auto command = parse_command_line(argc, argv);
  if (!command) {
    std::fputs(command.error().text.c_str(), command.error().status == 0 ? stdout : stderr);
    return command.error().status;
  }
  return std::visit(
      [](const auto& chosen) {
        using T = std::decay_t<decltype(chosen)>;
        if constexpr (std::is_same_v<T, CheckCommand>) return run_check(chosen);
        if constexpr (std::is_same_v<T, AskCommand>) return run_ask(chosen);
        if constexpr (std::is_same_v<T, AggregateCommand>) return run_aggregate(chosen);
        if constexpr (std::is_same_v<T, VersionCommand>) return run_version(chosen);
        if constexpr (std::is_same_v<T, RunCommand>) {
          return run_daemon(chosen);
        }
      },
      *command);
}
