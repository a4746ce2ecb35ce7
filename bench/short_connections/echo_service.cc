#include "bench/short_connections/echo_service.h"

#include <utility>

#include "base/check.h"

namespace fairlead::bench {

Result<std::unique_ptr<EchoService>> EchoService::start(Runtime runtime, const Options& options) {
  std::unique_ptr<EchoService> service(new EchoService(runtime, options.bytes));
  auto listener = TcpListener::listen(runtime, options.endpoint, options.listen);
  if (!listener) return std::unexpected(listener.error());
  service->listener_ = std::move(*listener);
  if (!runtime.scheduler.spawn(service->accept_all())) return fail(Errc::kNoBufferSpace);
  return service;
}

Task<void> EchoService::accept_all() {
  while (true) {
    TcpSocket socket = co_await listener_->accept();
    if (socket.is_open()) CHECK(runtime_.scheduler.spawn(serve(std::move(socket))));
  }
}

Task<void> EchoService::serve(TcpSocket socket) {
  size_t left = bytes_;
  while (left > 0) {
    if (!co_await socket.readable() || socket.end_of_stream()) co_return;
    const size_t sent = socket.forward_now(socket, left);
    left -= sent;
    if (sent == 0 && !co_await socket.writable()) co_return;
  }
}

}  // namespace fairlead::bench
