// stream_client: loads an echo, discard or chargen server through kernel sockets, checks every byte
// that comes back, and prints what happened as JSON.
//
//   stream_client echo     198.18.0.1 7 --bytes 1G                         both ways, compared
//   stream_client upload   198.18.0.1 9 --bytes 10G                        to discard
//   stream_client download 198.18.0.1 19 --bytes 10G                       from chargen, compared
//   stream_client requests 198.18.0.1 7 --connections 100000 --concurrency 100 --size 64
//
// Exit status: 0 when every connection ended as it should, 1 when one did not, 2 wrong usage.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <string>

#include "lab/peers/client_loop.h"
#include "lab/peers/sockets.h"

namespace fairlead::lab {
namespace {

struct Options {
  std::string address;
  uint16_t port = 0;
  double timeout = 60;
  uint64_t seed = 1;
  uint64_t connections = 1;
  uint64_t bytes = 1 << 20;
  bool no_verify = false;
  std::string file;
  RequestOptions requests;
};

const std::map<std::string, StreamMode> kStreamModes = {{"echo", StreamMode::kEcho},
                                                        {"upload", StreamMode::kUpload},
                                                        {"download", StreamMode::kDownload}};

void add_common_options(CLI::App& command, Options& options) {
  command.add_option("ADDRESS", options.address)->required();
  command.add_option("PORT", options.port)->required();
  command.add_option("--connections", options.connections, "how many (1)")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1} << 32));
  command.add_option("--timeout", options.timeout, "seconds for everything (60)")
      ->check(CLI::PositiveNumber);
  command.add_option("--seed", options.seed, "of the pseudo-random content (1)");
}

void add_stream_command(CLI::App& app, const std::string& mode, Options& options) {
  CLI::App* command = app.add_subcommand(mode, "one stream per connection");
  add_common_options(*command, options);
  auto* bytes = command->add_option("--bytes", options.bytes, "per connection, K, M, G (1M)")
                    ->transform(CLI::AsSizeValue(false));
  command->add_flag("--no-verify", options.no_verify, "look at no byte: for speed");
  if (mode == "echo") {
    command->add_option("--file", options.file, "send this file")->excludes(bytes);
  }
}

void add_requests_command(CLI::App& app, Options& options) {
  CLI::App* command = app.add_subcommand("requests", "requests that are echoed");
  add_common_options(*command, options);
  command->add_option("--concurrency", options.requests.concurrency, "connections at a time (1)");
  command->add_option("--requests", options.requests.requests, "per connection (1)")
      ->check(CLI::PositiveNumber);
  command->add_option("--size", options.requests.size, "bytes of a request (64)")
      ->check(CLI::Range(1u, 1u << 20));
  auto* reset = command->add_flag_callback(
      "--reset", [&] { options.requests.close = RequestOptions::Close::kReset; },
      "close by RST instead of FIN");
  command
      ->add_flag_callback(
          "--await-close", [&] { options.requests.close = RequestOptions::Close::kAfterServer; },
          "close after the server has")
      ->excludes(reset);
}

Result<Report> run(const std::string& mode, Options& options) {
  const auto address = IpAddress::parse(options.address);
  if (!address) return fail(address.error().code, address.error().message);
  const Endpoint server{*address, options.port};
  const auto timeout =
      std::chrono::duration_cast<Duration>(std::chrono::duration<double>(options.timeout));
  raise_descriptor_limit();
  if (mode == "requests") {
    options.requests.server = server;
    options.requests.connections = options.connections;
    options.requests.seed = options.seed;
    return run_requests(options.requests, timeout);
  }
  StreamRun run{.server = server,
                .connections = static_cast<uint32_t>(options.connections),
                .transfer = {.mode = kStreamModes.at(mode),
                             .bytes = options.bytes,
                             .verify = !options.no_verify},
                .content = std::nullopt,
                .seed = options.seed};
  if (!options.file.empty()) {
    auto file = Content::file(options.file);
    if (!file) return fail(file.error().code, file.error().message);
    run.transfer.bytes = *file->size();
    run.content = std::move(*file);
  }
  if (run.transfer.mode == StreamMode::kDownload) run.content = Content::chargen();
  Report report = run_streams(run, timeout);
  report.mode = mode;
  return report;
}

}  // namespace
}  // namespace fairlead::lab

int main(int argc, char** argv) {
  fairlead::lab::Options options;
  CLI::App app("A client on kernel sockets for echo, discard and chargen servers");
  app.require_subcommand(1);
  for (const auto& [mode, unused] : fairlead::lab::kStreamModes) {
    fairlead::lab::add_stream_command(app, mode, options);
  }
  fairlead::lab::add_requests_command(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  auto report = fairlead::lab::run(app.get_subcommands().front()->get_name(), options);
  if (!report) {
    fmt::print(stderr, "stream_client: {}\n", report.error().to_string());
    return 1;
  }
  std::fputs(report->to_json().c_str(), stdout);
  return report->failures.empty() ? 0 : 1;
}
