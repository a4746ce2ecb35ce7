#include "nic/splice/rules_map.h"

#include <bpf/bpf.h>
#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <optional>

namespace fairlead::nic {
namespace {

// The layout of what is pinned: see FL_SPLICE_LAYOUT.
static_assert(FL_SPLICE_LAYOUT == 1 && sizeof(fl_splice_key) == 40 &&
              sizeof(fl_splice_rule) == 144 && sizeof(fl_splice_state) == 16);

/// Records per system call of a walk; doubled where one of the kernel's buckets has more.
constexpr uint32_t kWalkBatch = 1024;

std::unexpected<Error> failed(const char* what) {
  if (errno == EPERM) {
    return fail(Errc::kPermission,
                fmt::format("{}: needs CAP_BPF and CAP_NET_ADMIN (run as root)", what));
  }
  return fail(errc_from_errno(errno), fmt::format("{}: {}", what, std::strerror(errno)));
}

std::optional<bpf_map_info> info_of(int fd) {
  bpf_map_info info{};
  uint32_t size = sizeof info;
  if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size) != 0) return std::nullopt;
  return info;
}

bool is_rules_map(const bpf_map_info& info) {
  return info.type == BPF_MAP_TYPE_HASH && info.key_size == sizeof(fl_splice_key) &&
         info.value_size == sizeof(fl_splice_rule);
}

}  // namespace

Result<RulesMap> RulesMap::open(const BpfPins& pins, const Options& options,
                                std::vector<std::string>& notes) {
  for (const std::string& name : pins.names()) {
    const bool other = (name.starts_with("rules-") && name != kName) ||
                       (name.starts_with("state-") && name != kStateName);
    if (!other) continue;
    notes.push_back(
        fmt::format("{}: left by another version of Fairlead; removed, and the "
                    "connections in it are lost",
                    pins.path(name)));
    pins.remove(name);
  }
  RulesMap map;
  map.fd_ = UniqueFd(bpf_obj_get(pins.path(kName).c_str()));
  if (const auto found = info_of(map.fd_.get()); found && is_rules_map(*found)) {
    map.capacity_ = found->max_entries;
    if (!map.empty() && !options.in_use) {
      notes.push_back(fmt::format("{}: {} rules which no program works by any more; removed",
                                  pins.path(kName), map.size()));
      map.fd_.reset();
    } else if (map.empty() && map.capacity_ != options.max_rules) {
      map.fd_.reset();
    }
  } else {
    map.fd_.reset();
  }
  if (!map.fd_) {
    if (auto created = map.create(pins, options); !created) {
      return std::unexpected(created.error());
    }
  }
  if (auto opened = map.open_state(pins, options); !opened) return std::unexpected(opened.error());
  return map;
}

Result<void> RulesMap::create(const BpfPins& pins, const Options& options) {
  pins.remove(kName);
  bpf_map_create_opts create{};
  create.sz = sizeof create;
  create.map_flags = BPF_F_NO_PREALLOC;
  fd_ = UniqueFd(bpf_map_create(BPF_MAP_TYPE_HASH, "fl_rules", sizeof(fl_splice_key),
                                sizeof(fl_splice_rule), options.max_rules, &create));
  if (!fd_) return failed("the splice rules' table");
  capacity_ = options.max_rules;
  if (bpf_obj_pin(fd_.get(), pins.path(kName).c_str()) != 0) return failed("pinning the rules");
  return {};
}

Result<void> RulesMap::open_state(const BpfPins& pins, const Options& options) {
  const uint32_t key = 0;
  UniqueFd state(bpf_obj_get(pins.path(kStateName).c_str()));
  const auto found = info_of(state.get());
  const bool known = found && found->value_size == sizeof state_ &&
                     bpf_map_lookup_elem(state.get(), &key, &state_) == 0;
  if (!known) {
    pins.remove(kStateName);
    state = UniqueFd(
        bpf_map_create(BPF_MAP_TYPE_ARRAY, "fl_state", sizeof key, sizeof state_, 1, nullptr));
    if (!state || bpf_obj_pin(state.get(), pins.path(kStateName).c_str()) != 0) {
      return failed("the splice rules' state");
    }
  }
  if (empty()) {
    state_ = {.hash_seed = options.hash_seed, .shards = options.shards, .shard_by_rule = 0};
  } else {
    if (!known) state_.hash_seed = options.hash_seed;
    if (!known || state_.shards != options.shards) state_.shard_by_rule = 1;
    state_.shards = options.shards;
  }
  if (bpf_map_update_elem(state.get(), &key, &state_, BPF_ANY) != 0) {
    return failed("the splice rules' state");
  }
  return {};
}

bool RulesMap::empty() const {
  fl_splice_key first;
  return bpf_map_get_next_key(fd_.get(), nullptr, &first) != 0;
}

size_t RulesMap::size() const {
  size_t count = 0;
  for_each([&](const SpliceRecord&) { ++count; });
  return count;
}

Result<void> RulesMap::insert(const SpliceRecords& records) {
  const SpliceRecord* inserted = nullptr;
  for (const SpliceRecord* record : {&records.from_client, &records.from_server}) {
    if (bpf_map_update_elem(fd_.get(), &record->key, &record->rule, BPF_NOEXIST) == 0) {
      inserted = record;
      continue;
    }
    const int error = errno;
    if (inserted != nullptr) erase(inserted->key);
    // Data path: no message.
    if (error == E2BIG || error == ENOMEM) return fail(Errc::kNoBufferSpace);
    return fail(error == EEXIST ? Errc::kAddressInUse : errc_from_errno(error));
  }
  return {};
}

bool RulesMap::read(SpliceRecord& record) const {
  return bpf_map_lookup_elem(fd_.get(), &record.key, &record.rule) == 0;
}

bool RulesMap::take(SpliceRecord& record) {
  if (bpf_map_lookup_and_delete_elem(fd_.get(), &record.key, &record.rule) == 0) return true;
  // Kernels before 5.14 can't do both at once for hash maps.
  if (errno == ENOENT || !read(record)) return false;
  erase(record.key);
  return true;
}

void RulesMap::erase(const fl_splice_key& key) { bpf_map_delete_elem(fd_.get(), &key); }

void RulesMap::for_each(const std::function<void(const SpliceRecord&)>& visit) const {
  std::vector<fl_splice_key> keys(kWalkBatch);
  std::vector<fl_splice_rule> rules(kWalkBatch);
  uint32_t position = 0;
  bool started = false;
  while (true) {
    auto count = static_cast<uint32_t>(keys.size());
    uint32_t next = 0;
    const int done = bpf_map_lookup_batch(fd_.get(), started ? &position : nullptr, &next,
                                          keys.data(), rules.data(), &count, nullptr);
    if (done != 0 && errno == ENOSPC) {
      keys.resize(2 * keys.size());
      rules.resize(keys.size());
      continue;
    }
    if (done != 0 && errno != ENOENT) return;
    for (uint32_t i = 0; i < count; ++i) visit({.key = keys[i], .rule = rules[i]});
    if (done != 0) return;
    started = true;
    position = next;
  }
}

}  // namespace fairlead::nic
