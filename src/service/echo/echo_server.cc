#include "service/echo/echo_server.h"

#include <array>
#include <utility>

namespace fairlead {
namespace {

/// RFC 864 §"Character Generator Protocol": lines of 72 printable characters, each line beginning
/// one character further on; the pattern repeats after 95 lines. Long enough to fill whole
/// segments.
constexpr size_t kLine = 74;  // 72 characters, CR, LF
constexpr size_t kPatternLines = 95;

constexpr std::array<uint8_t, kLine * kPatternLines> make_pattern() {
  std::array<uint8_t, kLine * kPatternLines> pattern{};
  for (size_t line = 0; line < kPatternLines; ++line) {
    for (size_t i = 0; i < kLine - 2; ++i) {
      pattern[line * kLine + i] = static_cast<uint8_t>(' ' + (line + i) % 95);
    }
    pattern[line * kLine + kLine - 2] = '\r';
    pattern[line * kLine + kLine - 1] = '\n';
  }
  return pattern;
}

constexpr auto kPattern = make_pattern();

}  // namespace

Result<std::unique_ptr<EchoServer>> EchoServer::start(Runtime runtime, const Options& options) {
  std::unique_ptr<EchoServer> server(new EchoServer(runtime, options));
  auto listener = TcpListener::listen(runtime, options.endpoint, options.listen);
  if (!listener) return std::unexpected(listener.error());
  server->listener_ = std::move(*listener);
  if (!runtime.scheduler.spawn(server->accept_all())) return fail(Errc::kNoBufferSpace);
  return server;
}

Task<void> EchoServer::accept_all() {
  while (true) {
    TcpSocket socket = co_await listener_->accept();
    if (!socket.is_open()) continue;
    ++counters_.connections;
    if (!runtime_.scheduler.spawn(serve(std::move(socket)))) ++counters_.refused;
  }
}

Task<void> EchoServer::serve(TcpSocket socket) {
  Result<void> result;
  switch (mode_) {
    case Mode::kEcho:
      result = co_await echo(socket);
      break;
    case Mode::kDiscard:
      result = co_await discard(socket);
      break;
    case Mode::kChargen:
      result = co_await chargen(socket);
      break;
  }
  if (!result) ++counters_.failed;
}

Task<Result<void>> EchoServer::echo(TcpSocket& socket) {
  uint64_t left = limit_;
  while (left > 0) {
    Result<void> ready = co_await socket.readable();
    if (!ready) co_return ready;
    if (socket.end_of_stream()) co_return Result<void>();
    const size_t n = socket.forward_now(socket, left);
    left -= n;
    counters_.bytes_in += n;
    counters_.bytes_out += n;
    if (n == 0) {
      Result<void> room = co_await socket.writable();
      if (!room) co_return room;
    }
  }
  co_return Result<void>();
}

Task<Result<void>> EchoServer::discard(TcpSocket& socket) {
  while (true) {
    Result<void> ready = co_await socket.readable();
    if (!ready) co_return ready;
    if (socket.end_of_stream()) co_return Result<void>();
    size_t n = socket.peek().size();
    socket.consume(n);
    counters_.bytes_in += n;
  }
}

Task<Result<void>> EchoServer::chargen(TcpSocket& socket) {
  size_t at = 0;
  while (true) {
    // What the peer sends is thrown away (RFC 864); its FIN ends the service.
    while (!socket.peek().empty()) socket.consume(socket.peek().size());
    if (socket.end_of_stream()) co_return Result<void>();
    size_t n = socket.write_now(ByteSpan(kPattern).subspan(at));
    counters_.bytes_out += n;
    at = (at + n) % kPattern.size();
    if (n == 0) {
      Result<void> room = co_await socket.writable();
      if (!room) co_return room;
    }
  }
}

}  // namespace fairlead
