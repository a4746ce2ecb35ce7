#include "lab/peers/request_load.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "lab/peers/sockets.h"

namespace fairlead::lab {

/// One connection at a time, again and again until the load's connections are used up.
class RequestSlot : public Pollable {
 public:
  explicit RequestSlot(RequestLoad& load) : load_(load) {}

  void next_connection();
  void on_ready() override;
  bool active() const { return phase_ != Phase::kIdle; }

 private:
  enum class Phase : uint8_t { kIdle, kConnecting, kSending, kReceiving, kClosing };

  bool step();
  bool connected();
  void next_request();
  bool send();
  bool receive();
  bool await_end();
  bool close();
  bool over(const std::string& failure);
  bool over(const char* what, int error) {
    return over(fmt::format("{} {}", what, errno_name(error)));
  }

  RequestLoad& load_;
  UniqueFd socket_;
  Phase phase_ = Phase::kIdle;
  Time since_{};  // when the connection attempt, or the request, began
  uint64_t requests_left_ = 0;
  uint64_t content_at_ = 0;  // of the current request
  uint32_t moved_ = 0;       // bytes of it sent, or of its answer received
};

void RequestSlot::next_connection() {
  const RequestOptions& options = load_.options_;
  while (load_.begun_ < options.connections) {
    content_at_ = load_.begun_ * options.requests * options.size;
    ++load_.begun_;
    requests_left_ = options.requests;
    phase_ = Phase::kConnecting;
    since_ = monotonic_now();
    socket_ = start_connect(options.server);
    if (socket_ && load_.poller_.add(socket_, *this)) return;
    load_.report_.add_failure("connect " + errno_name(errno));
  }
  phase_ = Phase::kIdle;
  --load_.running_;
}

void RequestSlot::on_ready() {
  while (step()) {
  }
}

// True when there may be more to do at once.
bool RequestSlot::step() {
  switch (phase_) {
    case Phase::kIdle:
      return false;
    case Phase::kConnecting:
      return connected();
    case Phase::kSending:
      return send();
    case Phase::kReceiving:
      return receive();
    case Phase::kClosing:
      return await_end();
  }
  return false;
}

bool RequestSlot::connected() {
  if (const int error = pending_error(socket_); error != 0) return over("connect", error);
  load_.report_.connect.add(monotonic_now() - since_);
  set_nodelay(socket_);
  next_request();
  return true;
}

void RequestSlot::next_request() {
  phase_ = Phase::kSending;
  moved_ = 0;
  since_ = monotonic_now();
}

bool RequestSlot::send() {
  const auto request = std::span(load_.scratch_).subspan(moved_);
  load_.content_.fill(content_at_ + moved_, request);
  const IoResult out = write_some(socket_, request);
  if (out.error != 0) return over("write", out.error);
  load_.report_.bytes_sent += out.bytes;
  moved_ += static_cast<uint32_t>(out.bytes);
  if (moved_ < load_.options_.size) return out.bytes > 0;
  phase_ = Phase::kReceiving;
  moved_ = 0;
  return true;
}

bool RequestSlot::receive() {
  const IoResult in = read_some(socket_, std::span(load_.scratch_).subspan(moved_));
  if (in.error != 0) return over("read", in.error);
  if (in.ended) return over("ended early");
  if (in.bytes == 0) return false;
  const auto answer = std::span(load_.scratch_).subspan(moved_, in.bytes);
  if (load_.content_.first_difference(content_at_ + moved_, answer)) return over("wrong bytes");
  load_.report_.bytes_received += in.bytes;
  moved_ += static_cast<uint32_t>(in.bytes);
  if (moved_ < load_.options_.size) return true;

  load_.report_.request.add(monotonic_now() - since_);
  ++load_.report_.requests;
  content_at_ += load_.options_.size;
  if (--requests_left_ == 0) return close();
  next_request();
  return true;
}

bool RequestSlot::close() {
  if (load_.options_.close == RequestOptions::Close::kReset) {
    reset_on_close(socket_);
    return over("");
  }
  if (load_.options_.close == RequestOptions::Close::kFin) ::shutdown(socket_.get(), SHUT_WR);
  phase_ = Phase::kClosing;
  return true;
}

bool RequestSlot::await_end() {
  const IoResult in = read_some(socket_, load_.scratch_);
  if (in.error != 0) return over("close", in.error);
  if (in.bytes > 0) return over("unexpected bytes");
  return in.ended ? over("") : false;
}

// Always false: what comes next is another connection's event.
bool RequestSlot::over(const std::string& failure) {
  if (failure.empty()) {
    ++load_.report_.connections;
  } else {
    load_.report_.add_failure(failure);
  }
  socket_.reset();
  next_connection();
  return false;
}

RequestLoad::RequestLoad(const RequestOptions& options, Poller& poller, Report& report)
    : options_(options),
      poller_(poller),
      report_(report),
      content_(Content::pseudo_random(options.seed)),
      scratch_(options.size) {
  const uint64_t slots = std::min<uint64_t>(options.concurrency, options.connections);
  for (uint64_t i = 0; i < slots; ++i) slots_.push_back(std::make_unique<RequestSlot>(*this));
}

RequestLoad::~RequestLoad() = default;

void RequestLoad::start() {
  running_ = static_cast<uint32_t>(slots_.size());
  for (const auto& slot : slots_) slot->next_connection();
}

void RequestLoad::give_up(const std::string& why) {
  const auto active = static_cast<uint64_t>(
      std::ranges::count_if(slots_, [](const auto& slot) { return slot->active(); }));
  const uint64_t left = active + options_.connections - begun_;
  if (left > 0) report_.failures[why] += left;
}

}  // namespace fairlead::lab
