// Connection: one TCP connection. It joins Sender and Receiver with the state machine of RFC 9293
// §3.3.2, turns their decisions into packets, and is what the application holds.
//
// Sender, Receiver and timers are the full TCB, and are not there from the start: a connection
// whose handshake the NIC stack has done begins with a quasi-TCB of 40 bytes (AccelTCP, NSDI '20,
// §5.2), and one that is read once, written once and closed never has more. Whatever a quasi-TCB
// does not tell promotes it: connection_quasi.cc says what that is.
//
//   connection.cc         the application's calls, state changes
//   connection_quasi.cc   before the full TCB is there
//   connection_input.cc   "segment arrives" (RFC 9293 §3.10.7)
//   connection_output.cc  building packets
//   connection_timer.cc   the timers that are not the sender's
//
// A connection lives in its stack's pool. The application owns it from connect() or accept() until
// Stack::release(); after that it finishes by itself.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/intrusive_list.h"
#include "base/result.h"
#include "base/timer_wheel.h"
#include "host/borrowed.h"
#include "host/chunk_pool.h"
#include "host/offer.h"
#include "host/path_cache.h"
#include "host/receiver.h"
#include "host/segment.h"
#include "host/sender.h"
#include "nic/setup/setup.h"
#include "nic/teardown/teardown.h"
#include "port/packet.h"
#include "wire/address.h"

namespace fairlead::host {

class Stack;
class Listener;
class Splicing;

/// RFC 9293 §3.3.2.
enum class State : uint8_t {
  kClosed,
  kListen,
  kSynSent,
  kSynReceived,
  kEstablished,
  kFinWait1,
  kFinWait2,
  kCloseWait,
  kClosing,
  kLastAck,
  kTimeWait,
};
/// "ESTABLISHED"
std::string_view state_name(State state);
/// Nothing can be written any more, though the connection is not over; a handshake under way is
/// another matter.
inline bool write_is_shut(State state) {
  return state >= State::kFinWait1 && state != State::kCloseWait;
}

/// What has changed since the observer was last told. Hints: the accessors hold the truth.
namespace event {
inline constexpr uint8_t kConnected = 1;    // the handshake is complete
inline constexpr uint8_t kReadable = 2;     // bytes to read, or the end of the stream
inline constexpr uint8_t kWritable = 4;     // room in the send buffer
inline constexpr uint8_t kClosed = 8;       // over; error() says how
inline constexpr uint8_t kAcceptable = 16;  // a listener has a connection to accept
inline constexpr uint8_t kSent = 32;        // everything written, and the FIN, is acknowledged
}  // namespace event

class Observer {
 public:
  /// Called from Stack::dispatch_events() only.
  virtual void on_events(uint8_t events) = 0;

