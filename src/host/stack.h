// Stack: a host TCP stack. One instance per shard, used by one thread.
//
// Sans-IO: no sockets, no clock reads, no threads. Packets and time go in, packets come out, and an
// application calls it in between. The loop of a shard:
//
//   n = port.receive(burst)              |  stack.settle()
//   stack.expect(some), and then         |
//   stack.on_packet(p, now) for each     |  while (more) { more = stack.transmit(out, now);
//   stack.on_timer(now)                  |                 port.transmit(out.packets()); }
//   stack.dispatch_events()              |  stack.end_burst(); port.release()
//   run the application                  |  sleep until next_deadline() or a packet
//
//   stack.cc         the application's side, events, life cycle of connections
//   stack_expect.cc  packets about to come in
//   stack_input.cc   packets in: demultiplexing, listeners, TIME-WAIT, ICMP
//   stack_output.cc  packets out: connections in turn, replies that belong to none
//   stack_offload.cc what is left to the NIC stack: handshakes, the end of connections
//   stack_splice.cc  two connections that are to become one
//   splicing.cc      and what happens to them on the way
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/hash_index.h"
#include "base/latest_hasher.h"
#include "base/random.h"
#include "base/result.h"
#include "base/siphash.h"
#include "base/timer_wheel.h"
#include "host/config.h"
#include "host/connection.h"
#include "host/counters.h"
#include "host/listener.h"
#include "host/path_cache.h"
#include "host/recent_handovers.h"
#include "host/resources.h"
#include "host/splicing.h"
#include "host/time_wait.h"
#include "nic/channel/nic_link.h"
#include "nic/setup/setup.h"
#include "nic/splice/splice_table.h"
#include "nic/teardown/teardown.h"
#include "port/packet.h"
#include "port/packet_builder.h"
#include "port/path.h"
#include "port/port.h"
#include "wire/flow_hasher.h"

namespace fairlead::host {

/// All of a stack's randomness. From fill_secure_random() in a daemon, from the seed in a
/// simulation.
struct Secrets {
  SipKey hash;                        // hash tables
  SipKey isn;                         // initial sequence numbers and ports, RFC 6528, 6056
  fl_setup_secrets setup{};           // SYN cookies and timestamp offsets
  std::optional<Time> setup_since{};  // nic::SetupOptions::secrets_since
  uint64_t seed = 0;                  // what needs no secrecy
};

class Stack {
 public:
  /// `ports` by port_index; what they say of offloads must stay true.
  Stack(const StackConfig& config, port::Router& router, std::span<const port::PortInfo> ports,
        const Secrets& secrets, Time now);
  ~Stack();
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;

  // Time and packets.
  /// Packets that on_packet() will be called for, kExpected at most: brings what that needs into
  /// the processor's cache. Changes nothing, and may be left out.
  void expect(std::span<const port::RxPacket> packets) const;
  static constexpr size_t kExpected = 16;
  void on_packet(const port::RxPacket& packet, Time now);
  void on_timer(Time now);
  /// Appends until nothing is left (false) or the burst is full (true: send it and call again).
  bool transmit(port::PacketBurst& burst, Time now);
  /// Nothing to do before this unless a packet or the application calls. In the past: transmit()
  /// now.
  std::optional<Time> next_deadline() const;
  /// Calls observers with what happened since.
  void dispatch_events();
  /// Payload still unread is copied out of its packet. Before transmit(): what is acknowledged is
  /// kept.
  void settle();
  /// Ends a receive burst, before Port::release(): what was to be sent on out of its packets and
  /// found no room is dropped.
  void end_burst();

  // The application.
  /// An unspecified address (0.0.0.0, ::) takes connections to any local address of its family.
  /// EADDRINUSE, EADDRNOTAVAIL, EINVAL (port 0), ENOBUFS.
  Result<Listener*> listen(const Endpoint& endpoint, const ListenOptions& options);
  /// For connections whose SYN is yet to come; the bounds hold at once.
  void set_options(Listener& listener, const ListenOptions& options);
  /// In place of SocketOptions::mss_max, for connections that come from now on.
  void set_mss_max(Listener& listener, uint16_t mss);
  /// Connections that wait in it are reset. The pointer dies.
  void close(Listener* listener);

