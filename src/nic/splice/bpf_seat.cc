#include "nic/splice/bpf_seat.h"

#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <linux/if_link.h>
#include <net/if.h>

#include <algorithm>
#include <utility>

#include "nic/splice/splice_rule.h"
#include "port/interface_info.h"

namespace fairlead::nic {
namespace {

std::string tc_pin(int index) { return fmt::format("tc-{}", index); }
std::string xdp_pin(int index) { return fmt::format("xdp-{}", index); }

/// Something an earlier process attached still works.
bool in_use(const BpfPins& pins, const BpfSeat::Options& options) {
  return pins.has_live_link() || std::ranges::any_of(options.interfaces, [](const auto& i) {
           return has_clsact_filter(static_cast<int>(::if_nametoindex(i.name.c_str())),
                                    IngressRole::kSplice);
         });
}

/// A link adopted from an earlier process may have been attached otherwise than now asked for.
bool is_generic(int index) {
  bpf_xdp_query_opts found{};
  found.sz = sizeof found;
  return bpf_xdp_query(index, 0, &found) == 0 && found.attach_mode == XDP_ATTACHED_SKB;
}

/// Nothing of it is wanted any more.
void remove_leftovers(const BpfSeat::Options& options) {
  const auto lock = InterfaceLock::acquire_splicing(options.runtime_directory);
  if (!lock) return;
  if (const auto pins = BpfPins::open(options.directory)) pins->remove_all();
}

}  // namespace

BpfSeat::Opened BpfSeat::open(const Options& options) {
  Opened out;
  for (const Interface& wanted : options.interfaces) {
    InterfaceSeat& interface = out.interfaces.emplace_back();
    interface.name = wanted.name;
    interface.asked = wanted.choice;
    interface.index = static_cast<int>(::if_nametoindex(wanted.name.c_str()));
  }
  if (std::ranges::all_of(options.interfaces, [](const Interface& interface) {
        return interface.choice == SeatChoice::kUser;
      })) {
    remove_leftovers(options);
    return out;
  }
  auto loaded = load(options, out.notes);
  if (loaded) out.seat = std::move(*loaded);
  for (InterfaceSeat& interface : out.interfaces) {
    if (interface.asked == SeatChoice::kUser) continue;
    if (loaded) {
      out.seat->attach(options, interface);
    } else {
      interface.reason = loaded.error().to_string();
    }
  }
  if (!loaded) return out;
  out.seat->remove_other_pins(out.notes);
  if (!out.seat->attached_.empty()) return out;
  out.seat->close_down();
  out.seat.reset();
  return out;
}

Result<std::unique_ptr<BpfSeat>> BpfSeat::load(const Options& options,
                                               std::vector<std::string>& notes) {
  auto lock = InterfaceLock::acquire_splicing(options.runtime_directory);
  if (!lock) return std::unexpected(lock.error());
  auto pins = BpfPins::open(options.directory);
  if (!pins) return std::unexpected(pins.error());
  auto rules = RulesMap::open(*pins,
                              {.max_rules = options.max_rules,
                               .shards = options.shards,
                               .hash_seed = options.hash_seed,
                               .in_use = in_use(*pins, options)},
                              notes);
  auto programs = rules ? SplicePrograms::load(rules->fd(), options.shards)
                        : Result<SplicePrograms>(std::unexpected(rules.error()));
  if (!programs) {
    // What an earlier process left would translate packets nobody here knows of.
    pins->remove_all();
    return std::unexpected(programs.error());
  }
  return std::unique_ptr<BpfSeat>(
      new BpfSeat(std::move(*lock), std::move(*pins), std::move(*rules), std::move(*programs)));
}

void BpfSeat::attach(const Options& options, InterfaceSeat& interface) {
  auto tc =
      IngressAttachment::attach(programs_.tc_fd(), {.interface = interface.name,
                                                    .interface_index = interface.index,
                                                    .mode = options.attach,
                                                    .role = IngressRole::kSplice,
                                                    .pin = pins_.path(tc_pin(interface.index))});
  if (!tc) {
    interface.reason = tc.error().to_string();
    return;
  }
  Attached attached;
  interface.seat = SpliceSeat::kTc;
  interface.how = tc->mode() == AttachMode::kTcx ? "tcx" : "clsact";
  interface.adopted = tc->replaced_leftover();
  interface.tcx_link = tc->link_fd();
  attached.tc.emplace(std::move(*tc));
  if (interface.asked == SeatChoice::kXdp) attach_xdp(interface, attached);
  if (interface.how != "native") {
    if (auto kept = programs_.keep_from_xdp(static_cast<uint32_t>(interface.index)); !kept) {
      interface.reason = kept.error().to_string();
    }
  }
  attached_.push_back(std::move(attached));
  interfaces_.push_back(interface);
}

void BpfSeat::attach_xdp(InterfaceSeat& interface, Attached& attached) {
  const auto info = port::query_interface(interface.name);
  auto program = info ? programs_.load_xdp(*info)
                      : Result<std::unique_ptr<SplicePrograms::Xdp>>(std::unexpected(info.error()));
  if (!program) {
    interface.reason = "xdp: " + program.error().to_string();
    return;
  }
  for (const uint32_t mode : {XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE}) {
    auto link =
        InterfaceLink::attach((*program)->fd(), {.interface_index = interface.index,
                                                 .attach_type = BPF_XDP,
                                                 .flags = mode,
                                                 .pin = pins_.path(xdp_pin(interface.index))});
    if (!link) {
      if (!interface.reason.empty()) interface.reason += "; ";
      interface.reason += fmt::format(
          "{} xdp: {}", mode == XDP_FLAGS_DRV_MODE ? "the driver's native" : "the kernel's generic",
          link.error().to_string());
      continue;
    }
    interface.seat = SpliceSeat::kXdp;
    interface.how = is_generic(interface.index) ? "generic" : "native";
    if (interface.how == "generic") {
      if (!interface.reason.empty()) interface.reason += "; ";
      interface.reason += "generic xdp is slower than tc";
    }
    interface.xdp_behind = (*program)->behind_fd();
    attached.xdp = std::move(*link);
    attached.xdp_program = std::move(*program);
    return;
  }
}

// What an earlier process had on other interfaces, or in other seats.
void BpfSeat::remove_other_pins(std::vector<std::string>& notes) const {
  std::vector<std::string> ours{RulesMap::kName, RulesMap::kStateName};
  for (const InterfaceSeat& interface : interfaces_) {
    if (interface.how != "clsact") ours.push_back(tc_pin(interface.index));
    if (interface.seat == SpliceSeat::kXdp) ours.push_back(xdp_pin(interface.index));
  }
  for (const std::string& name : pins_.names()) {
    if (std::ranges::find(ours, name) != ours.end()) continue;
    notes.push_back(fmt::format("{}: left by an earlier Fairlead; removed", pins_.path(name)));
    pins_.remove(name);
  }
}

BpfSeat::~BpfSeat() {
  if (closed_) return;
  if (rules_.empty()) {
    close_down();
    return;
  }
  for (Attached& attached : attached_) {
    attached.tc->leave_behind();
    attached.xdp.leave_behind();
  }
}

void BpfSeat::close_down() {
  closed_ = true;
  attached_.clear();
  pins_.remove_all();
}

SpliceSeat BpfSeat::seat() const {
  const bool all = std::ranges::all_of(
      interfaces_, [](const InterfaceSeat& i) { return i.seat == SpliceSeat::kXdp; });
  return all ? SpliceSeat::kXdp : SpliceSeat::kTc;
}

bool BpfSeat::has_way(const SpliceRecords& records) const {
  const auto known = [this](const SpliceRecord& record) {
    return std::ranges::any_of(interfaces_, [&](const InterfaceSeat& i) {
      return static_cast<uint32_t>(i.index) == record.rule.interface;
    });
  };
  return known(records.from_client) && known(records.from_server);
}

Result<void> BpfSeat::install(const SpliceRecords& records) {
  if (!has_way(records)) return fail(Errc::kNotSupported);
  return rules_.insert(records);
}

Result<void> BpfSeat::rewire(const SpliceRecords& records) {
  if (!has_way(records)) return fail(Errc::kNotSupported);
  if (!programs_.rewire(records.from_client) || !programs_.rewire(records.from_server)) {
    return fail(Errc::kNoEntry);
  }
  return {};
}

bool BpfSeat::read(SpliceRecords& records) {
  bool both = true;
  for (SpliceRecord* record : {&records.from_client, &records.from_server}) {
    if (rules_.read(*record)) continue;
    record->rule.packets = record->rule.bytes = 0;
    both = false;
  }
  return both;
}

bool BpfSeat::remove(SpliceRecords& records) {
  bool both = true;
  for (SpliceRecord* record : {&records.from_client, &records.from_server}) {
    if (rules_.take(*record)) continue;
    record->rule.packets = record->rule.bytes = 0;
    both = false;
  }
  return both;
}

void BpfSeat::poll_events(unsigned shard,
                          const std::function<void(const fl_splice_event&)>& handle) {
  programs_.poll_events(shard, handle);
}

int BpfSeat::event_fd(unsigned shard) const { return programs_.event_fd(shard); }

bool BpfSeat::is_pair(const SpliceRecord& record, std::optional<SplicePair>& pair) const {
  SpliceRecord other{};
  fl_splice_reverse_key(&other.key, &record.rule);
  if (!rules_.read(other)) return false;
  pair = pair_of(record, other);
  return pair.has_value();
}

size_t BpfSeat::for_each_pair(const std::function<void(const SplicePair&)>& visit) {
  std::vector<fl_splice_key> broken;
  rules_.for_each([&](const SpliceRecord& record) {
    std::optional<SplicePair> pair;
    if (!is_pair(record, pair)) {
      SpliceRecord now = record;
      if (rules_.read(now)) broken.push_back(record.key);  // else visit() took the pair out
    } else if ((record.rule.flags & FL_SPLICE_FROM_CLIENT) != 0) {
      visit(*pair);
    }
  });
  for (const fl_splice_key& key : broken) rules_.erase(key);
  return broken.size();
}

}  // namespace fairlead::nic