 protected:
  ~Observer() = default;
};

/// A connection's figures, for people. Bytes and times.
struct ConnectionInfo {
  Duration srtt{};
  Duration rto{};
  uint32_t cwnd = 0;
  uint32_t ssthresh = 0;
  uint32_t in_flight = 0;
  uint32_t send_queue = 0;
  uint32_t receive_queue = 0;
  uint32_t send_window = 0;
  uint32_t receive_window = 0;
  uint32_t mss = 0;
  CongestionAlgorithm congestion = CongestionAlgorithm::kCubic;
  bool sack = false;
  bool timestamps = false;
  bool ecn = false;
};

struct OutputTag {};
struct EventTag {};

/// All there is of a connection at first, and what was agreed on with its peer as long as it lives.
struct QuasiTcb {
  Chunk* written = nullptr;  // text that is to be sent
  // Until there is a full TCB, which has them, too:
  SeqNum iss;
  SeqNum irs;
  uint16_t window = 0;                       // bytes that our SYN-ACK offered
  uint16_t peer_window = 0;                  // the field of the peer's last segment
  uint16_t received = 0;                     // bytes of text, all in one segment of this burst
  uint16_t unread = 0;                       // of these
  uint16_t borrowed = BorrowedSpans::kNone;  // where those are
  // Of the connection:
  uint16_t peer_mss = 536;  // RFC 9293 §3.7.1: when the SYN has none; IPv6: 1220
  uint16_t mss_max = 0;     // of our MSS option; 0: what the interface takes
  uint8_t send_shift = 0;
  uint8_t receive_shift = 0;
  uint32_t ts_recent = 0;  // RFC 7323 §4.3
  bool sack : 1 = false;
  bool timestamps : 1 = false;
  bool window_scaling : 1 = false;
  bool ecn : 1 = false;
};
static_assert(sizeof(QuasiTcb) == 40);

/// The rest.
struct Tcb {
  Sender sender;
  [[no_unique_address]] Receiver receiver;
  Time ack_deadline = Time::max();   // delayed ACK, or the end of those held back
  Time life_deadline = Time::max();  // handshake, keep-alive, FIN-WAIT-2: one at a time
  Time heard_at{};                   // last segment from the peer
  uint32_t refused_at_ms = 0;        // last ACK that answered a segment outside the window
};

class Connection : public TimerNode, public ListHook<OutputTag>, public ListHook<EventTag> {
 public:
  const FourTuple& tuple() const { return tuple_; }
  State state() const { return state_; }
  /// The handshake is done; perhaps half closed already.
  bool is_established() const { return state_ >= State::kEstablished; }
  /// kOk, or why the connection ended.
  Errc error() const { return error_; }
  /// nullptr: none.
  void set_observer(Observer* observer) { observer_ = observer; }

  /// Unread bytes, in order.
  size_t readable() const { return is_quasi() ? quasi_.unread : tcb_->receiver.readable(); }
  /// The first contiguous run of them, where they lie. Valid until the next Stack call; empty when
  /// nothing is readable.
  ByteSpan peek() const;
  /// Copies the first unread bytes, as many as there are or `into` takes, and leaves them unread.
  size_t copy_unread(MutableByteSpan into) const;
  /// n <= readable(). Opens the receive window.
  void consume(size_t n);
  /// The peer's FIN was reached: no more bytes will come than are readable now.
  bool fin_received() const { return !is_quasi() && tcb_->receiver.fin_received(); }
  /// Likewise, and everything before it was read.
  bool end_of_stream() const { return fin_received() && readable() == 0; }

  /// While on, text that arrives is readable as always but not acknowledged, and the window's edge
  /// stays where it is: the peer keeps what it has sent and may be answered by somebody else. What
  /// is sent acknowledges what was acknowledged before. Ends by itself, and acknowledges at once,
  /// after SocketOptions::ack_hold_max, when more is held than a peer sends before it needs an ACK
  /// (ten segments), at a FIN and at a gap; where one of these is the case already it does not
  /// begin, nor before the handshake is complete.
  void hold_acks(bool on);
  bool holds_acks() const { return !is_quasi() && tcb_->receiver.holds_acks(); }
  /// The last acknowledgement number sent: what the peer will not send again once it has it.
  SeqNum acknowledged_to_peer() const {
    return is_quasi() ? quasi_.irs + 1 : tcb_->receiver.acknowledged();
  }
  /// How many of the unread bytes, the last ones, are not acknowledged yet.
  size_t unread_unacked() const {
    return is_quasi() ? quasi_.unread : tcb_->receiver.unread_unacked();
  }

  /// Room in the send buffer, bytes; 0 before the handshake, after shutdown and after the end.
  size_t writable() const;
  /// Copies min(bytes.size(), writable()) bytes into the send queue and returns that.
  size_t write(ByteSpan bytes);
  /// Moves unread bytes of this connection, `limit` at most, to the send queue of `to`, which may
  /// be itself, for as long as it has room; bulk data is not copied. Returns how many. `to` is of
  /// the same stack.
  size_t forward(Connection& to, size_t limit = SIZE_MAX);
  /// Unread bytes whose acknowledgement is held back.
  size_t held() const { return holds_acks() ? unread_unacked() : 0; }
  /// Something written, or the FIN, is not acknowledged yet.
  bool unsent_or_unacked() const {
    return is_quasi() ? quasi_.written != nullptr : !tcb_->sender.all_acknowledged();
  }

