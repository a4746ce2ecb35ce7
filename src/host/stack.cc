#include "host/stack.h"

#include <algorithm>

#include "base/check.h"

namespace fairlead::host {
namespace {

/// Runs beside the one each connection has in reserve: enough for a few thousand connections in
/// recovery at once.
constexpr size_t kSpareRuns = 1 << 18;
/// Out-of-order ranges, all connections together.
constexpr size_t kMaxRanges = 1 << 16;
/// How often to tell all connections that there are buffers again, when somebody waits for some. A
/// list of who waits would cost every connection two pointers for what happens when memory has run
/// out.
constexpr Duration kBufferRetry = milliseconds(10);

}  // namespace

Stack::Stack(const StackConfig& config, port::Router& router, std::span<const port::PortInfo> ports,
             const Secrets& secrets, Time now)
    : config_(config),
      ports_(ports.begin(), ports.end()),
      router_(router),
      secrets_(secrets),
      rng_(secrets.seed),
      now_(now),
      resources_{.config = config_,
                 .chunks = ChunkPool(config.max_buffer_bytes / sizeof(Chunk)),
                 .flights = FlightPool(config.max_connections),
                 .runs = SentRunPool(config.max_connections, kSpareRuns),
                 .ranges = RangePool(kMaxRanges),
                 .borrowed = {},
                 .counters = {}},
      paths_(router, config.max_paths, secrets.hash, resources_.counters),
      connections_(config.max_connections),
      tcbs_(config.max_connections),
      flow_hasher_(secrets.hash),
      index_(flow_hasher_),
      listener_index_(secrets.hash),
      time_wait_(config.max_time_wait, flow_hasher_, now),
      timers_(now),
      setup_(router, secrets.setup,
             {.max_listeners = config.max_listeners,
              .max_replays = config.max_setup_replays,
              .secrets_since = secrets.setup_since}),
      teardown_({.max_flows = config.max_teardowns,
                 .max_held_bytes = config.max_teardown_bytes,
                 .time_wait = config.teardown_time_wait},
                flow_hasher_, nullptr, now),
      splices_({.max_splices = config.max_splices, .max_over = config.max_splices_over}, router,
               flow_hasher_, now),
      splicing_pool_(config.max_connections),
      splicing_timers_(now) {
  replies_.reserve(kMaxReplies);
  splices_.use_proofs([this](const port::RxPacket& packet) { return setup_.proves(packet, now_); });
}

Stack::~Stack() {
  std::vector<Connection*> all;
  index_.for_each([&](Connection& c) { all.push_back(&c); });
  for (auto& listener : listeners_) {
    while (listener->accept() != nullptr) {
    }
    if (IntrusiveList<Listener, EventTag>::is_linked(*listener)) listener_events_.erase(*listener);
  }
  for (Connection* c : all) {
    if (c->splicing_) {
      Splicing& splicing = *c->splicing();
      splicing.abandon();
      finish(splicing);
    }
    c->listener_ = nullptr;
    destroy(*c);
  }
  CHECK(connections_.live() == 0);  // the application has released what it owned
}

// ---- the application ----

const SocketOptions& Stack::intern(const SocketOptions& options) {
  for (const auto& known : interned_options_) {
    if (*known == options) return *known;
  }
  interned_options_.push_back(std::make_unique<SocketOptions>(options));
  return *interned_options_.back();
}

Result<Listener*> Stack::listen(const Endpoint& endpoint, const ListenOptions& options) {
  if (endpoint.port == 0) return fail(Errc::kInvalidArgument, "a listener needs a port");
  if (listeners_.size() >= config_.max_listeners) return fail(Errc::kNoBufferSpace);
  if (listener_index_.find(endpoint) != nullptr) {
    return fail(Errc::kAddressInUse, endpoint.to_string() + " has a listener already");
  }
  if (!endpoint.address.is_unspecified() && !router_.is_local(endpoint.address)) {
    return fail(Errc::kAddressNotAvailable,
                endpoint.address.to_string() + " is not an address of an interface in use");
  }
  listeners_.push_back(std::make_unique<Listener>(endpoint, options, intern(options.socket)));
  listener_index_.insert(*listeners_.back());
  register_setup(*listeners_.back());
  return listeners_.back().get();
}

void Stack::set_options(Listener& listener, const ListenOptions& options) {
  listener.options_ = options;
  listener.socket_ = &intern(options.socket);
  register_setup(listener);
}

void Stack::set_mss_max(Listener& listener, uint16_t mss) {
  listener.mss_max_ = mss;
  register_setup(listener);
}

void Stack::close(Listener* listener) {
  std::vector<Connection*> theirs;
  index_.for_each([&](Connection& c) {
    if (c.listener_ == listener) theirs.push_back(&c);
  });
  for (Connection* c : theirs) {
    c->abort();  // its end takes it off the listener, and nobody owns it
  }
  listener_index_.erase(*listener);
  unregister_setup(*listener);
  if (IntrusiveList<Listener, EventTag>::is_linked(*listener)) listener_events_.erase(*listener);
  std::erase_if(listeners_, [&](const auto& l) { return l.get() == listener; });
}

// RFC 6191 §2 from the other side, as tcp_tw_reuse of Linux: with timestamps, a second later than
// the last segment, nothing of the old connection can be taken for one of the new.
bool Stack::is_reusable(const TimeWait& entry, const Offer& offer) const {
  if (offer.isn && !offer.isn->after(entry.snd_nxt + kReuseAbove)) return false;
  return entry.timestamps && offer.timestamps && now_ - entry.since() >= kReuseAfter;
}

Result<uint16_t> Stack::choose_port(FourTuple tuple, const Offer& offer) {
  // RFC 6056 §3.3.3: a start that only the holder of the key can know, then the next free one.
  tuple.local.port = 0;
  uint32_t range = uint32_t{config_.local_port_last} - config_.local_port_first + 1;
  uint64_t start = siphash24(secrets_.isn, tuple) + rng_.below(range);
  std::optional<uint16_t> reusable;
  for (uint32_t i = 0; i < range && !(reusable && i >= kPortTries); ++i) {
    tuple.local.port = static_cast<uint16_t>(config_.local_port_first + (start + i) % range);
    if (config_.comes_here && !config_.comes_here(tuple)) continue;
    if (index_.find(tuple) != nullptr || !nic_gives_way(tuple)) continue;
    const TimeWait* waiting = time_wait_.find(tuple);
    if (waiting == nullptr) return tuple.local.port;
    if (!reusable && is_reusable(*waiting, offer)) reusable = tuple.local.port;
  }
  if (reusable) return *reusable;
  return fail(Errc::kAddressNotAvailable,
              "every local port for " + tuple.remote.to_string() + " is in use");
}

Result<Connection*> Stack::connect(const ConnectOptions& options, Time now) {
  now_ = std::max(now_, now);
  if (options.remote.port == 0 || options.remote.address.is_unspecified() ||
      options.remote.address.is_multicast_or_broadcast()) {
    return fail(Errc::kInvalidArgument, "cannot connect to " + options.remote.to_string());
  }
  const Offer offer = options.offer.value_or(full_offer(options.socket));
  if (offer.window_shift > wire::TcpOptions::kMaxWindowScale) {
    return fail(Errc::kInvalidArgument, "a window is shifted by 14 bits at most");
  }
  FourTuple tuple{{}, options.remote};
  if (options.source) {
    if (!router_.is_local(*options.source)) return fail(Errc::kAddressNotAvailable);
    tuple.local.address = *options.source;
  } else {
    Result<port::Path> path = router_.resolve(options.remote.address);
    if (!path && path.error().code != Errc::kWouldBlock) return std::unexpected(path.error());
    std::optional<IpAddress> source =
        path ? path->source : router_.source_for(options.remote.address);
    if (!source) return fail(Errc::kWouldBlock);
    tuple.local.address = *source;
  }
  if (options.local_port) {
    tuple.local.port = *options.local_port;
    if (config_.comes_here && !config_.comes_here(tuple)) return fail(Errc::kAddressNotAvailable);
    if (index_.find(tuple) != nullptr || time_wait_.find(tuple) != nullptr ||
        !nic_gives_way(tuple)) {
      return fail(Errc::kAddressInUse);
    }
  } else {
    Result<uint16_t> chosen = choose_port(tuple, offer);
    if (!chosen) return std::unexpected(chosen.error());
    tuple.local.port = *chosen;
  }
  Connection* connection = create(tuple, intern(options.socket));
  if (connection == nullptr) return fail(Errc::kNoBufferSpace);
  ++resources_.counters.connections_opened;
  SeqNum iss = offer.isn.value_or(initial_sequence(tuple, now));
  if (TimeWait* before = time_wait_.find(tuple)) {
    if (!iss.after(before->snd_nxt + kReuseAbove)) iss = before->snd_nxt + kReuseAbove + 1;
    time_wait_.erase(*before);
    ++resources_.counters.time_wait_reused;
  }
  connection->open_active(offer, iss, now);
  update(*connection);
  return connection;
}

void Stack::release(Connection* connection) {
  if (hand_over(*connection)) return;
  connection->released();
  update(*connection);
}

void Stack::reset_all(nic::SunkSplices sunk) {
  std::vector<Connection*> all;
  index_.for_each([&](Connection& c) { all.push_back(&c); });
  for (Connection* c : all) c->abort();
  say_farewell(splices_.reset_all(sunk));
}

std::optional<uint16_t> Stack::path_mss(const IpAddress& remote) const {
  const std::optional<uint16_t> mtu = paths_.mtu(remote, now_);
  return mtu ? std::optional(port::mss_for(*mtu, remote)) : std::nullopt;
}

void Stack::for_each_connection(const std::function<void(const Connection&)>& visit) const {
  index_.for_each(visit);
}

void Stack::for_each_listener(const std::function<void(const Listener&)>& visit) const {
  for (const auto& listener : listeners_) visit(*listener);
}

void Stack::dispatch_events() {
  while (Connection* c = events_.pop_front()) {
    uint8_t events = std::exchange(c->events_, uint8_t{0});
    if (c->observer_ != nullptr && events != 0) c->observer_->on_events(events);
  }
  while (Listener* listener = listener_events_.pop_front()) {
    if (listener->observer_ != nullptr) listener->observer_->on_events(event::kAcceptable);
  }
}

void Stack::settle() {
  for (Connection* c : borrowers_) {
    if (c == nullptr) continue;
    c->borrower_ = Connection::kNotBorrowing;
    c->tcb().receiver.settle(resources_);
    if (!IntrusiveList<Connection, OutputTag>::is_linked(*c)) update(*c);
  }
  borrowers_.clear();
  resources_.borrowed.reset();
}

void Stack::end_burst() {
  resources_.counters.drop_forward_unsent += forwards_.size() - forwards_sent_;
  forwards_.clear();
  forwards_sent_ = 0;
  forward_payload_.clear(resources_.chunks);
}

// ---- life cycle ----

Connection* Stack::create(const FourTuple& tuple, const SocketOptions& options) {
  PathEntry* path = paths_.acquire(tuple.remote.address);
  if (path == nullptr) return nullptr;
  Connection* connection = connections_.create(*this, tuple, options, *path);
  if (connection == nullptr) {
    paths_.release(path);
    ++resources_.counters.drop_no_connection_slot;
    return nullptr;
  }
  index_.insert(*connection);
  if (connections_.live() == connections_.capacity()) pause_setups();
  return connection;
}

void Stack::detach(Connection& c) {
  if (c.detached_) return;
  c.detached_ = true;
  index_.erase(c);
  timers_.disarm(c);
  if (IntrusiveList<Connection, OutputTag>::is_linked(c)) output_.erase(c);
}

void Stack::destroy(Connection& c) {
  detach(c);
  if (IntrusiveList<Connection, EventTag>::is_linked(c)) events_.erase(c);
  if (c.borrower_ != Connection::kNotBorrowing) borrowers_[c.borrower_] = nullptr;
  if (c.is_quasi()) {
    c.clear_quasi();
  } else {
    c.tcb_->sender.clear(resources_);
    c.tcb_->receiver.clear(resources_);
    tcbs_.destroy(c.tcb_);
  }
  paths_.release(c.path_);
  connections_.destroy(&c);
}

void Stack::update(Connection& c) {
  if (c.done()) {
    if (!c.owned_) return destroy(c);
    detach(c);
  } else {
    if (c.has_output() && !IntrusiveList<Connection, OutputTag>::is_linked(c)) output_.push_back(c);
  }
  note_changes(c);
}

void Stack::note_changes(Connection& c) {
  const Time deadline = c.done() ? Time::max() : c.deadline();
  if (deadline != Time::max() && (!c.is_armed() || deadline < c.armed_for())) {
    timers_.arm(c, deadline);
  }
  if (c.splicing_ && !IntrusiveList<Splicing, SplicingTag>::is_linked(*c.splicing())) {
    splicings_due_.push_back(*c.splicing());
  }
  if (c.events_ != 0 && c.owned_ && !IntrusiveList<Connection, EventTag>::is_linked(c)) {
    events_.push_back(c);
  }
}

void Stack::wake_writers() {
  writers_wait_ = false;
  writers_wake_at_ = now_ + kBufferRetry;
  index_.for_each([this](Connection& c) {
    if (c.writable() == 0) return;
    c.events_ |= event::kWritable;
    if (!IntrusiveList<Connection, EventTag>::is_linked(c)) events_.push_back(c);
  });
}

void Stack::on_state_change(Connection& c, State from, State to) {
  Listener* listener = c.listener_;
  if (listener == nullptr) return;
  if (to == State::kSynReceived) ++listener->handshakes_;
  if (from == State::kSynReceived) --listener->handshakes_;
  if (to == State::kClosed) {
    if (IntrusiveList<Connection, EventTag>::is_linked(c)) {
      listener->queue_.erase(c);
      --listener->pending_;
    }
    c.listener_ = nullptr;
  }
}

void Stack::on_accepted(Connection& c) {
  Listener& listener = *c.listener_;
  ++resources_.counters.connections_accepted;
  ++listener.pending_;
  if (listener.full()) pause_setup(listener);
  listener.queue_.push_back(c);
  if (!IntrusiveList<Listener, EventTag>::is_linked(listener)) listener_events_.push_back(listener);
}

TimeWait& Stack::make_time_wait(const Connection& c, Duration lasts) {
  bool recycled = false;
  TimeWait& entry = time_wait_.insert(c.tuple_, {.from = now_, .lasts = lasts}, recycled);
  ++resources_.counters.time_wait_entered;
  if (recycled) ++resources_.counters.time_wait_recycled;
  entry.snd_nxt = c.tcb().sender.vars().nxt;
  entry.rcv_nxt = c.tcb().receiver.nxt();
  entry.timestamps = c.quasi_.timestamps;
  entry.ts_recent = c.quasi_.ts_recent;
  return entry;
}

void Stack::rest_after_reset(const Connection& c) {
  const Duration lasts = c.options_->reset_rest;
  if (lasts > Duration::zero()) make_time_wait(c, lasts).after_reset = true;
}

void Stack::enter_time_wait(Connection& c, const Segment& segment) {
  TimeWait& entry = make_time_wait(c, c.options_->time_wait);
  if (c.tcb_->receiver.ack_due()) {
    reply_time_wait(
        entry, segment,
        {.window = c.tcb_->receiver.advertise(c.mss_, false), .ts_value = c.timestamp(now_)});
  }
  c.tcb_->sender.clear(resources_);
  c.set_state(State::kTimeWait);
  c.events_ |= event::kClosed | event::kReadable;
}

// ---- numbers nobody should guess ----

SeqNum Stack::initial_sequence(const FourTuple& tuple, Time now) const {
  // RFC 6528 §3: a 4 µs clock plus a keyed hash of the connection's identity.
  auto clock = static_cast<uint32_t>(now.time_since_epoch().count() / 4000);
  return SeqNum(clock + static_cast<uint32_t>(siphash24(secrets_.isn, tuple)));
}

// RFC 7323 §5.4; always even, which tells it from a SYN cookie's (nic/setup/setup_cookie.h).
uint32_t Stack::timestamp(Time now, uint32_t offset) const {
  return fl_timestamp_sent(static_cast<uint32_t>(now.time_since_epoch() / milliseconds(1)), offset);
}

bool Stack::allow_challenge_ack() {
  bool allowed = challenge_acks_.allow(now_, config_.challenge_acks_per_second);
  if (!allowed) ++resources_.counters.challenge_acks_limited;
  return allowed;
}

}  // namespace fairlead::host
