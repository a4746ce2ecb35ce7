#include "app/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <span>
#include <sstream>
#include <vector>

#include "app/exit_status.h"
#include "control/config/suggest.h"
#include "control/config/units.h"

namespace fairlead::app {
namespace {

constexpr const char* kDescription =
    "Fairlead is a TCP accelerator: a complete user-level TCP beside the kernel's, on the same\n"
    "interface and the same address, with services that use it.";

constexpr const char* kFooter = R"(Exit status:
  0  done
  1  runtime error: missing interface, missing privilege, address in use, no daemon answers
  2  usage error, or a mistake in the configuration

Files:
  /run/fairlead/control.sock  where a running daemon answers (directive control_socket)

Examples:
  fairlead check -c /etc/fairlead.conf
  fairlead run -c /etc/fairlead.conf --log-level debug
  fairlead show connections --limit 20
  fairlead show stats --json | jq .counters
  fairlead drain 192.0.2.11:80
  fairlead stop --drain 5m
)";

constexpr const char* kRunFooter =
    R"(Takes the interfaces of the configuration into use beside the kernel, starts the services, prints one
line "ready" to stderr, and runs until SIGINT or SIGTERM. Then listeners close, connections are reset,
and everything attached to the kernel is detached. SIGHUP reloads the configuration, as `fairlead
reload` does; SIGUSR1 opens log files anew, for logrotate. Needs the capabilities NET_ADMIN, NET_RAW and BPF
(root has them).
)";

constexpr const char* kShowFooter =
    R"(Asks a running daemon over its control socket. --json prints the daemon's reply as it is, for
programs; doc/control.md describes it.
)";

constexpr const char* kAggregateFooter =
    R"(Reads a capture, merges packets of one connection that come one after another, and writes what a
receiver behind would get, at the capture's time. Prints packets in and out, what each packet was sent
for, and the delay added. Where the machine that made the capture left checksums to its interface, they
are wrong in it, and nothing is merged (simple_bad_checksum).
)";

const std::map<std::string, control::LogLevel> kLogLevels = {
    {"debug", control::LogLevel::kDebug},
    {"info", control::LogLevel::kInfo},
    {"warning", control::LogLevel::kWarning},
    {"error", control::LogLevel::kError},
};

void add_socket_option(CLI::App& app, AskCommand& ask) {
  app.add_option("-s,--socket", ask.socket, "Control socket of the daemon")
      ->type_name("PATH")
      ->capture_default_str();
}

void add_config_option(CLI::App& app, std::string& file) {
  app.add_option("-c,--config", file, "Configuration file")->type_name("FILE")->required();
}

// All subcommands write to one object of each kind; which one counts, CLI11 knows.
class Grammar {
 public:
  Grammar() : app_(kDescription, "fairlead") {
    app_.footer(kFooter);
    app_.require_subcommand(1);
    app_.get_formatter()->column_width(34);
    ask_.socket = control::Config{}.control_socket;
    add_run();
    add_check();
    add_show();
    add_server_command("drain", "Give a real server no new connections; those it has go on");
    add_server_command("enable", "Give a real server connections again");
    add_server_command("disable", "Give a real server no connections and end those it has");
    add_reload();
    add_stop();
    add_aggregate();
    add_version();
  }

  CLI::App& app() { return app_; }

  Command command() const {
    if (run_app_->parsed()) return run_;
    if (check_app_->parsed()) return check_;
    if (aggregate_app_->parsed()) return aggregate_;
    if (version_app_->parsed() && !running_) return VersionCommand{};
    return ask_;
  }

 private:
  void add_run() {
    run_app_ = app_.add_subcommand("run", "Run the daemon in the foreground");
    run_app_->footer(kRunFooter);
    add_config_option(*run_app_, run_.config_file);
    run_app_->add_option("--log-level", run_.log_level, "Log at least this; overrides the file")
        ->type_name("LEVEL")
        ->transform(CLI::CheckedTransformer(kLogLevels).description("debug|info|warning|error"));
  }