  /// FIN after what was written. Idempotent.
  void shutdown_write();
  /// RST, now. state() is kClosed and error() kConnectionAborted from here on.
  void abort();
  void set_nodelay(bool on);
  void set_cork(bool on);
  void set_keepalive(bool on);
  /// In place of SocketOptions::teardown_offload, at any time before Stack::release().
  void set_teardown_offload(bool on) { teardown_offload_ = on; }
  ConnectionInfo info() const;
  /// The offer with which another connection's SYN promises what this one's peer has promised, as
  /// far as it was agreed on: timestamps, SACK, ECN, the peer's own window shift; and the largest
  /// segment that it and the way to it take. Established connections only.
  Offer peer_offer() const;
  /// The peer's initial sequence number.
  SeqNum peer_isn() const { return is_quasi() ? quasi_.irs : tcb_->receiver.irs(); }
  /// It has not needed a full TCB so far.
  bool is_quasi() const { return tcb_ == nullptr; }

 private:
  static constexpr Duration kRefusedInterval = milliseconds(500);  // as Linux
  static constexpr uint8_t kSynAckTries = 5;                       // as Linux: 31 s
  static constexpr uint32_t kMaxHeldSegments = 10;                 // RFC 6928
  static constexpr uint32_t kNotBorrowing = UINT32_MAX;

  friend class Stack;
  friend class Listener;
  friend class Splicing;
  template <typename T>
  friend class fairlead::ObjectPool;

  Connection(Stack& stack, const FourTuple& tuple, const SocketOptions& options, PathEntry& path);
  ~Connection() = default;

  // connection.cc
  void open_active(const Offer& offer, SeqNum iss, Time now);
  void open_passive(const Segment& syn, SeqNum iss, Listener& listener, Time now);
  /// Established: the NIC stack has done the handshake. Takes `segment`, its last one.
  void open_confirmed(const nic::NewConnection& made, Segment& segment, Listener& listener,
                      Time now);
  void set_state(State state);
  void end(Errc error);
  void released();
  void wake_writer();
  /// Who has taken it over on its way to a splice; nullptr: nobody.
  Splicing* splicing() const;
  void on_read();
  bool may_hold_acks() const;
  /// A bound of hold_acks() was reached.
  void end_ack_hold();
  bool done() const { return state_ == State::kClosed || state_ == State::kTimeWait; }
  /// Sequence numbers, windows and times, for the NIC stack to go on from. After update_mss().
  void describe(nic::Handover& handover, Time now);

  // connection_quasi.cc
  /// False: the segment is not what a quasi-TCB can note; nothing has changed.
  bool take_first(const Segment& segment);
  /// Where the unread bytes are.
  BorrowedSpans::List borrowed() const;
  /// Drops n unread bytes, which were read.
  void drop_unread(size_t n);
  /// False: not for a quasi-TCB; nothing has changed.
  bool write_first(ByteSpan bytes);
  /// Gives back what a quasi-TCB holds.
  void clear_quasi();
  /// From here on there is a full TCB; loses nothing.
  void promote();
  /// The full TCB, made now if there is none: to whoever looks, it was there from the start.
  Tcb& tcb() {
    if (is_quasi()) promote();
    return *tcb_;
  }
  const Tcb& tcb() const { return const_cast<Connection*>(this)->tcb(); }
  /// What the full TCB's Receiver begins with.
  void start_receiver(Receiver& receiver, const BorrowedSpans::List& unread) const;
  /// describe(), before there is a full TCB.
  void describe_quasi(nic::Handover& handover, Time now) const;

