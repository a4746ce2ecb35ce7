// One connection of the reference server: echo (RFC 862), discard (RFC 863) or chargen (RFC 864).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/unique_fd.h"
#include "lab/peers/poller.h"

namespace fairlead::lab {

enum class EchoMode : uint8_t { kEcho, kDiscard, kChargen };

struct EchoService {
  EchoMode mode = EchoMode::kEcho;
  uint64_t limit = UINT64_MAX;  // echo: closes when it has sent back so many bytes
};

/// Owns itself: destroyed when the connection is over.
///
/// Makes as few system calls as there can be: it is served before it is given to epoll, since the
/// request is often there when the connection is accepted, and may be all there is to do; it asks
/// for room to write only when there was none; and a read that would find nothing is not made.
class EchoConnection : public Pollable {
 public:
  /// Takes over an accepted socket. `scratch` is shared by all connections and outlives them.
  static void start(UniqueFd socket, const EchoService& service, Poller& poller,
                    std::span<std::byte> scratch);

  void on_ready() override;

 private:
  enum class Outcome : uint8_t { kBlocked, kMore, kOver };

  EchoConnection(UniqueFd socket, const EchoService& service, Poller& poller,
                 std::span<std::byte> scratch)
      : socket_(std::move(socket)),
        mode_(service.mode),
        left_(service.limit),
        poller_(poller),
        scratch_(scratch) {}

  bool wait_for_events();
  Outcome after_all_was_sent(bool found_less) const;

  Outcome echo_once();
  Outcome discard_once();
  Outcome generate_once();

  UniqueFd socket_;
  EchoMode mode_;
  Interest interest_ = Interest::kNone;
  uint64_t left_;  // echo: bytes to read
  Poller& poller_;
  std::span<std::byte> scratch_;
  std::vector<std::byte> unsent_;  // echo: read, and not taken by the socket yet
  size_t unsent_at_ = 0;
  size_t generated_ = 0;  // chargen: bytes sent
};

}  // namespace fairlead::lab
