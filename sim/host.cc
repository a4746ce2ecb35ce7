#include "sim/host.h"

#include <utility>

#include "sim/frame_cutter.h"

namespace fairlead::sim {
namespace {

/// From a frame in the packet socket to the process at work.
constexpr Duration kWakeTime = microseconds(50);

MacAddress mac_of(uint8_t id) { return MacAddress{{2, 0, 0, 0, 0, id}}; }

port::PortInfo info_of(const SimHostOptions& options) {
  port::PortInfo info;
  info.name = "sim";
  info.mac = mac_of(options.id);
  info.mtu = options.mtu;
  info.interface_index = 1;
  info.max_gso_bytes = options.segmentation_offload ? 65535 + 14 : 0;
  return info;
}

host::Secrets secrets_of(Rng rng) {
  return {.hash = {rng.next(), rng.next()},
          .isn = {rng.next(), rng.next()},
          .setup = {.cookie = {{rng.next(), rng.next()}, {rng.next(), rng.next()}},
                    .timestamps = {rng.next(), rng.next()}},
          .seed = rng.next()};
}

}  // namespace

Result<port::Path> StaticRouter::resolve(const IpAddress& remote) {
  std::optional<IpAddress> source = source_for(remote);
  if (!source) return fail(Errc::kNetworkUnreachable);
  port::Path path;
  path.source = *source;
  path.local_mac = mac_of(id_);
  path.next_hop = mac_of(0xff);
  path.gateway = remote;
  path.mtu = mtu_;
  return path;
}

std::optional<IpAddress> StaticRouter::source_for(const IpAddress& remote) {
  for (const IpAddress& address : own_) {
    if (address.is_v4() == remote.is_v4()) return address;
  }
  return std::nullopt;
}

bool StaticRouter::is_local(const IpAddress& address) const {
  return std::find(own_.begin(), own_.end(), address) != own_.end();
}

SimHost::SimHost(Simulator& simulator, const SimHostOptions& options)
    : simulator_(simulator),
      router_(options.addresses, options.id, options.mtu),
      rx_pool_(options.rx_buffers, 1),
      rx_buffer_(rx_pool_.create()),
      stack_(options.stack, router_, std::array{info_of(options)}, secrets_of(simulator.fork_rng()),
             simulator.now()) {
  if (!options.kernel_seat) return;
  seat_.emplace(
      simulator_, [this](Link::Frame frame) { wake_for(std::move(frame)); },
      [this](Link::Frame frame) { out_(std::move(frame)); });
  stack_.use_kernel_seat(&*seat_);
}

SimHost::~SimHost() {
  stack_.use_kernel_seat(nullptr);
  if (rx_buffer_ != nullptr) rx_pool_.give_back(*rx_buffer_);
}

void SimHost::deliver(const Link::Frame& frame) {
  port::RxPacket packet;
  packet.frame = frame;
  if (rx_buffer_ != nullptr) {
    std::copy(frame.begin(), frame.end(), rx_buffer_->data);
    packet.frame = ByteSpan(rx_buffer_->data, frame.size());
    packet.buffer = &rx_buffer_;
  }
  stack_.expect({&packet, 1});
  stack_.on_packet(packet, simulator_.now());
}

void SimHost::receive(Link::Frame frame) {
  if (seat_) return seat_->receive(std::move(frame));
  deliver(frame);
  turn();
}

void SimHost::wake_for(Link::Frame frame) {
  socket_.push_back(std::move(frame));
  if (socket_.size() > 1) return;
  simulator_.at(simulator_.now() + kWakeTime, [this] {
    for (const Link::Frame& waiting : std::exchange(socket_, {})) {
      deliver(waiting);
      turn();
    }
  });
}

void SimHost::receive_burst(std::vector<Link::Frame>& frames) {
  for (const Link::Frame& frame : frames) {
    port::RxPacket packet;
    packet.frame = frame;
    stack_.on_packet(packet, simulator_.now());
  }
  turn();
}

void SimHost::turn() {
  Time now = simulator_.now();
  if (seat_) {
    seat_->poll_events(
        0, [&](const fl_splice_event& event) { stack_.splices().on_event(event, now); });
  }
  stack_.on_timer(now);
  stack_.dispatch_events();
  if (application_) application_();
  stack_.settle();
  bool more = true;
  while (more) {
    more = stack_.transmit(burst_, now);
    for (const port::TxPacket& packet : burst_.packets()) {
      for (Link::Frame& frame : cut_frames(packet)) out_(std::move(frame));
    }
    burst_.clear();
  }
  stack_.end_burst();
  schedule();
}

void SimHost::schedule() {
  std::optional<Time> next = stack_.next_deadline();
  if (!next || (wake_at_ && *wake_at_ <= *next)) return;
  Time when = std::max(*next, simulator_.now() + Duration(1));
  wake_at_ = when;
  simulator_.at(when, [this, when] {
    if (wake_at_ != when) return;  // an earlier one took its place
    wake_at_.reset();
    turn();
  });
}

}  // namespace fairlead::sim