  // connection_input.cc
  void on_segment(Segment& segment, Time now);
  void on_syn_sent_segment(Segment& segment, Time now);
  bool acceptable(const Segment& segment) const;
  /// RFC 5961 §5.2: within [una - max.wnd, nxt]; outside it was made up.
  bool takes_ack(SeqNum ack) const;
  bool paws_rejects(const Segment& segment, Time now) const;
  void refuse_unacceptable(const Segment& segment);
  void answer_sparingly();
  void on_reset(const Segment& segment);
  bool on_ack_field(Segment& segment, Time now);
  void on_text(Segment& segment, Time now);
  void on_fin(const Segment& segment);
  void on_fin_acked(const Segment& segment);
  void negotiate(const Segment& syn);
  void complete_handshake(Segment& segment, Time now);
  void note_timestamp(const Segment& segment, Time now);
  void challenge_ack();
  void on_icmp_error(Errc error, bool hard);
  void on_mtu_change(Time now);

  // connection_output.cc
  bool has_output() const;
  bool emit(port::PacketBurst& burst, Time now);
  bool emit_syn(port::PacketBurst& burst, Time now);
  bool emit_data(port::PacketBurst& burst, Time now);
  struct Header;
  void build(port::TxPacket& packet, const Header& header, Time now);
  /// What the peer and the path to it take: payload and options.
  uint16_t path_mss(Time now) const;
  void update_mss(Time now);
  /// What the SYN of an active open offers; never scaled (RFC 7323 §2.2).
  uint16_t syn_window() const;
  uint32_t timestamp(Time now) const;
  /// What the MSS option of our SYN says.
  uint16_t offered_mss() const;
  /// From now on own segments carry this TSval, not a clock's.
  void follow_timestamps(uint32_t value);
  SendLimits limits() const;

  // connection_timer.cc
  Time deadline() const;
  /// How long the peer may leave something unacknowledged, in this state.
  Duration user_timeout() const;
  void on_timer(Time now);
  void on_handshake_timer(Time now);
  void on_keepalive_timer(Time now);
  /// The peer is silent for too long.
  void give_up();
  void detect_black_hole(Time now);
  void arm_life_timer(Time now);

  FourTuple tuple_;
  State state_ = State::kClosed;
  Errc error_ = Errc::kOk;
  uint8_t events_ = 0;
  uint8_t handshake_tries_ = 0;
  uint16_t mss_ = 536;                 // payload bytes per segment now, options subtracted
  uint32_t borrower_ = kNotBorrowing;  // place in Stack::borrowers_

  Tcb* tcb_ = nullptr;
  QuasiTcb quasi_;

  Stack& stack_;
  Observer* observer_ = nullptr;
  Listener* listener_ = nullptr;  // while in SYN-RECEIVED or waiting to be accepted
  const SocketOptions* options_;
  PathEntry* path_;
  uint32_t ts_offset_ = 0;  // of our timestamp clock (RFC 7323 §5.4), or what it shows

  bool follows_timestamps_ : 1 = false;
  bool owned_ : 1 = false;     // by the application, or a Splicing
  bool splicing_ : 1 = false;  // the observer is a Splicing, which has taken it over
  bool ecn_echo_ : 1 = false;  // CE seen, CWR not yet (RFC 3168 §6.1.3)
  bool nodelay_ : 1 = false;
  bool cork_ : 1 = false;
  bool keepalive_ : 1 = false;
  bool teardown_offload_ : 1 = false;
  // Between bits that the compiler would read as one word: a byte of it that was just written would
  // have to reach the cache first, behind all that is being written there.
  uint8_t keepalive_tries_ = 0;
  bool syn_due_ : 1 = false;
  bool probe_due_ : 1 = false;  // window or keep-alive probe
  bool detached_ : 1 = false;   // not in the flow table any more
  bool blocked_ : 1 = false;    // the application saw writable() == 0
};
// The promise to whoever sizes a machine for idle connections: state, buffers apart.
static_assert(sizeof(Connection) <= 200 && sizeof(Tcb) <= 352);

}  // namespace fairlead::host