  struct ConnectOptions {
    Endpoint remote;
    std::optional<IpAddress> source;     // else what the route prefers
    std::optional<uint16_t> local_port;  // else chosen by RFC 6056
    SocketOptions socket;
    std::optional<Offer> offer{};  // else full_offer(socket)
  };
  /// In SYN-SENT; the outcome comes as event::kConnected or kClosed. EADDRINUSE, EADDRNOTAVAIL (no
  /// free port), EHOSTUNREACH, ENETUNREACH, EINVAL, ENOBUFS.
  Result<Connection*> connect(const ConnectOptions& options, Time now);
  /// The application is done with it: it closes gracefully in the background, in the NIC stack if
  /// SocketOptions::teardown_offload or Connection::set_teardown_offload() says so; by RST if
  /// unread bytes are thrown away (RFC 1122 §4.2.2.13). The pointer dies.
  void release(Connection* connection);

  /// Makes one connection of two (splicing.h), at any time after both were established, and takes
  /// them over: the pointers die. What was received and not read yet is delivered first. Refused:
  /// nothing has changed, and the reason is counted.
  /// The splice lives until its observer is told of its end.
  std::expected<nic::Splice*, SpliceRefusal> splice(Connection* client, Connection* server,
                                                    const nic::SpliceOptions& options);
  /// Ends it at once; both ends are told by RST when they send next.
  void end_splice(nic::Splice& splice);
  /// Splices sink there when it pays. nullptr: none.
  void use_kernel_seat(nic::KernelSeat* seat);
  nic::SpliceTable& splices() { return splices_; }
  const nic::SpliceTable& splices() const { return splices_; }
  /// By SpliceRefusal.
  const std::array<uint64_t, kSpliceRefusals>& splice_refusals() const { return splice_refusals_; }
  /// On their way to a splice.
  size_t splicing_count() const { return splicing_pool_.live(); }

  /// Handshakes with listeners that leave them to the NIC stack.
  nic::SetupOffload& setup() { return setup_; }
  const nic::SetupOffload& setup() const { return setup_; }
  /// The NIC stack is behind this link, which outlives the stack, not here; before listen(). Both
  /// need the same setup secrets. What comes in may be its messages, in frames that are ours alone.
  void use_nic(nic::NicLink& link) {
    nic_ = &link;
    handed_over_.emplace(config_.max_teardowns);
    repeat_listens_at_ = now_ + kListenInterval;
    use_setup_seat(link);
  }
  /// So often a NIC stack elsewhere is told anew who listens: a message may be lost, and it may
  /// have begun anew itself.
  static constexpr Duration kListenInterval = seconds(1);
  /// SYNs may be answered there; it outlives the stack. Before listen().
  void use_setup_seat(nic::SetupSeat& seat) { setup_seat_ = &seat; }
  /// For so long at least SYNs are not left to the NIC stack elsewhere when a listener's queue, or
  /// the table of connections, has been full: it would prove handshakes that come to nothing. Then
  /// until the queue is half empty and a sixteenth of the table is free. So there are at most two
  /// messages a listener and second, whatever comes.
  static constexpr Duration kSetupPause = seconds(1);
  /// Where packets of connections that the NIC stack closes may be decided for before they come
  /// here. Before the first is.
  void use_kernel_teardown(const nic::TeardownTable& table) { teardown_.use_kernel(table); }
  /// Brings teardown() up to date with what was decided there.
  void catch_up_teardowns(Time now) { teardown_.catch_up(now); }
  /// Connections that the NIC stack closes.
  const nic::Teardown& teardown() const { return teardown_; }
  /// Of those that it may close it is given so many now: all, 1, while its table of them and the
  /// way there are half empty; from there on fewer and fewer; none, 0, when one of the two is full.
  double teardown_share() const;

  /// Resets every connection: the machine is going away. Those the application owns end with
  /// ECONNABORTED. Splices that have sunk to the kernel's seat go on when they are left to it.
  void reset_all(nic::SunkSplices sunk);

  /// What segments to `remote` may carry now, payload and options: its path's MTU, learned or
  /// known, without headers. nullopt: no route.
  std::optional<uint16_t> path_mss(const IpAddress& remote) const;

  const Counters& counters() const { return resources_.counters; }
  size_t connection_count() const { return connections_.live(); }
  size_t time_wait_count() const { return time_wait_.size(); }
  size_t buffer_bytes() const { return resources_.chunks.live() * sizeof(Chunk); }
  size_t sent_run_count() const { return resources_.runs.live(); }
  void for_each_connection(const std::function<void(const Connection&)>& visit) const;
  void for_each_listener(const std::function<void(const Listener&)>& visit) const;

 private:
  friend class Connection;
  friend class Splicing;

  static const FourTuple& connection_key(const Connection& c) { return c.tuple_; }
  static const Endpoint& listener_key(const Listener& l) { return l.endpoint_; }

