#include "lab/peers/echo_connection.h"

#include <algorithm>

#include "lab/peers/chargen.h"
#include "lab/peers/sockets.h"

namespace fairlead::lab {
namespace {

// Reads or writes in one turn; then the others have theirs. 16 times the scratch buffer is 4 MiB.
constexpr int kTurn = 16;

}  // namespace

void EchoConnection::start(UniqueFd socket, const EchoService& service, Poller& poller,
                           std::span<std::byte> scratch) {
  (new EchoConnection(std::move(socket), service, poller, scratch))->on_ready();
}

void EchoConnection::on_ready() {
  for (int i = 0; i < kTurn; ++i) {
    const Outcome outcome = mode_ == EchoMode::kEcho      ? echo_once()
                            : mode_ == EchoMode::kDiscard ? discard_once()
                                                          : generate_once();
    if (outcome == Outcome::kMore) continue;
    if (outcome == Outcome::kOver || !wait_for_events()) {
      delete this;
    }
    return;
  }
  poller_.again(*this);
}

bool EchoConnection::wait_for_events() {
  const bool writes = mode_ == EchoMode::kChargen || unsent_at_ < unsent_.size();
  const Interest wanted = writes ? Interest::kBoth : Interest::kInput;
  const Interest had = interest_;
  if (had >= wanted) return true;
  interest_ = wanted;
  return had == Interest::kNone ? poller_.add(socket_, *this, wanted)
                                : poller_.change(socket_, *this, wanted);
}

EchoConnection::Outcome EchoConnection::after_all_was_sent(bool found_less) const {
  if (left_ == 0) return Outcome::kOver;
  return found_less && !must_drain() ? Outcome::kBlocked : Outcome::kMore;
}

EchoConnection::Outcome EchoConnection::echo_once() {
  if (unsent_at_ == unsent_.size()) {
    unsent_.clear();
    unsent_at_ = 0;
    const auto room = scratch_.first(std::min<uint64_t>(scratch_.size(), left_));
    const IoResult in = read_some(socket_, room);
    if (in.ended || in.error != 0) return Outcome::kOver;
    if (in.bytes == 0) return Outcome::kBlocked;
    left_ -= in.bytes;
    const auto data = room.first(in.bytes);
    const IoResult out = write_some(socket_, data);
    if (out.error != 0) return Outcome::kOver;
    if (out.bytes == data.size()) return after_all_was_sent(data.size() < room.size());
    unsent_.assign(data.begin() + static_cast<ptrdiff_t>(out.bytes), data.end());
    return Outcome::kMore;
  }
  const IoResult out = write_some(socket_, std::span(unsent_).subspan(unsent_at_));
  if (out.error != 0) return Outcome::kOver;
  unsent_at_ += out.bytes;
  if (unsent_at_ == unsent_.size()) return after_all_was_sent(false);
  return out.bytes == 0 ? Outcome::kBlocked : Outcome::kMore;
}

EchoConnection::Outcome EchoConnection::discard_once() {
  const IoResult in = read_some(socket_, scratch_);
  if (in.ended || in.error != 0) return Outcome::kOver;
  return in.bytes == 0 ? Outcome::kBlocked : Outcome::kMore;
}

EchoConnection::Outcome EchoConnection::generate_once() {
  const IoResult in = read_some(socket_, scratch_);
  if (in.ended || in.error != 0) return Outcome::kOver;
  const IoResult out = write_some(socket_, chargen_at(generated_));
  if (out.error != 0) return Outcome::kOver;
  generated_ += out.bytes;
  return in.bytes == 0 && out.bytes == 0 ? Outcome::kBlocked : Outcome::kMore;
}

}  // namespace fairlead::lab
