#include "nic/teardown/teardown_map.h"

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace fairlead::nic {
namespace {

/// Then one in twenty finds its bucket full when there are max_flows, and hardly any at half of
/// that.
constexpr size_t kRoom = 2;

std::unexpected<Error> table_failed() {
  const std::string why = fmt::format("the table of flows in teardown: {}", std::strerror(errno));
  switch (errno) {
    case EPERM:
      return fail(Errc::kPermission, why + " (needs CAP_BPF: run as root)");
    case ENOMEM:
      return fail(Errc::kNoBufferSpace, why);
    default:
      return fail(Errc::kNotSupported, why + " (needs Linux 5.5 or later)");
  }
}

}  // namespace

void TeardownMap::Unmap::operator()(fl_teardown_bucket* memory) const { ::munmap(memory, bytes); }

Result<std::unique_ptr<TeardownMap>> TeardownMap::create(const Options& options) {
  CHECK(options.shards > 0);
  const size_t share = options.max_flows * kRoom / FL_TEARDOWN_WAYS / options.shards;
  const size_t buckets = std::max<size_t>(1, share) * options.shards;
  bpf_map_create_opts create{};
  create.sz = sizeof create;
  create.map_flags = BPF_F_MMAPABLE;
  UniqueFd fd(bpf_map_create(BPF_MAP_TYPE_ARRAY, "fl_teardown", sizeof(uint32_t),
                             sizeof(fl_teardown_bucket), static_cast<uint32_t>(buckets), &create));
  if (!fd) return table_failed();
  const size_t bytes = buckets * sizeof(fl_teardown_bucket);
  void* const at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (at == MAP_FAILED) return table_failed();
  Memory memory(static_cast<fl_teardown_bucket*>(at), Unmap{bytes});
  return std::unique_ptr<TeardownMap>(
      new TeardownMap(options, std::move(fd), std::move(memory), buckets));
}

TeardownTable TeardownMap::table(unsigned shard) {
  return TeardownTable({.buckets = {memory_.get(), buckets_},
                        .shard = shard,
                        .shards = options_.shards,
                        .hash_seed = options_.hash_seed});
}

}  // namespace fairlead::nic
