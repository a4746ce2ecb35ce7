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

/// Owns itself: destroyed when the connection is over.
class EchoConnection : public Pollable {
 public:
  /// Takes over an accepted socket. `scratch` is shared by all connections and outlives them.
  static void start(UniqueFd socket, EchoMode mode, Poller& poller, std::span<std::byte> scratch);

  void on_ready() override;

 private:
  enum class Outcome : uint8_t { kBlocked, kMore, kOver };

  EchoConnection(UniqueFd socket, EchoMode mode, Poller& poller, std::span<std::byte> scratch)
      : socket_(std::move(socket)), mode_(mode), poller_(poller), scratch_(scratch) {}

  Outcome echo_once();
  Outcome discard_once();
  Outcome generate_once();

  UniqueFd socket_;
  EchoMode mode_;
  Poller& poller_;
  std::span<std::byte> scratch_;
  std::vector<std::byte> unsent_;  // echo: read, and not taken by the socket yet
  size_t unsent_at_ = 0;
  size_t generated_ = 0;  // chargen: bytes sent
};

}  // namespace fairlead::lab
