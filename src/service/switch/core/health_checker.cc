#include "service/switch/core/health_checker.h"

#include <fmt/format.h>

#include "service/switch/core/shared_state.h"
#include "service/switch/protocol/http_head.h"
#include "socket/timeout.h"

namespace fairlead::l7 {

HealthChecker::HealthChecker(SharedState& shared, Subject subject, HealthCheck check,
                             const host::SocketOptions& socket)
    : shared_(shared),
      subject_(std::move(subject)),
      check_(std::move(check)),
      socket_(socket),
      request_(fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: fairlead\r\n"
                           "Connection: close\r\n\r\n",
                           check_.path, subject_.server.name())),
      run_(shared.runtime.scheduler, run()) {}

Task<bool> HealthChecker::run() {
  Scheduler& scheduler = shared_.runtime.scheduler;
  while (true) {
    const Time started = scheduler.now();
    Result<std::string> problem = co_await with_timeout(scheduler, check(), check_.timeout);
    report(problem ? *problem : std::string(errc_name(problem.error().code)));
    co_await scheduler.sleep_until(started + check_.interval);
  }
}

void HealthChecker::report(std::string_view problem) {
  ++shared_.counters.health_checks;
  if (!problem.empty()) ++shared_.counters.health_checks_failed;
  if (!subject_.server.report_health(problem.empty()) || shared_.events == nullptr) return;
  shared_.events->server_changed(subject_.pool, subject_.server.name(),
                                 problem.empty() ? "server_up" : "server_down", problem);
}

Task<Result<std::string>> HealthChecker::check() {
  auto socket = co_await TcpSocket::connect(
      shared_.runtime,
      {.remote = subject_.server.endpoint(), .source = {}, .local_port = {}, .socket = socket_});
  if (!socket) co_return std::unexpected(socket.error());
  Result<std::string> problem = std::string();
  if (check_.kind == HealthCheck::Kind::kHttp) problem = co_await ask(*socket);
  socket->abort();  // no reason to leave the server a connection in TIME-WAIT
  co_return problem;
}

Task<Result<std::string>> HealthChecker::ask(TcpSocket& socket) {
  Result<void> sent = co_await socket.write_all(
      {reinterpret_cast<const uint8_t*>(request_.data()), request_.size()});
  if (!sent) co_return std::unexpected(sent.error());
  auto parser = protocol::HttpHeadParser::response(protocol::RequestMethod::kOther);
  while (true) {
    auto whole = parser.parse(shared_.unread_bytes(socket), shared_.head);
    if (!whole) co_return std::string(protocol::http_fault_name(whole.error()));
    if (*whole) break;
    const size_t before = socket.unread();
    Result<void> more = co_await socket.readable_beyond(before);
    if (!more) co_return std::unexpected(more.error());
    if (socket.unread() == before) co_return std::string("closed without an answer");
  }
  const uint16_t status = shared_.head.status;
  if (status >= check_.expect_first && status <= check_.expect_last) co_return std::string();
  co_return fmt::format("status {}", status);
}

}  // namespace fairlead::l7
