#include "service/switch/core/spliced_session.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace fairlead::l7 {
namespace {

/// After a RST: how long silence must last before it is believed. A forged one is followed by more
/// packets well within that.
constexpr Duration kResetSilence = seconds(2);

nic::SpliceOptions splice_options(const VirtualServerOptions& options) {
  return {.idle_timeout = options.timeouts.established,
          .half_closed_timeout = options.timeouts.closewait,
          .time_wait = options.timeouts.timewait,
          .close_timeout = std::max(options.timeouts.close, kResetSilence),
          .sink_after_packets = options.splice_after};
}

std::string_view name_of(nic::SpliceEnd end) {
  switch (end) {
    case nic::SpliceEnd::kClosed:
    case nic::SpliceEnd::kReused:
      return "done";
    case nic::SpliceEnd::kResetByClient:
      return "client_aborted";
    case nic::SpliceEnd::kResetByServer:
      return "server_aborted";
    case nic::SpliceEnd::kIdle:
      return "timeout";
    case nic::SpliceEnd::kRemoved:
      return "removed";
  }
  check_failed("SpliceEnd has a name", __FILE__, __LINE__);
}

}  // namespace

SplicedSession::Record::Record(const AccessRecord& from)
    : method(from.method),
      target(from.target),
      version(from.version),
      host(from.host),
      referer(from.referer),
      user_agent(from.user_agent),
      server_name(from.server_name),
      record(from) {
  record.method = method;
  record.target = target;
  record.version = version;
  record.host = host;
  record.referer = referer;
  record.user_agent = user_agent;
  record.server_name = server_name;
}

SplicedSession::SplicedSession(SharedState& shared) : shared_(shared) {
  shared_.spliced.push_back(*this);
  ++shared_.spliced_count;
}

SplicedSession::~SplicedSession() {
  // The splice may outlive it: when the stack is taken down.
  if (splice_ != nullptr) splice_->options.observer = nullptr;
  shared_.spliced.erase(*this);
  --shared_.spliced_count;
}

bool SplicedSession::begin(SharedState& shared, TcpSocket& client, TcpSocket& server,
                           Parts& parts) {
  std::unique_ptr<SplicedSession> session(new SplicedSession(shared));
  const VirtualServerOptions& virtual_server = parts.slot->options;
  nic::SpliceOptions options = splice_options(virtual_server);
  options.observer = session.get();
  auto spliced = TcpSocket::splice(client, server, options);
  if (!spliced) return false;
  session->client_ = parts.record.client;
  session->began_ = parts.began;
  session->bytes_from_client_ = parts.record.bytes_from_client;
  session->bytes_to_client_ = parts.record.bytes_to_client;
  if (virtual_server.access_log != nullptr) {
    session->record_ = std::make_unique<Record>(parts.record);
  }
  session->slot_.emplace(std::move(parts.slot));
  session->link_.emplace(std::move(parts.link));
  session.release()->splice_ = *spliced;
  ++shared.counters.spliced;
  return true;
}

void SplicedSession::adopt(SharedState& shared, nic::Splice& splice,
                           const std::shared_ptr<VirtualServer>& virtual_server) {
  auto* session = new SplicedSession(shared);
  session->client_ = splice.client().remote;
  session->splice_ = &splice;
  nic::SpliceOptions options = splice.options;
  if (virtual_server != nullptr) {
    session->slot_.emplace(virtual_server);
    if (balance::Server* server = virtual_server->server_at(splice.server().remote)) {
      session->link_.emplace(*server);
    }
    options = splice_options(virtual_server->options);
  }
  options.observer = session;
  shared.runtime.stack.splices().set_options(splice, options, shared.runtime.scheduler.now());
}

void SplicedSession::end_by_command() {
  ++shared_.counters.ended_by_command;
  shared_.runtime.stack.end_splice(*splice_);
}

void SplicedSession::on_splice_end(const nic::SpliceReport& report) {
  splice_ = nullptr;
  count(report.up.bytes, report.down.bytes);
  if (report.end == nic::SpliceEnd::kIdle) ++shared_.counters.idle_timeouts;
  if (record_ != nullptr) {
    AccessRecord& record = record_->record;
    record.server = link_->server().name();
    record.bytes_from_client += report.up.bytes;
    record.bytes_to_client += report.down.bytes;
    record.total = shared_.runtime.scheduler.now() - began_;
    record.end = name_of(report.end);
    (*slot_)->options.access_log->write(record);
  }
  delete this;
}

void SplicedSession::count() {
  const auto flows = shared_.runtime.stack.splices().status(*splice_).flows;
  count(flows[nic::Splice::kUp].bytes, flows[nic::Splice::kDown].bytes);
}

void SplicedSession::count(uint64_t up, uint64_t down) {
  // Fewer when the kernel has just let go of a rule: its last word is on the way.
  const uint64_t more_up = std::max(up, counted_up_) - counted_up_;
  const uint64_t more_down = std::max(down, counted_down_) - counted_down_;
  counted_up_ += more_up;
  counted_down_ += more_down;
  shared_.counters.bytes_from_clients += more_up;
  shared_.counters.bytes_to_clients += more_down;
  if (!link_) return;
  balance::Server::Counters& server = link_->server().counters();
  server.bytes_to_server += more_up;
  server.bytes_to_client += more_down;
}

SessionSnapshot SplicedSession::snapshot() const {
  const nic::SpliceStatus found = shared_.runtime.stack.splices().status(*splice_);
  SessionSnapshot s;
  s.client = client_;
  s.virtual_server = splice_->client().local;
  s.local = splice_->server().local;
  s.server = splice_->server().remote;
  s.state = (found.state & FL_SPLICE_RESET) != 0      ? "CLOSE"
            : (found.state & FL_SPLICE_PEER_FIN) != 0 ? "CLOSE-WAIT"
                                                      : "ESTABLISHED";
  s.seat = splice_->open ? nic::splice_seat_name(splice_->seat) : "host";
  const Time now = shared_.runtime.scheduler.now();
  const Time until = splice_->open ? nic::SpliceTable::expiry(*splice_, found) : now;
  s.expires = std::max(Duration::zero(), until - now);
  s.bytes_from_client = bytes_from_client_ + found.flows[nic::Splice::kUp].bytes;
  s.bytes_to_client = bytes_to_client_ + found.flows[nic::Splice::kDown].bytes;
  return s;
}

}  // namespace fairlead::l7
