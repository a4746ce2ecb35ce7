// StreamTransfer: one connection of the client that moves a stream.
//
//   echo      sends `bytes`, ends its side, expects exactly the same back and then the end
//   upload    sends `bytes`, ends its side, expects nothing back but the end
//   download  reads `bytes` or a little more, then closes
//
// "Sent" means the peer has it: an upload is over only when the peer has answered the end with its
// own.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "lab/peers/content.h"
#include "lab/peers/poller.h"
#include "wire/address.h"

namespace fairlead::lab {

enum class StreamMode : uint8_t { kEcho, kUpload, kDownload };

/// Shared by all transfers of a run, which take turns.
struct TransferBuffers {
  std::vector<std::byte> out;
  std::vector<std::byte> in;
};

class StreamTransfer : public Pollable {
 public:
  struct Options {
    StreamMode mode = StreamMode::kEcho;
    uint64_t bytes = 0;
    bool verify = true;  // off: sends what is in the buffer, and looks at nothing
  };
  enum class Phase : uint8_t { kConnecting, kConnected, kMoving, kOver };

  /// Begins to connect.
  StreamTransfer(const Endpoint& server, const Options& options, Content content,
                 TransferBuffers& buffers, Poller& poller);

  /// When kConnected.
  void start();
  /// Ends it as failed, unless it is over.
  void give_up(const std::string& why);
  void on_ready() override;

  Phase phase() const { return phase_; }
  /// How it failed; empty: it did not.
  const std::string& failure() const { return failure_; }
  uint64_t sent() const { return sent_; }
  uint64_t received() const { return received_; }
  StreamHash& sent_hash() { return sent_hash_; }
  StreamHash& received_hash() { return received_hash_; }

 private:
  void on_connected();
  bool send_once();
  bool receive_once();
  void finish();
  void fail_with(const std::string& what, int error);

  Options options_;
  Content content_;
  TransferBuffers& buffers_;
  Poller& poller_;
  UniqueFd socket_;
  Phase phase_ = Phase::kConnecting;
  bool end_sent_ = false;
  uint64_t sent_ = 0;
  uint64_t received_ = 0;
  StreamHash sent_hash_;
  StreamHash received_hash_;
  std::string failure_;
};

}  // namespace fairlead::lab
