// Host: what fl_open() gives: the data path, the contexts on its shards, and a thread that follows
// this machine's addresses and rotates secrets.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "api/context.h"
#include "app/data_path.h"
#include "app/log.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "control/config/config.h"

namespace fairlead::api {

class Host {
 public:
  /// Attached. EINVAL for a configuration with services; else as DataPath::open(). With a message.
  static Result<std::unique_ptr<Host>> open(control::Config config);
  /// Resets connections and detaches.
  ~Host();
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  size_t context_count() const { return contexts_.size(); }
  /// nullptr: there are not so many.
  Context* context(size_t index) {
    return index < contexts_.size() ? contexts_[index].get() : nullptr;
  }

 private:
  struct Claim {
    unsigned users = 0;  // contexts that listen there
    UniqueFd reserved;   // a kernel socket that is bound to it
  };

  explicit Host(control::LogLevel level) : log_(level) {}
  Result<void> start(const control::Config& config);
  void make_contexts(const control::Config& config);
  void run();
  /// From any context's thread.
  Result<void> claim(const Endpoint& endpoint);
  void give_back(const Endpoint& endpoint);

  app::Log log_;
  std::mutex mutex_;                     // of what follows
  std::unique_ptr<app::DataPath> path_;  // its shards are the contexts'
  std::map<Endpoint, Claim> claimed_;
  std::vector<std::unique_ptr<Context>> contexts_;
  UniqueFd stop_;  // an eventfd
  std::thread thread_;
};

}  // namespace fairlead::api
