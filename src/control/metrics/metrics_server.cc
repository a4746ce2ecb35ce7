#include "control/metrics/metrics_server.h"

#include <fmt/format.h>
#include <httplib.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <semaphore>
#include <utility>

namespace fairlead::control {
namespace {

// httplib's thread pool has a queue without a bound; here who accepts waits for a worker.
class BoundedWorkers final : public httplib::TaskQueue {
 public:
  BoundedWorkers() : pool_(MetricsServer::kWorkers) {}

  void enqueue(std::function<void()> task) override {
    free_.acquire();
    pool_.enqueue([this, task = std::move(task)] {
      task();
      free_.release();
    });
  }
  void shutdown() override { pool_.shutdown(); }

 private:
  std::counting_semaphore<MetricsServer::kWorkers> free_{MetricsServer::kWorkers};
  httplib::ThreadPool pool_;
};

}  // namespace

MetricsServer::MetricsServer(Collect collect)
    : collect_(std::move(collect)), server_(std::make_unique<httplib::Server>()) {
  server_->new_task_queue = [] { return new BoundedWorkers; };
  server_->set_keep_alive_max_count(1);
  server_->set_keep_alive_timeout(kPatience / seconds(1));
  server_->set_read_timeout(kPatience / seconds(1));
  server_->set_write_timeout(kPatience / seconds(1));
  server_->set_payload_max_length(0);
  // Without SO_REUSEPORT, httplib's default: a second daemon must not share the port unnoticed.
  server_->set_socket_options([](int fd) {
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  });
  server_->Get("/metrics", [this](const httplib::Request&, httplib::Response& response) {
    const Result<std::string> text = collect_();
    response.status = text ? 200 : 503;
    response.set_content(text ? *text : text.error().to_string() + "\n",
                         text ? "text/plain; version=0.0.4" : "text/plain");
  });
}

Result<std::unique_ptr<MetricsServer>> MetricsServer::open(const Endpoint& endpoint,
                                                           Collect collect) {
  std::unique_ptr<MetricsServer> metrics(new MetricsServer(std::move(collect)));
  httplib::Server& server = *metrics->server_;
  if (!server.bind_to_port(endpoint.address.to_string(), endpoint.port)) {
    return fail(errc_from_errno(errno), fmt::format("metrics {}: can't listen: {}",
                                                    endpoint.to_string(), std::strerror(errno)));
  }
  metrics->thread_ = std::thread([&server] { server.listen_after_bind(); });
  // A stop() before the thread is in its loop would be forgotten.
  while (!server.is_running()) std::this_thread::yield();
  return metrics;
}

MetricsServer::~MetricsServer() {
  server_->stop();
  if (thread_.joinable()) thread_.join();
}

}  // namespace fairlead::control