  void add_check() {
    check_app_ = app_.add_subcommand(
        "check", "Check a configuration file; every mistake gets a line with its place");
    add_config_option(*check_app_, check_.config_file);
  }

  void add_show() {
    CLI::App* show = app_.add_subcommand("show", "Show what a running daemon is doing");
    show->footer(kShowFooter);
    show->require_subcommand(1);
    show->fallthrough();
    CLI::App* connections = show->add_subcommand(
        "connections", "The connections through the switch; without virtual servers as tcp");
    CLI::App* tcp = show->add_subcommand("tcp", "The TCP connections");
    for (CLI::App* app : {connections, tcp}) {
      app->add_option("--limit", ask_.limit, "Show at most this many")
          ->type_name("N")
          ->check(CLI::Range(1, 10000))
          ->capture_default_str();
    }
    CLI::App* listeners = show->add_subcommand("listeners", "The addresses served, by service");
    CLI::App* servers = show->add_subcommand("servers", "The real servers of the switch");
    CLI::App* stats = show->add_subcommand("stats", "Totals, ports and counters");
    for (CLI::App* app : {connections, tcp, listeners, servers, stats}) {
      add_ask_options(*app);
      app->callback([this, app] { ask_.what = "show " + app->get_name(); });
    }
  }

  void add_ask_options(CLI::App& app) {
    add_socket_option(app, ask_);
    app.add_flag("--json", ask_.json, "Print JSON");
  }

  void add_server_command(const std::string& name, const std::string& description) {
    CLI::App* app = app_.add_subcommand(name, description);
    app->add_option("server", ask_.server, "ADDRESS:PORT, as `fairlead show servers` names it")
        ->type_name("SERVER")
        ->required();
    add_ask_options(*app);
    app->callback([this, name] { ask_.what = name; });
  }

  void add_reload() {
    CLI::App* app = app_.add_subcommand(
        "reload", "Make the daemon read its configuration again; with a mistake nothing changes");
    add_ask_options(*app);
    app->callback([this] { ask_.what = "reload"; });
  }

  void add_stop() {
    CLI::App* app = app_.add_subcommand("stop", "End the daemon");
    auto* now = app->add_flag_callback(
        "--now", [this] { ask_.stop.mode = StopMode::kNow; },
        "Reset connections, end spliced ones (as without an option)");
    auto* drain = app->add_option_function<std::string>(
        "--drain", [this](const std::string& text) { read_drain(text); },
        "Take no new connections; end when those there are have ended, or after DURATION (30s)");
    drain->type_name("DURATION")->expected(0, 1);
    auto* keep = app->add_flag_callback(
        "--keep", [this] { ask_.stop.mode = StopMode::kKeep; },
        "Leave what is spliced in the kernel to go on there; the next start takes it over");
    for (auto* option : {now, drain, keep}) {
      for (auto* other : {now, drain, keep}) {
        if (option != other) option->excludes(other);
      }
    }
    add_ask_options(*app);
    app->callback([this] { ask_.what = "stop"; });
  }

  void read_drain(const std::string& text) {
    ask_.stop.mode = StopMode::kDrain;
    if (text.empty()) return;
    const auto drain = control::parse_duration(text);
    if (!drain || *drain > StopRequest::kMaxDrain) {
      throw CLI::ValidationError(
          "--drain", fmt::format("found {}; expected a duration up to 24h, such as 30s or 5m",
                                 control::in_quotes(text)));
    }
    ask_.stop.drain = *drain;
  }

