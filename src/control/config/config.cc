#include "control/config/config.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>

#include "control/config/directives.h"
#include "control/config/schema.h"
#include "control/config/syntax.h"

namespace fairlead::control {
namespace {

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

}  // namespace

std::expected<Config, Diagnostics> parse_config(std::string_view text, std::string name) {
  Diagnostics diagnostics(std::move(name));
  const std::vector<Statement> statements = parse_syntax(text, diagnostics);
  Config config;
  read_block<Config>("", statements, top_directives(), diagnostics, config);
  check_whole(config, diagnostics);
  // An original switchd.conf names none.
  const bool aggregates_only = !config.aggregators.empty() && config.echo_servers.empty();
  if (diagnostics.ok() && config.interfaces.empty() && config.virtual_servers.empty() &&
      !aggregates_only) {
    diagnostics.error({}, R"(found no interface; expected at least one "interface NAME")");
  }
  if (!diagnostics.ok()) return std::unexpected(std::move(diagnostics));
  return config;
}

std::expected<Config, Diagnostics> load_config(const std::string& path) {
  Diagnostics diagnostics(path);
  const std::unique_ptr<std::FILE, FileCloser> file(std::fopen(path.c_str(), "re"));
  if (!file) {
    diagnostics.error({}, fmt::format("can't open: {}", std::strerror(errno)));
    return std::unexpected(std::move(diagnostics));
  }
  // One byte more than allowed, so that parse_syntax() sees that it is too long.
  std::string text(SyntaxLimits::kMaxFile + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) {
    diagnostics.error({}, fmt::format("can't read: {}", std::strerror(errno)));
    return std::unexpected(std::move(diagnostics));
  }
  return parse_config(text, path);
}

}  // namespace fairlead::control
