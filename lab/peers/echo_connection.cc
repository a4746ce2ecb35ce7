#include "lab/peers/echo_connection.h"

#include "lab/peers/chargen.h"
#include "lab/peers/sockets.h"

namespace fairlead::lab {
namespace {

// Reads or writes in one turn; then the others have theirs. 16 times the scratch buffer is 4 MiB.
constexpr int kTurn = 16;

}  // namespace

void EchoConnection::start(UniqueFd socket, EchoMode mode, Poller& poller,
                           std::span<std::byte> scratch) {
  auto* connection = new EchoConnection(std::move(socket), mode, poller, scratch);
  if (!poller.add(connection->socket_, *connection)) delete connection;
}

void EchoConnection::on_ready() {
  for (int i = 0; i < kTurn; ++i) {
    const Outcome outcome = mode_ == EchoMode::kEcho      ? echo_once()
                            : mode_ == EchoMode::kDiscard ? discard_once()
                                                          : generate_once();
    if (outcome == Outcome::kBlocked) return;
    if (outcome == Outcome::kOver) {
      delete this;
      return;
    }
  }
  poller_.again(*this);
}

EchoConnection::Outcome EchoConnection::echo_once() {
  if (unsent_at_ == unsent_.size()) {
    unsent_.clear();
    unsent_at_ = 0;
    const IoResult in = read_some(socket_, scratch_);
    if (in.ended || in.error != 0) return Outcome::kOver;
    if (in.bytes == 0) return Outcome::kBlocked;
    const auto data = scratch_.first(in.bytes);
    const IoResult out = write_some(socket_, data);
    if (out.error != 0) return Outcome::kOver;
    unsent_.assign(data.begin() + static_cast<ptrdiff_t>(out.bytes), data.end());
    return Outcome::kMore;
  }
  const IoResult out = write_some(socket_, std::span(unsent_).subspan(unsent_at_));
  if (out.error != 0) return Outcome::kOver;
  unsent_at_ += out.bytes;
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
