#include "sim/kernel_seat.h"

#include <utility>

#include "nic/splice/splice_rule.h"
#include "nic/splice/splice_track.h"
#include "wire/ethernet.h"

namespace fairlead::sim {
namespace {

/// Between two steps of a packet, microseconds: long, so that much comes between.
constexpr uint64_t kStepTime = 60;

std::string name_of(const fl_splice_key& key) {
  return {reinterpret_cast<const char*>(&key), sizeof key};
}

}  // namespace

SimKernelSeat::SimKernelSeat(Simulator& simulator, Deliver socket, Deliver out)
    : simulator_(simulator),
      socket_(std::move(socket)),
      out_(std::move(out)),
      rng_(simulator.fork_rng()) {}

fl_splice_rule* SimKernelSeat::find(const fl_splice_key& key) const {
  const auto found = rules_.find(name_of(key));
  return found == rules_.end() ? nullptr : found->second;
}

fl_splice_rule* SimKernelSeat::find_peer(const fl_splice_rule& rule) const {
  fl_splice_key key;
  fl_splice_reverse_key(&key, &rule);
  return find(key);
}

// ---- packets ----

void SimKernelSeat::receive(Link::Frame frame) {
  constexpr size_t kIpv4Source = 14 + 15, kIpv6Source = 14 + 23;  // last byte
  const uint8_t from = frame.at(frame[12] == 0x08 ? kIpv4Source : kIpv6Source);
  Queue& queue = processors_.at(from % 2);
  queue.push_back({.frame = std::move(frame)});
  Time at = simulator_.now();
  for (int i = 0; i < 3; ++i) {
    at += microseconds(static_cast<int64_t>(rng_.below(kStepTime)));
    simulator_.at(at, [this, &queue] { step(queue); });
  }
}

void SimKernelSeat::step(Queue& queue) {
  if (queue.empty()) return;
  Packet& packet = queue.front();
  bool goes_on = false;
  switch (packet.steps++) {
    case 0:
      goes_on = filter(packet);
      break;
    case 1:
      goes_on = translate(packet);
      break;
    default:
      track(packet);
  }
  if (!goes_on) queue.pop_front();
}

/// What the tc program does with one that goes up, too, is the same when the rule comes meanwhile.
bool SimKernelSeat::filter(Packet& packet) {
  const ByteSpan ip = ByteSpan(packet.frame).subspan(wire::kEthernetSize);
  const std::optional<fl_splice_key> key = nic::key_of(ip);
  const fl_splice_rule* rule = key ? find(*key) : nullptr;
  if (key) packet.key = *key;
  fl_splice_verdict verdict = FL_SPLICE_NO_RULE;
  if (rule != nullptr) {
    Link::Frame copy = packet.frame;
    verdict = judge(*rule, MutableByteSpan(copy).subspan(wire::kEthernetSize)).verdict;
  }
  if (fl_splice_goes_up(verdict)) socket_(packet.frame);
  return key.has_value();
}

// fl_splice_judge_end()
nic::SpliceOutcome SimKernelSeat::judge(const fl_splice_rule& rule, MutableByteSpan ip) const {
  nic::SpliceOutcome outcome = nic::translate(rule, ip, {.size = static_cast<uint32_t>(ip.size())});
  if (outcome.verdict == FL_SPLICE_TRANSLATED && fl_splice_ends(outcome.segment.flags) &&
      find_peer(rule) == nullptr) {
    outcome.verdict = FL_SPLICE_UP_PROCESS;
  }
  return outcome;
}

bool SimKernelSeat::translate(Packet& packet) {
  packet.rule = find(packet.key);
  if (packet.rule == nullptr) return false;  // steering keeps it from the kernel
  const MutableByteSpan ip = MutableByteSpan(packet.frame).subspan(wire::kEthernetSize);
  const nic::SpliceOutcome outcome = judge(*packet.rule, ip);
  packet.segment = outcome.segment;
  return outcome.verdict == FL_SPLICE_TRANSLATED;
}

void SimKernelSeat::track(Packet& packet) {
  fl_splice_rule& rule = *packet.rule;
  const auto now = static_cast<uint64_t>(simulator_.now().time_since_epoch().count());
  if (fl_splice_count(&rule, &packet.segment, now)) {
    fl_splice_rule* peer = find_peer(rule);
    if (peer == nullptr) return;
    const uint32_t kind = fl_splice_track(&rule, peer, &packet.segment);
    if (fl_splice_is_sent_up(&rule, peer)) return;
    if (kind != 0) fl_splice_describe(&events_.emplace_back(), kind, &packet.key, &rule, peer);
  }
  out_(std::move(packet.frame));
}

void SimKernelSeat::poll_events(unsigned,
                                const std::function<void(const fl_splice_event&)>& handle) {
  for (const fl_splice_event& event : std::exchange(events_, {})) handle(event);
}

// ---- the process's accesses ----

void SimKernelSeat::others_run() {
  for (Queue& queue : processors_) {
    while (!queue.empty() && rng_.chance(0.8)) step(queue);
  }
}

Result<void> SimKernelSeat::install(const nic::SpliceRecords& records) {
  for (const nic::SpliceRecord* record : {&records.from_client, &records.from_server}) {
    others_run();
    rules_[name_of(record->key)] = &storage_.emplace_back(record->rule);
  }
  others_run();
  return {};
}

Result<void> SimKernelSeat::rewire(const nic::SpliceRecords&) { return {}; }

void SimKernelSeat::send_up(const nic::SpliceRecords& records) {
  others_run();
  for (const nic::SpliceRecord* record : {&records.from_client, &records.from_server}) {
    fl_splice_rule* rule = find(record->key);
    if (rule != nullptr) fl_splice_set_state(rule, FL_SPLICE_SENT_UP);
    others_run();
  }
}

bool SimKernelSeat::take(nic::SpliceRecord& record, bool out) {
  others_run();
  const fl_splice_rule* rule = find(record.key);
  if (rule == nullptr) {
    record.rule.packets = record.rule.bytes = 0;
    return false;
  }
  record.rule = *rule;
  if (out) rules_.erase(name_of(record.key));
  return true;
}

bool SimKernelSeat::read(nic::SpliceRecords& records) {
  const bool first = take(records.from_client, false);
  return take(records.from_server, false) && first;
}

bool SimKernelSeat::remove(nic::SpliceRecords& records) {
  const bool first = take(records.from_client, true);
  const bool both = take(records.from_server, true) && first;
  others_run();
  return both;
}

}  // namespace fairlead::sim
