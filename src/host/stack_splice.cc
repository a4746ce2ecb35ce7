// Two connections become one: what is asked of a stack, and the splicings under way.
#include "base/check.h"
#include "host/stack.h"

namespace fairlead::host {

SpliceRefusal Stack::refusal(const Connection& client, const Connection& server) {
  const std::array<const Connection*, 2> both{&client, &server};
  for (const Connection* c : both) {
    if (!c->is_established() || c->done()) return SpliceRefusal::kNotEstablished;
  }
  if (client.tuple_.remote.address.is_v4() != server.tuple_.remote.address.is_v4()) {
    return SpliceRefusal::kFamily;
  }
  if (client.quasi_.timestamps != server.quasi_.timestamps) return SpliceRefusal::kTimestamps;
  if (client.quasi_.sack != server.quasi_.sack) return SpliceRefusal::kSack;
  if (client.quasi_.ecn != server.quasi_.ecn) return SpliceRefusal::kEcn;
  if (client.offered_mss() > server.quasi_.peer_mss ||
      server.offered_mss() > client.quasi_.peer_mss) {
    return SpliceRefusal::kSegmentSize;
  }
  for (const Connection* c : both) {
    const Connection& other = c == &client ? server : client;
    if (c->tcb_->sender.fin_queued() && !other.fin_received()) return SpliceRefusal::kHalfClosed;
  }
  return SpliceRefusal::kNone;
}

std::expected<nic::Splice*, SpliceRefusal> Stack::splice(Connection* client, Connection* server,
                                                         const nic::SpliceOptions& options) {
  for (Connection* c : {client, server}) {
    if (c->is_quasi() && !c->done()) c->promote();
  }
  SpliceRefusal why = refusal(*client, *server);
  nic::Splice* splice = why == SpliceRefusal::kNone ? splices_.create() : nullptr;
  if (why == SpliceRefusal::kNone && splice == nullptr) why = SpliceRefusal::kTableFull;
  if (why != SpliceRefusal::kNone) {
    ++splice_refusals_[static_cast<size_t>(why)];
    return std::unexpected(why);
  }
  splice->options = options;
  splice->asked_at = now_;
  Splicing* splicing =
      splicing_pool_.create(*this, std::array<Connection*, 2>{client, server}, *splice);
  CHECK(splicing != nullptr);
  splicings_due_.push_back(*splicing);
  splicing_timers_.arm(*splicing, now_ + splicing->timeout());
  return splice;
}

void Stack::end_splice(nic::Splice& splice) {
  if (splice.open) {
    say_farewell(splices_.resets(splice));
    return splices_.remove(splice, nic::SpliceEnd::kRemoved);
  }
  Splicing* ending = nullptr;
  index_.for_each([&](Connection& c) {
    if (c.splicing_ && &c.splicing()->splice() == &splice) ending = c.splicing();
  });
  if (ending == nullptr) return;  // it is ending already
  ending->stop(nic::SpliceEnd::kRemoved);
  finish(*ending);
}

void Stack::describe(nic::Splice& splice, const Connection& client, const Connection& server,
                     const SplicePoints& points) {
  const auto offset = [](SeqNum to, SeqNum from) { return static_cast<uint32_t>(to - from); };
  const auto way = [this](const Connection& c) {
    const port::Path& path = c.path_->path;
    return nic::SpliceWay{
        .interface = static_cast<uint32_t>(ports_[path.port_index].interface_index),
        .next_hop = path.gateway,
        .mtu = paths_.mtu(*c.path_, now_)};
  };
  uint32_t ts_value_offset = 0;
  uint32_t ts_echo_offset = 0;
  if (client.quasi_.timestamps) {
    ts_value_offset = server.timestamp(now_) - client.quasi_.ts_recent;
    ts_echo_offset = server.quasi_.ts_recent - client.timestamp(now_);
  }
  const nic::SplicePair pair{.client = client.tuple_,
                             .server = server.tuple_,
                             .seq_offset = offset(points.server_out, points.client_in),
                             .ack_offset = offset(points.server_in, points.client_out),
                             .ts_value_offset = ts_value_offset,
                             .ts_echo_offset = ts_echo_offset,
                             .scales = {.announced_by_client = client.quasi_.send_shift,
                                        .announced_to_client = client.tcb_->receiver.shift(),
                                        .announced_by_server = server.quasi_.send_shift,
                                        .announced_to_server = server.tcb_->receiver.shift()},
                             .timestamps = client.quasi_.timestamps,
                             .sack = client.quasi_.sack,
                             .to_server = way(server),
                             .to_client = way(client),
                             .shard = config_.shard,
                             .generation = static_cast<uint32_t>(rng_.next()),
                             .spliced_at = static_cast<uint64_t>(now_.time_since_epoch().count())};
  nic::SpliceRecords records = nic::records_of(pair);
  // What each end has acknowledged so far.
  records.from_client.rule.acked = points.server_in.value();
  records.from_client.rule.window = client.tcb_->sender.vars().wnd;
  records.from_server.rule.acked = points.client_in.value();
  records.from_server.rule.window = server.tcb_->sender.vars().wnd;
  splice.directions[nic::Splice::kUp].tuple = client.tuple_;
  splice.directions[nic::Splice::kUp].rule = records.from_client.rule;
  splice.directions[nic::Splice::kDown].tuple = server.tuple_;
  splice.directions[nic::Splice::kDown].rule = records.from_server.rule;
}

void Stack::use_kernel_seat(nic::KernelSeat* seat) {
  std::vector<uint32_t> interfaces;
  for (const port::PortInfo& port : ports_) {
    interfaces.push_back(static_cast<uint32_t>(port.interface_index));
  }
  splices_.use_kernel_seat(seat, std::move(interfaces));
}

// One after the other until nothing changes: what one step writes may end another's.
void Stack::step_splicings() {
  while (Splicing* splicing = splicings_due_.pop_front()) {
    if (splicing->step(now_)) finish(*splicing);
  }
}

void Stack::finish(Splicing& splicing) {
  if (IntrusiveList<Splicing, SplicingTag>::is_linked(splicing)) splicings_due_.erase(splicing);
  splicing_timers_.disarm(splicing);
  splicing_pool_.destroy(&splicing);
}

void Stack::expire_splicings() {
  splicing_timers_.expire(now_, [this](TimerNode& node) {
    auto& splicing = static_cast<Splicing&>(node);
    if (splicing.has_progressed()) {
      splicing_timers_.arm(splicing, now_ + splicing.timeout());
    } else {
      splicing.stop(nic::SpliceEnd::kIdle);
      finish(splicing);
    }
  });
}

}  // namespace fairlead::host