  static constexpr uint32_t kPortTries = 64;  // looked at before TIME-WAIT is cut short for one
  static constexpr Duration kReuseAfter = seconds(1);
  /// Beyond whatever window a connection in TIME-WAIT had.
  static constexpr uint32_t kReuseAbove = 65536;
  /// Segments that belong to no connection object: RST, TIME-WAIT's ACK.
  static constexpr size_t kMaxReplies = 256;
  /// Segments of splices, per burst.
  static constexpr size_t kMaxForwards = 1024;

  // For Connection.
  Resources& resources() { return resources_; }
  const Resources& resources() const { return resources_; }
  PathCache& paths() { return paths_; }
  Time now() const { return now_; }
  const port::PortInfo& port_info(uint8_t index) const { return ports_[index]; }
  /// TSval of a connection's segments: a clock of 1 ms, offset so that it tells nothing.
  uint32_t timestamp(Time now, uint32_t offset) const;
  uint32_t timestamp_offset(const FourTuple& tuple) const { return setup_.timestamp_offset(tuple); }
  bool allow_challenge_ack();
  /// Room for at least one more byte in the buffers that all connections share.
  bool has_buffers() const { return resources_.chunks.available(); }
  /// Somebody could not write for want of them: event::kWritable for all when there are some.
  void retry_writers() { writers_wait_ = true; }
  void reply_reset(const Segment& segment);
  /// For one that a connection answers once: whatever others have been answered.
  void reply_reset_unlimited(const Segment& segment);
  void reset_peer(Connection& connection);
  void on_state_change(Connection& connection, State from, State to);
  void on_accepted(Connection& connection);
  /// The connection is being reset, by either side.
  void rest_after_reset(const Connection& connection);
  void enter_time_wait(Connection& connection, const Segment& segment);
  /// After anything that may have changed what a connection wants: lists, timer, end of life.
  void update(Connection& connection);
  Tcb* make_tcb() { return tcbs_.create(); }  // one for each connection there may be
  /// Arms its timer and queues its events.
  void note_changes(Connection& connection);

  // For Splicing.
  /// RSTs that nothing has provoked; each is the last word of a connection or splice.
  void say_farewell(std::vector<port::TcpPacketSpec>&& resets);
  /// A packet to be sent on in this burst; nullptr at the bound (counted).
  port::TxPacket* append_forward();
  void drop_forward() { forwards_.pop_back(); }
  /// Keeps the payload of packets to be sent on until the burst ends.
  void keep_for_forwards(ByteChain&& payload) { forward_payload_.join(std::move(payload)); }
  struct SplicePoints {
    SeqNum client_in, client_out, server_in, server_out;
  };
  /// Fills the splice's rules.
  void describe(nic::Splice& splice, const Connection& client, const Connection& server,
                const SplicePoints& points);

  // stack.cc
  const SocketOptions& intern(const SocketOptions& options);
  TimeWait& make_time_wait(const Connection& connection, Duration lasts);
  Connection* create(const FourTuple& tuple, const SocketOptions& options);
  void detach(Connection& connection);
  void wake_writers();
  void destroy(Connection& connection);
  SeqNum initial_sequence(const FourTuple& tuple, Time now) const;
  bool nic_gives_way(const FourTuple& tuple) {
    return splices_.give_way(tuple, now_) && teardown_.give_way(tuple, now_);
  }
  bool is_reusable(const TimeWait& entry, const Offer& offer) const;
  Result<uint16_t> choose_port(FourTuple tuple, const Offer& offer);

  void step_splicings();
  void finish(Splicing& splicing);
  void expire_splicings();
  static SpliceRefusal refusal(const Connection& client, const Connection& server);

  // stack_input.cc
  bool on_splice_packet(const port::RxPacket& packet);
  /// `connection`: that the segment's addresses belong to; nullptr: none.
  void on_segment(Connection* connection, Segment& segment, const port::RxPacket& packet, Time now);
  void on_icmp(ByteSpan message, const Segment& carrier, const port::RxPacket& packet, Time now);
  Listener* find_listener(const Endpoint& local) const;
  void note_borrowed(Connection& connection);
  void on_listener_segment(Listener& listener, const Segment& segment, Time now,
                           std::optional<SeqNum> isn_above);
  /// True when the segment was dealt with; false: go on as if there were no entry.
  bool on_time_wait_segment(TimeWait& entry, const Segment& segment, Time now);

