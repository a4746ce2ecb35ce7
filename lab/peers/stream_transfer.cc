#include "lab/peers/stream_transfer.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "lab/peers/sockets.h"

namespace fairlead::lab {
namespace {

// Writes and reads in one turn, of up to the buffers' size each; then other transfers have theirs.
constexpr int kTurn = 16;

}  // namespace

StreamTransfer::StreamTransfer(const Endpoint& server, const Options& options, Content content,
                               TransferBuffers& buffers, Poller& poller)
    : options_(options), content_(std::move(content)), buffers_(buffers), poller_(poller) {
  socket_ = start_connect(server);
  if (!socket_ || !poller_.add(socket_, *this)) fail_with("connect", errno);
}

void StreamTransfer::start() {
  phase_ = Phase::kMoving;
  poller_.again(*this);
}

void StreamTransfer::give_up(const std::string& why) {
  if (phase_ == Phase::kOver) return;
  failure_ = fmt::format("{} after {} bytes out, {} in", why, sent_, received_);
  finish();
}

void StreamTransfer::on_ready() {
  if (phase_ == Phase::kConnecting) on_connected();
  if (phase_ != Phase::kMoving) return;
  for (int i = 0; i < kTurn; ++i) {
    const bool sent = phase_ == Phase::kMoving && send_once();
    const bool received = phase_ == Phase::kMoving && receive_once();
    if (!sent && !received) return;
  }
  poller_.again(*this);
}

void StreamTransfer::on_connected() {
  if (const int error = pending_error(socket_); error != 0) return fail_with("connect", error);
  set_nodelay(socket_);
  phase_ = Phase::kConnected;
}

bool StreamTransfer::send_once() {
  if (options_.mode == StreamMode::kDownload || end_sent_) return false;
  if (sent_ == options_.bytes) {
    ::shutdown(socket_.get(), SHUT_WR);
    end_sent_ = true;
    return true;
  }
  const size_t size = std::min<uint64_t>(options_.bytes - sent_, buffers_.out.size());
  const auto data = std::span(buffers_.out).first(size);
  if (options_.verify) content_.fill(sent_, data);
  const IoResult out = write_some(socket_, data);
  if (out.error != 0) {
    fail_with("write", out.error);
    return false;
  }
  if (options_.verify) sent_hash_.update(data.first(out.bytes));
  sent_ += out.bytes;
  return out.bytes > 0;
}

bool StreamTransfer::receive_once() {
  const IoResult in = read_some(socket_, buffers_.in);
  if (in.error != 0) {
    fail_with("read", in.error);
    return false;
  }
  const bool expects_data = options_.mode != StreamMode::kUpload;
  if (in.ended) {
    const bool complete = end_sent_ && (received_ == options_.bytes || !expects_data);
    complete ? finish() : give_up("ended early");
    return false;
  }
  const auto data = std::span(buffers_.in).first(in.bytes);
  if (options_.mode == StreamMode::kEcho ? received_ + in.bytes > sent_
                                         : !expects_data && in.bytes > 0) {
    give_up("unexpected bytes");
    return false;
  }
  if (options_.verify) {
    if (const auto wrong = content_.first_difference(received_, data)) {
      give_up(fmt::format("wrong byte at {}", *wrong));
      return false;
    }
    received_hash_.update(data);
  }
  received_ += in.bytes;
  if (options_.mode == StreamMode::kDownload && received_ >= options_.bytes) {
    finish();
    return false;
  }
  return in.bytes > 0;
}

void StreamTransfer::finish() {
  phase_ = Phase::kOver;
  socket_.reset();
}

void StreamTransfer::fail_with(const std::string& what, int error) {
  failure_ = fmt::format("{} {}", what, errno_name(error));
  finish();
}

}  // namespace fairlead::lab
