#include "bench/short_connections/client_generator.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "base/random.h"
#include "port/packet_builder.h"
#include "wire/ethernet.h"
#include "wire/ipv4.h"
#include "wire/tcp.h"
#include "wire/tcp_options.h"

namespace fairlead::bench {

using namespace wire::tcp_flag;

namespace {

constexpr size_t kIpAt = wire::kEthernetSize;
constexpr size_t kTcpAt = kIpAt + sizeof(wire::Ipv4Header);
constexpr size_t kOptionsAt = kTcpAt + sizeof(wire::TcpHeader);
// As TcpOptions::emit() lays them out.
constexpr size_t kSynTimestampsAt = kOptionsAt + 8;
constexpr size_t kTimestampsAt = kOptionsAt + 4;
constexpr uint16_t kWindow = 65535;
constexpr uint8_t kWindowShift = 7;

std::vector<uint8_t> prebuild(const ClientOptions& options, bool syn, uint16_t mss) {
  port::TcpPacketSpec spec;
  spec.tuple = {{IpAddress::v4(ClientGenerator::kFirstAddress), 1}, options.server};
  spec.local_mac = options.mac;
  spec.next_hop = options.server_mac;
  spec.window = kWindow;
  spec.options.timestamps = wire::Timestamps{};
  if (syn) {
    spec.options.mss = mss;
    spec.options.sack_permitted = true;
    spec.options.window_scale = kWindowShift;
  }
  port::TxPacket packet;
  packet.clear();
  port::build_tcp_packet(packet, spec);
  const ByteSpan header = packet.header_bytes();
  return {header.begin(), header.end()};
}

uint32_t milliseconds_of(Time now) {
  return static_cast<uint32_t>(now.time_since_epoch() / milliseconds(1));
}

template <typename T>
T& at(MutableByteSpan bytes, size_t offset) {
  return *reinterpret_cast<T*>(bytes.data() + offset);
}

}  // namespace

ClientGenerator::ClientGenerator(const ClientOptions& options, Time now)
    : options_(options),
      clients_(options.clients),
      queue_(options.clients),
      now_ms_(milliseconds_of(now)),
      initial_(now_ms_),
      pattern_(kPattern + options.message),
      syn_(prebuild(options, true, kMss + 12)),
      plain_(prebuild(options, false, 0)) {
  CHECK(std::has_single_bit(options.clients) && options.clients <= kMaxClients);
  CHECK(options.message > 0 && options.message <= kMaxMessage);
  CHECK(options.per_connection > 0 || !options.client_closes);
  CHECK(options.server.address.is_v4());
  Rng rng(1);
  for (uint8_t& byte : pattern_) byte = static_cast<uint8_t>(rng.next());
  for (uint32_t i = 0; i < options.clients; ++i) start(clients_[i], i);
}

// ---- clients ----

void ClientGenerator::start(Client& client, uint32_t number) {
  const bool queued = client.queued;
  client = {.number = number, .heard_ms = now_ms_, .queued = queued};
  client.snd_nxt = SeqNum(initial_ += 64'000);
  enqueue(client);
}

const uint8_t* ClientGenerator::content(const Client& client, uint32_t at) const {
  return &pattern_[(client.number * 61 + client.done * 7) % kPattern + at];
}

void ClientGenerator::enqueue(Client& client) {
  if (client.queued) return;
  client.queued = true;
  const auto index = static_cast<uint32_t>(&client - clients_.data());
  queue_[(queue_head_ + queue_size_++) & (options_.clients - 1)] = index;
}

void ClientGenerator::requeue_first(Client& client) {
  client.queued = true;
  queue_head_ = (queue_head_ - 1) & (options_.clients - 1);
  queue_[queue_head_] = static_cast<uint32_t>(&client - clients_.data());
  ++queue_size_;
}

ClientGenerator::Client* ClientGenerator::dequeue() {
  if (queue_size_ == 0) return nullptr;
  Client& client = clients_[queue_[queue_head_]];
  queue_head_ = (queue_head_ + 1) & (options_.clients - 1);
  --queue_size_;
  client.queued = false;
  return &client;
}

void ClientGenerator::on_timer(Time now) {
  now_ms_ = milliseconds_of(now);
  const auto patience = static_cast<uint32_t>(options_.patience / milliseconds(1));
  for (uint32_t i = 0; i < std::min(kLookedAfter, options_.clients); ++i) {
    Client& client = clients_[looked_after_++ & (options_.clients - 1)];
    if (client.queued || now_ms_ - client.heard_ms < patience) continue;
    if (client.tries++ == kTries) {
      ++counters_.unanswered;
      renew(client);
    } else {
      ++counters_.retries;
      repeat(client);
    }
  }
}

void ClientGenerator::repeat(Client& client) {
  switch (client.state) {
    case State::kConnecting:
    case State::kClosing:
    case State::kLastAck:
      break;
    case State::kRequesting:
    case State::kWaiting:
      if (client.received == 0) {
        client.snd_nxt = client.snd_nxt - client.sent;
        client.sent = 0;
        client.state = State::kRequesting;
      } else {
        client.ack_due = true;
      }
      break;
    case State::kClosed:
      client.snd_nxt = client.snd_nxt - 1;
      client.state = State::kClosing;
      break;
  }
  enqueue(client);
}

// ---- from the server ----

std::optional<ClientGenerator::Received> ClientGenerator::read(ByteSpan frame) const {
  const auto ethernet = wire::EthernetView::checked(frame);
  if (!ethernet || ethernet->type() != wire::ether_type::kIpv4) return std::nullopt;
  const auto ip = wire::Ipv4View::checked(ethernet->payload());
  if (!ip || ip->header().protocol != wire::ip_protocol::kTcp) return std::nullopt;
  const auto tcp = wire::TcpView::checked(ip->payload());
  if (!tcp) return std::nullopt;
  const uint32_t address = ip->header().destination.value() - kFirstAddress;
  const uint32_t port = uint32_t{tcp->header().destination_port.value()} - kFirstPort;
  if (address >= kTuples / kPortsPerAddress || port >= kPortsPerAddress) return std::nullopt;
  if (ip->header().source.value() != options_.server.address.v4_value() ||
      tcp->header().source_port.value() != options_.server.port) {
    return std::nullopt;
  }
  const wire::TcpOptions o = wire::TcpOptions::parse(tcp->options());
  return Received{.number = address * kPortsPerAddress + port,
                  .seq = tcp->seq(),
                  .ack = tcp->ack(),
                  .flags = tcp->header().flags,
                  .ts_value = o.timestamps ? o.timestamps->value : 0,
                  .payload = tcp->payload(),
                  .all_options = o.timestamps && o.sack_permitted && o.window_scale};
}

void ClientGenerator::on_frame(ByteSpan frame) {
  const std::optional<Received> segment = read(frame);
  Client* client = segment ? &clients_[segment->number & (options_.clients - 1)] : nullptr;
  if (client == nullptr || client->number != segment->number) {
    ++counters_.malformed;
    return;
  }
  on_segment(*client, *segment);
}

void ClientGenerator::on_segment(Client& client, const Received& segment) {
  if ((segment.flags & kRst) != 0) {
    ++counters_.resets;
    return renew(client);
  }
  const bool connecting = client.state == State::kConnecting;
  if ((segment.flags & kAck) == 0 || segment.ack.after(client.snd_nxt + (connecting ? 1 : 0))) {
    ++counters_.malformed;
    return;
  }
  client.heard_ms = now_ms_;
  if (connecting) return on_syn_ack(client, segment);
  if (segment.seq != client.rcv_nxt || (segment.flags & kSyn) != 0) {
    ++(segment.seq.after(client.rcv_nxt) ? counters_.gaps : counters_.repeated);
    client.ack_due = true;
    return enqueue(client);
  }
  client.tries = 0;
  client.ts_recent = segment.ts_value;
  if (!segment.payload.empty()) on_payload(client, segment.payload);
  if ((segment.flags & kFin) != 0) return on_fin(client);
  if (client.state == State::kClosed && client.fin_received && segment.ack == client.snd_nxt) {
    ++counters_.connections;
    renew(client);
  }
}

void ClientGenerator::on_syn_ack(Client& client, const Received& segment) {
  if ((segment.flags & kSyn) == 0 || segment.ack != client.snd_nxt + 1) {
    ++counters_.malformed;
    return;
  }
  if (!segment.all_options) ++counters_.refused_options;
  client.tries = 0;
  client.snd_nxt += 1;
  client.rcv_nxt = segment.seq + 1;
  client.ts_recent = segment.ts_value;
  client.ack_due = options_.separate_acks;
  client.state = State::kRequesting;
  enqueue(client);
}

void ClientGenerator::on_payload(Client& client, ByteSpan payload) {
  client.rcv_nxt += static_cast<uint32_t>(payload.size());
  client.ack_due = true;
  enqueue(client);
  if (payload.size() > client.sent - client.received ||
      std::memcmp(payload.data(), content(client, client.received), payload.size()) != 0) {
    ++counters_.wrong_bytes;
    return;  // it will be given up
  }
  client.received += static_cast<uint32_t>(payload.size());
  if (answered(client)) on_response(client);
}

void ClientGenerator::on_response(Client& client) {
  ++counters_.transactions;
  if (++client.done != options_.per_connection) {
    client.sent = client.received = 0;
    client.state = State::kRequesting;
  } else if (options_.client_closes) {
    client.state = State::kClosing;
  }
}

void ClientGenerator::on_fin(Client& client) {
  client.rcv_nxt += 1;
  client.fin_received = true;
  if (client.state == State::kWaiting && answered(client)) {
    client.state = State::kClosing;
    client.ack_due = true;
  } else if (client.state == State::kClosed) {
    client.state = State::kLastAck;
  } else {
    ++counters_.malformed;
  }
  enqueue(client);
}

// ---- to the server ----

size_t ClientGenerator::next_frame(MutableByteSpan into) {
  while (Client* client = dequeue()) {
    bool more = false;
    const size_t size = write_next(*client, into, more);
    if (more) requeue_first(*client);
    if (size > 0) return size;
  }
  return 0;
}

size_t ClientGenerator::write_next(Client& client, MutableByteSpan into, bool& more) {
  client.heard_ms = now_ms_;
  const Header ack{.flags = kAck, .seq = client.snd_nxt};
  const bool waits = client.state == State::kWaiting || client.state == State::kClosed;
  if (client.ack_due && (options_.separate_acks || waits)) {
    client.ack_due = false;
    more = !waits;
    return write(client, ack, into);
  }
  client.ack_due = false;
  switch (client.state) {
    case State::kConnecting:
      return write(client, {.flags = kSyn, .seq = client.snd_nxt}, into);
    case State::kRequesting: {
      const size_t size = write_request(client, into);
      more = client.state == State::kRequesting;
      return size;
    }
    case State::kClosing: {
      client.state = State::kClosed;
      client.snd_nxt += 1;
      return write(client, {.flags = kFin | kAck, .seq = ack.seq}, into);
    }
    case State::kLastAck: {
      const size_t size = write(client, ack, into);
      ++counters_.connections;
      renew(client);
      return size;
    }
    case State::kWaiting:
    case State::kClosed:
      break;
  }
  return 0;
}

size_t ClientGenerator::write_request(Client& client, MutableByteSpan into) {
  const uint32_t size = std::min<uint32_t>(options_.message - client.sent, kMss);
  const bool last = client.sent + size == options_.message;
  const auto flags = static_cast<uint8_t>(last ? kAck | kPsh : kAck);
  const size_t header =
      write(client, {.flags = flags, .seq = client.snd_nxt, .payload = size}, into);
  std::memcpy(into.data() + header, content(client, client.sent), size);
  client.sent += size;
  client.snd_nxt += size;
  if (last) client.state = State::kWaiting;
  return header + size;
}

size_t ClientGenerator::write(const Client& client, const Header& header,
                              MutableByteSpan into) const {
  const bool syn = (header.flags & kSyn) != 0;
  const std::vector<uint8_t>& prebuilt = syn ? syn_ : plain_;
  CHECK(into.size() >= prebuilt.size() + header.payload);
  std::memcpy(into.data(), prebuilt.data(), prebuilt.size());
  auto& ip = at<wire::Ipv4Header>(into, kIpAt);
  ip.total_length = static_cast<uint16_t>(prebuilt.size() - kIpAt + header.payload);
  ip.source = kFirstAddress + client.number / kPortsPerAddress;
  auto& tcp = at<wire::TcpHeader>(into, kTcpAt);
  tcp.source_port = static_cast<uint16_t>(kFirstPort + client.number % kPortsPerAddress);
  tcp.seq = header.seq.value();
  tcp.ack = syn ? 0 : client.rcv_nxt.value();
  tcp.flags = header.flags;
  const size_t timestamps = syn ? kSynTimestampsAt : kTimestampsAt;
  at<Be32>(into, timestamps) = now_ms_;
  at<Be32>(into, timestamps + 4) = syn ? 0 : client.ts_recent;
  return prebuilt.size();
}

}  // namespace fairlead::bench
