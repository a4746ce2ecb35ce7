#include "control/log/log_writer.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <utility>

namespace fairlead::control {

LogWriter::LogWriter(size_t queues, std::function<void(const std::string&)> report)
    : report_(std::move(report)) {
  for (size_t i = 0; i < queues; ++i) queues_.push_back(std::make_unique<LineQueue>());
}

LogWriter::~LogWriter() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

Result<LogFile*> LogWriter::open(const std::string& path) {
  const std::lock_guard lock(mutex_);
  const auto known =
      std::ranges::find(entries_, path, [](const auto& e) { return e->file->path(); });
  if (known != entries_.end()) return (*known)->file.get();
  if (entries_.size() == kMaxFiles) {
    return fail(Errc::kNoBufferSpace,
                fmt::format("can't open {}: {} log files are open, which is all until a restart",
                            path, kMaxFiles));
  }
  auto file = LogFile::open(path);
  if (!file) return std::unexpected(file.error());
  entries_.push_back(std::make_unique<Entry>(Entry{.file = std::move(*file)}));
  if (!thread_.joinable()) {
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  }
  return entries_.back()->file.get();
}

void LogWriter::reopen() {
  const std::lock_guard lock(mutex_);
  reopen_ = true;
  wake_.notify_all();
}

LogWriter::Counters LogWriter::counters() const {
  Counters out{.lines_written = written_.load(std::memory_order_relaxed),
               .lines_failed = failed_.load(std::memory_order_relaxed)};
  for (const auto& queue : queues_) out.lines_dropped += queue->dropped();
  return out;
}

void LogWriter::run(const std::stop_token& stop) {
  // The reader of a FIFO that goes away is an error of that file (EPIPE), not the end of us.
  sigset_t broken_pipe;
  sigemptyset(&broken_pipe);
  sigaddset(&broken_pipe, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &broken_pipe, nullptr);
  while (!stop.stop_requested()) {
    bool reopen = false;
    {
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, stop, kInterval, [this] { return reopen_; });
      reopen = std::exchange(reopen_, false);
    }
    // What came before goes to the old file.
    while (write_round() && !stop.stop_requested()) {
    }
    if (reopen) reopen_all();
  }
  while (write_round()) {
  }
  take_leave();
}

bool LogWriter::write_round() {
  bool any = false;
  for (const auto& queue : queues_) {
    const size_t count = queue->pop(burst_);
    any |= count > 0;
    for (LogLine& line : std::span(burst_).first(count)) line.file->append(line.text);
  }
  for (Entry* entry : entries()) note(*entry, entry->file->flush());
  return any;
}

void LogWriter::take_leave() {
  const Time until = monotonic_now() + kFarewell;
  const auto waiting = [](const Entry* entry) { return entry->file->waiting(); };
  while (std::ranges::any_of(entries(), waiting) && monotonic_now() < until) {
    std::this_thread::sleep_for(kInterval);
    write_round();
  }
  for (Entry* entry : entries()) {
    if (entry->file->waiting()) note(*entry, entry->file->give_up());
  }
}

void LogWriter::reopen_all() {
  for (Entry* entry : entries()) note(*entry, entry->file->reopen());
}

void LogWriter::note(Entry& entry, const LogFile::Outcome& outcome) {
  written_.fetch_add(outcome.written, std::memory_order_relaxed);
  failed_.fetch_add(outcome.failed, std::memory_order_relaxed);
  if (outcome.written + outcome.failed > 0) note(entry, outcome.problem);
}

void LogWriter::note(Entry& entry, const Result<void>& outcome) {
  if (!outcome && !entry.failing) report_(outcome.error().to_string());
  entry.failing = !outcome;
}

std::vector<LogWriter::Entry*> LogWriter::entries() {
  const std::lock_guard lock(mutex_);
  std::vector<Entry*> out;
  for (const auto& entry : entries_) out.push_back(entry.get());
  return out;
}

}  // namespace fairlead::control
