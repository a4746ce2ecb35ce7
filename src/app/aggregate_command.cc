#include "app/aggregate_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "app/exit_status.h"
#include "base/random.h"
#include "nic/aggregate/aggregator.h"
#include "port/pcap.h"

namespace fairlead::app {
namespace {

class CaptureSink final : public nic::PacketSink {
 public:
  explicit CaptureSink(port::PcapWriter& writer) : writer_(writer) {}
  void set_now(Time now) { now_ = now; }
  void deliver(const port::RxPacket& packet, std::span<const ByteSpan>) override {
    writer_.write(packet.frame, now_);
  }

 private:
  port::PcapWriter& writer_;
  Time now_;
};

/// An aggregator on the clock of a capture: its timers fire between packets, when they are due.
class Replay {
 public:
  Replay(const nic::AggregateConfig& config, Time start, port::PcapWriter& writer)
      : aggregator_(config, start), sink_(writer), now_(start) {}

  /// A packet recorded before the one in front of it has come with that.
  void on_packet(ByteSpan frame, Time when) {
    advance(std::max(when, now_));
    aggregator_.on_packet({.frame = frame}, now_, sink_);
  }
  void finish() {
    while (!drained() && aggregator_.next_deadline()) advance(*aggregator_.next_deadline());
  }
  const nic::Aggregator& aggregator() const { return aggregator_; }

 private:
  bool drained() const {
    const nic::AggregateCounters& counters = aggregator_.counters();
    return counters.packets_in == counters.packets_out - counters.aggregates + counters.merged;
  }
  void advance(Time to) {
    while (const auto deadline = aggregator_.next_deadline()) {
      if (*deadline > to) break;
      set_now(std::max(now_, *deadline));
      aggregator_.on_timer(now_, sink_);
    }
    set_now(std::max(now_, to));
    aggregator_.on_timer(now_, sink_);
  }
  void set_now(Time now) {
    now_ = now;
    sink_.set_now(now);
  }

  nic::Aggregator aggregator_;
  CaptureSink sink_;
  Time now_;
};

struct Outcome {
  nic::AggregateCounters counters{};
  nic::AggregateDelay delay{};
  uint64_t truncated = 0;
};

double microseconds_of(Duration duration) { return static_cast<double>(duration.count()) / 1000; }
double mean_delay(const Outcome& outcome) {
  return microseconds_of(outcome.delay.total) /
         static_cast<double>(std::max<uint64_t>(outcome.counters.packets_in, 1));
}
double ratio(const Outcome& outcome) {
  return static_cast<double>(outcome.counters.packets_in) /
         static_cast<double>(std::max<uint64_t>(outcome.counters.packets_out, 1));
}

std::string json_of(const Outcome& outcome) {
  nlohmann::json out{
      {"packets_in", outcome.counters.packets_in},
      {"packets_out", outcome.counters.packets_out},
      {"ratio", ratio(outcome)},
      {"truncated", outcome.truncated},
      {"delay_us",
       {{"mean", mean_delay(outcome)}, {"max", microseconds_of(outcome.delay.longest)}}}};
  outcome.counters.for_each(
      [&](std::string_view name, uint64_t value) { out["counters"][std::string(name)] = value; });
  return out.dump(2) + "\n";
}

std::string text_of(const Outcome& outcome) {
  std::string out = fmt::format(
      "{} packets in, {} packets out, ratio {:.1f}\ndelay added: mean {:.1f} us, max {:.1f} us\n",
      outcome.counters.packets_in, outcome.counters.packets_out, ratio(outcome),
      mean_delay(outcome), microseconds_of(outcome.delay.longest));
  if (outcome.truncated > 0) {
    out +=
        fmt::format("{} packets left out: only their beginning was captured\n", outcome.truncated);
  }
  out += "\n";
  outcome.counters.for_each([&](std::string_view name, uint64_t value) {
    if (value > 0) out += fmt::format("{:<22} {:>12}\n", name, value);
  });
  return out;
}

Result<Outcome> aggregate_capture(const AggregateCommand& command,
                                  const nic::AggregateConfig& config) {
  std::error_code ignored;  // there is no such file: then they are not the same one
  if (std::filesystem::equivalent(command.input, command.output, ignored)) {
    return fail(Errc::kInvalidArgument, command.output + ": is the capture to be read");
  }
  auto reader = port::PcapReader::open(command.input);
  if (!reader) return std::unexpected(reader.error());
  auto writer = port::PcapWriter::create(command.output);
  if (!writer) return std::unexpected(writer.error());
  std::optional<Replay> replay;
  for (;;) {
    const auto record = reader->next();
    if (!record) return std::unexpected(record.error());
    if (!*record) break;
    if (!replay) replay.emplace(config, (*record)->when, *writer);
    replay->on_packet((*record)->frame, (*record)->when);
  }
  Outcome outcome{.truncated = reader->truncated()};
  if (replay) {
    replay->finish();
    outcome.counters = replay->aggregator().counters();
    outcome.delay = replay->aggregator().delay();
  }
  if (const auto flushed = writer->flush(); !flushed) return std::unexpected(flushed.error());
  return outcome;
}

}  // namespace

int run_aggregate(const AggregateCommand& command) {
  nic::AggregateConfig config = command.config;
  config.threshold =
      command.threshold.value_or(config.max_aggregate - std::min(config.mtu, config.max_aggregate));
  if (const auto checked = config.check(); !checked) {
    fmt::print(stderr, "fairlead: {}\n", checked.error().to_string());
    return kUsageError;
  }
  fill_secure_random({reinterpret_cast<uint8_t*>(&config.secret), sizeof config.secret});
  const auto outcome = aggregate_capture(command, config);
  if (!outcome) {
    fmt::print(stderr, "fairlead: {}\n", outcome.error().to_string());
    return kRuntimeError;
  }
  const std::string text = command.json ? json_of(*outcome) : text_of(*outcome);
  const bool written = std::fputs(text.c_str(), stdout) >= 0 && std::fflush(stdout) == 0;
  return written ? kSuccess : kRuntimeError;
}

}  // namespace fairlead::app