  void add_aggregate() {
    CLI::App* app = aggregate_app_ =
        app_.add_subcommand("aggregate", "Show what receive aggregation makes of a capture");
    app->footer(kAggregateFooter);
    nic::AggregateConfig& config = aggregate_.config;
    app->add_option("in", aggregate_.input, "The capture to read")->type_name("IN")->required();
    app->add_option("out", aggregate_.output, "The capture to write")->type_name("OUT")->required();
    const auto number = [&](const char* name, size_t& value, const CLI::Range& range,
                            const char* text) {
      app->add_option(name, value, text)->type_name("N")->check(range)->capture_default_str();
    };
    number("--max-aggregate", config.max_aggregate, CLI::Range(1500, 65535),
           "Longest IP packet to make, bytes");
    app->add_option("--threshold", aggregate_.threshold,
                    "Send what is longer, bytes (MAX_AGGREGATE - 1500)")
        ->type_name("N");
    number("--table", config.contexts, CLI::Range(1, 10'000'000),
           "Connections known at the same time, each direction for itself");
    number("--hold", config.max_held, CLI::Range(0, 32),
           "Segments of a connection that came early to wait with");
    add_timer<microseconds>("--ag-timer", config.ag_timer, "US",
                            "Send what has waited for as long, microseconds");
    add_timer<milliseconds>("--del-timer", config.del_timer, "MS",
                            "Forget a connection that was silent for as long, milliseconds");
    app->add_option("--psh", config.carry_push, "A segment with PSH ends an aggregate, or does not")
        ->type_name("HOW")
        ->transform(
            CLI::CheckedTransformer(std::map<std::string, bool>{{"flush", false}, {"carry", true}})
                .description("flush|carry"));
    app->add_flag("--json", aggregate_.json, "Print JSON");
  }

  /// 1 to 10^9 of `Unit`.
  template <typename Unit>
  void add_timer(const std::string& name, Duration& timer, const char* unit, const char* text) {
    aggregate_app_
        ->add_option_function<int64_t>(
            name, [&timer](const int64_t& value) { timer = Unit(value); }, text)
        ->type_name(unit)
        ->check(CLI::Range(1, 1'000'000'000))
        ->default_str(std::to_string(timer / Unit(1)));
  }

  void add_version() {
    version_app_ = app_.add_subcommand("version", "Print the version of this program");
    version_app_->add_flag("--running", running_, "Ask the running daemon for its version");
    add_socket_option(*version_app_, ask_);
    version_app_->add_flag("--json", ask_.json, "Print JSON (with --running)");
    version_app_->callback([this] { ask_.what = "version"; });
  }

  CLI::App app_;
  CLI::App* run_app_ = nullptr;
  CLI::App* check_app_ = nullptr;
  CLI::App* aggregate_app_ = nullptr;
  CLI::App* version_app_ = nullptr;
  RunCommand run_;
  CheckCommand check_;
  AskCommand ask_;
  AggregateCommand aggregate_;
  bool running_ = false;
};

// CLI11 would only say that a subcommand is required. Nothing when every leading word is one.
std::optional<std::string> unknown_command(const CLI::App& root,
                                           std::span<const char* const> arguments) {
  const CLI::App* app = &root;
  for (const std::string_view word : arguments) {
    const std::vector<const CLI::App*> subcommands = app->get_subcommands({});
    if (subcommands.empty() || word.starts_with('-')) return std::nullopt;
    const auto named = std::ranges::find(subcommands, word, &CLI::App::get_name);
    if (named != subcommands.end()) {
      app = *named;
      continue;
    }
    std::vector<std::string> names;
    for (const CLI::App* sub : subcommands) names.push_back(sub->get_name());
    const std::vector<std::string_view> known(names.begin(), names.end());
    const std::string_view near = control::closest(word, known);
    return near.empty() ? fmt::format("unknown command {}; expected one of: {}\n",
                                      control::in_quotes(word), fmt::join(known, ", "))
                        : fmt::format("unknown command {}; did you mean \"{}\"?\n",
                                      control::in_quotes(word), near);
  }
  return std::nullopt;
}

}  // namespace

std::expected<Command, EarlyExit> parse_command_line(int argc, const char* const* argv) {
  Grammar grammar;
  const std::span arguments(argv, static_cast<size_t>(argc));
  if (auto message = unknown_command(grammar.app(), arguments.subspan(1))) {
    return std::unexpected(EarlyExit{kUsageError, *message});
  }
  try {
    grammar.app().parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::ostringstream out;
    const bool asked_for_help = grammar.app().exit(error, out, out) == 0;
    return std::unexpected(EarlyExit{asked_for_help ? kSuccess : kUsageError, out.str()});
  }
  return grammar.command();
}

}  // namespace fairlead::app
