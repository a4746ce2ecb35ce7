// ClientGenerator: many clients of an echo server that cost next to nothing, so that the server is
// what a measurement shows.
//
// Not a TCP, but what a server takes for one as long as nothing is lost: 40 bytes of state a
// client, packets from prebuilt headers, everything else computed. A client's next packet is a
// function of its state, so that what is not answered can be sent again. Each client does one
// transaction after the other, with a new connection for each (or after so many, or never):
//
//   server closes first                        client closes first
//     SYN ──▶            ◀── SYN-ACK             SYN ──▶           ◀── SYN-ACK
//     ACK + request ──▶  ◀── response + FIN      ACK + request ──▶ ◀── response
//     FIN + ACK ──▶      ◀── ACK                 FIN + ACK ──▶     ◀── FIN + ACK
//                                                ACK ──▶
//
// with separate ACKs, as a kernel's client has them, in place of "ACK + ..." and "... + ACK".
//
// Connection number n, of kTuples which are used in turn, is client n mod clients; it has its own
// address, port and bytes to send, all computed from n.
//
// Everything that is not as it should be is counted. A client that hears nothing for `patience`
// repeats itself, kTries times, and is given up then.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/seq_num.h"
#include "base/time.h"
#include "wire/address.h"

namespace fairlead::bench {

struct ClientCounters {
  uint64_t transactions = 0;  // request answered in full, every byte right
  uint64_t connections = 0;   // closed in good order
  // Errors.
  uint64_t wrong_bytes = 0;      // a response with other bytes, or more, than the request had
  uint64_t resets = 0;           // RST
  uint64_t malformed = 0;        // not a segment for a client, or none that its state allows
  uint64_t refused_options = 0;  // a SYN-ACK without timestamps, SACK or window scale
  uint64_t unanswered = 0;       // given up
  // Late or lost: a disturbed machine, or a queue that was full.
  uint64_t gaps = 0;      // something before this segment has not come
  uint64_t repeated = 0;  // segments that had come before
  uint64_t retries = 0;   // nothing was heard for `patience`

  uint64_t errors() const {
    return wrong_bytes + resets + malformed + refused_options + unanswered;
  }
  uint64_t late() const { return gaps + repeated + retries; }
};

struct ClientOptions {
  Endpoint server;  // IPv4
  MacAddress server_mac;
  MacAddress mac;
  uint32_t clients = 1;         // a power of two, at most kMaxClients
  uint32_t message = 64;        // bytes of a request, and of its response
  uint32_t per_connection = 1;  // transactions; 0: no end
  bool client_closes = false;   // else the server does, after per_connection
  bool separate_acks = false;
  Duration patience = seconds(2);
};

class ClientGenerator {
 public:
  static constexpr uint32_t kMaxClients = 1 << 19;
  static constexpr uint32_t kTuples = 1 << 20;
  static constexpr uint32_t kMaxMessage = 32 * 1024;  // what a server's first window takes
  static constexpr uint8_t kTries = 4;
  static constexpr size_t kMaxFrame = 1514;
  /// The clients' addresses are these and those that follow.
  static constexpr uint32_t kFirstAddress = 0x0a010001;  // 10.1.0.1

  ClientGenerator(const ClientOptions& options, Time now);

  /// A frame from the server's host.
  void on_frame(ByteSpan frame);
  /// Writes the next frame to the server's host and returns its size, kMaxFrame at most; 0: there
  /// is none now. Checksums are left out, as if the host's NIC had verified them.
  size_t next_frame(MutableByteSpan into);
  /// Looks after some of the clients; call often.
  void on_timer(Time now);

  const ClientCounters& counters() const { return counters_; }

 private:
  static constexpr uint32_t kPortsPerAddress = 1 << 15;
  static constexpr uint16_t kFirstPort = 1024;
  static constexpr uint16_t kMss = 1460 - 12;  // payload, with timestamps
  static constexpr uint32_t kPattern = 1 << 14;
  static constexpr uint32_t kLookedAfter = 8;  // clients per on_timer()

  enum class State : uint8_t {
    kConnecting,  // SYN
    kRequesting,  // data that was not sent yet
    kWaiting,     // for the response, or the server's FIN
    kClosing,     // FIN to be sent
    kClosed,      // FIN sent
    kLastAck,     // the final ACK is to be sent, then all is over
  };

  struct Client {
    uint32_t number = 0;  // of the connection: kTuples
    SeqNum snd_nxt{};
    SeqNum rcv_nxt{};
    uint32_t ts_recent = 0;
    uint32_t sent = 0;      // of the request, bytes
    uint32_t received = 0;  // of the response, bytes
    uint32_t done = 0;      // transactions of this connection
    uint32_t heard_ms = 0;
    State state = State::kConnecting;
    uint8_t tries = 0;
    bool queued = false;
    bool ack_due = false;
    bool fin_received = false;
  };

  /// What matters of a segment.
  struct Received {
    uint32_t number;
    SeqNum seq;
    SeqNum ack;
    uint8_t flags;
    uint32_t ts_value;
    ByteSpan payload;
    bool all_options;  // a SYN-ACK's
  };

  std::optional<Received> read(ByteSpan frame) const;
  /// Of a request and of its response, from `at` on, to their end.
  const uint8_t* content(const Client& client, uint32_t at) const;
  bool answered(const Client& client) const { return client.received == options_.message; }

  // The queue.
  void enqueue(Client& client);
  void requeue_first(Client& client);
  Client* dequeue();

  void start(Client& client, uint32_t number);
  /// The next connection in place of this one.
  void renew(Client& client) { start(client, (client.number + options_.clients) % kTuples); }
  void on_segment(Client& client, const Received& segment);
  void on_syn_ack(Client& client, const Received& segment);
  void on_payload(Client& client, ByteSpan payload);
  void on_response(Client& client);
  void on_fin(Client& client);
  /// It has heard nothing for too long.
  void repeat(Client& client);

  struct Header {
    uint8_t flags;
    SeqNum seq;
    uint32_t payload = 0;  // bytes
  };
  /// The headers; returns their size.
  size_t write(const Client& client, const Header& header, MutableByteSpan into) const;
  size_t write_request(Client& client, MutableByteSpan into);
  /// What its state asks for; 0: nothing. `more`: not the last.
  size_t write_next(Client& client, MutableByteSpan into, bool& more);

  ClientOptions options_;
  std::vector<Client> clients_;
  std::vector<uint32_t> queue_;  // of clients with something to send, a ring
  uint32_t queue_head_ = 0;
  uint32_t queue_size_ = 0;
  uint32_t looked_after_ = 0;  // next of on_timer()
  uint32_t now_ms_;
  uint32_t initial_;  // of the next connection's sequence numbers
  std::vector<uint8_t> pattern_;
  std::vector<uint8_t> syn_;    // prebuilt headers: Ethernet, IPv4, TCP, options
  std::vector<uint8_t> plain_;  // of all others
  ClientCounters counters_;
};

}  // namespace fairlead::bench