  // stack_offload.cc
  fl_setup_listener setup_entry(const Listener& listener) const;
  /// Whether the listener's handshakes are its own now, and how they are done.
  void tell_setup_seat(const Listener& listener);
  void register_setup(const Listener& listener);
  void repeat_listens();
  void unregister_setup(const Listener& listener);
  void pause_setup(Listener& listener);
  void pause_setups();
  bool has_room(const Listener& listener) const;
  void resume_setups();
  /// after_another: TIME-WAIT has just given way to it.
  bool may_answer_by_cookie(const Listener& listener, const Segment& segment,
                            bool after_another) const;
  bool answer_by_cookie(const port::RxPacket& packet, Time now);
  /// True when the segment was dealt with.
  bool on_setup_answer(Connection* connection, Segment& segment, const port::RxPacket& packet,
                       Time now);
  void on_channel_message(const port::RxPacket& message, Time now);
  void on_new_connection(port::RxPacket packet, const port::RxPacket& message, Time now);
  /// `before`: what has its addresses, and gives way.
  bool open_confirmed(const nic::NewConnection& made, Listener& listener, Segment& segment,
                      Time now, Connection* before = nullptr);
  void supersede(Connection& connection);
  double nic_fill() const;
  bool allows_teardown();
  bool on_handed_over(const Segment& segment);
  bool may_hand_over(const Connection& connection) const;
  /// False: the host closes it.
  bool hand_over(Connection& connection);
  bool hand_over_queue(Connection& connection);
  bool hand_over(Connection& connection, std::span<const ByteSpan> data);
  nic::Teardown::Verdict on_teardown_segment(const Segment& segment, Time now);

  // stack_output.cc
  void push_reply(const port::TcpPacketSpec& spec);
  struct TimeWaitAck {
    uint16_t window;    // the header's field
    uint32_t ts_value;  // where timestamps are used
  };
  void reply_time_wait(const TimeWait& entry, const Segment& segment, const TimeWaitAck& ack);
  bool prepare_path(Connection& connection, Time now);

  StackConfig config_;
  std::vector<port::PortInfo> ports_;
  port::Router& router_;
  Secrets secrets_;
  Rng rng_;
  Time now_;
  Resources resources_;
  PathCache paths_;
  std::vector<std::unique_ptr<SocketOptions>> interned_options_;

  ObjectPool<Connection> connections_;
  ObjectPool<Tcb> tcbs_;
  FlowHasher flow_hasher_;  // of all that follows
  HashIndex<Connection, FourTuple, connection_key, FlowHasher> index_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  HashIndex<Listener, Endpoint, listener_key, LatestHasher<Endpoint>> listener_index_;
  TimeWaitTable time_wait_;
  TimerWheel timers_;

  IntrusiveList<Connection, OutputTag> output_;   // has, or may have, something to send
  IntrusiveList<Connection, OutputTag> no_path_;  // waits for its next hop's link address
  Time path_retry_at_ = Time::max();
  bool writers_wait_ = false;  // for buffers; looked after at most every kBufferRetry
  Time writers_wake_at_{};
  IntrusiveList<Connection, EventTag> events_;
  IntrusiveList<Listener, EventTag> listener_events_;
  // Hold payload in packets of this burst, or gone. settle() puts those that began in this burst
  // into output_.
  std::vector<Connection*> borrowers_;
  std::vector<port::TcpPacketSpec> replies_;    // to packets: at most kMaxReplies
  std::vector<port::TcpPacketSpec> farewells_;  // RSTs of ours, two for a connection or splice

  nic::NicLink* nic_ = nullptr;
  nic::LoadMessage nic_load_;  // of a NIC stack elsewhere
  Time nic_load_at_{};
  std::optional<RecentHandovers> handed_over_;  // with nic_
  nic::SetupSeat* setup_seat_ = nullptr;
  Time repeat_listens_at_ = Time::max();  // with nic_
  Time look_for_room_at_ = Time::max();   // some listener's SYNs are not left to it meanwhile
  nic::SetupOffload setup_;
  nic::Teardown teardown_;
  nic::SpliceTable splices_;
  ObjectPool<Splicing> splicing_pool_;
  IntrusiveList<Splicing, SplicingTag> splicings_due_;
  TimerWheel splicing_timers_;
  std::array<uint64_t, kSpliceRefusals> splice_refusals_{};
  std::vector<port::TxPacket> forwards_;  // of splices; refer to this burst's packets
  size_t forwards_sent_ = 0;
  ByteChain forward_payload_;

  RateLimit challenge_acks_;
  RateLimit resets_;
};

}  // namespace fairlead::host
