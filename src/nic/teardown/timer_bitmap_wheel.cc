#include "nic/teardown/timer_bitmap_wheel.h"

#include <sys/mman.h>

#include <algorithm>

#include "base/check.h"

namespace fairlead::nic {
namespace {

constexpr uint32_t round_up(uint32_t n, uint32_t unit) { return (n + unit - 1) / unit * unit; }

}  // namespace

TimerBitmapWheel::TimerBitmapWheel(const Options& options, Time start)
    : flows_(options.flows),
      slots_(options.slots),
      slot_bits_(static_cast<uint32_t>(std::countr_zero(options.slots))),
      words_(round_up(round_up(options.flows, 64) / 64, kLineWords)),
      words_per_region_(0),
      interval_(options.interval),
      regions_(options.regions) {
  CHECK(flows_ > 0 && interval_ > Duration::zero());
  CHECK(std::has_single_bit(slots_) && slots_ >= 64 && slots_ <= 65536);
  CHECK(options.regions > 0 && options.regions <= words_ / kLineWords);
  words_per_region_ = round_up((words_ + options.regions - 1) / options.regions, kLineWords);
  // From the kernel, which gives zero pages when a timer is first set in them. calloc() would clear
  // all of it, once it has memory of that size to use again.
  void* const memory =
      ::mmap(nullptr, memory_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(memory != MAP_FAILED);
  bits_ = {static_cast<uint64_t*>(memory), Unmap{memory_bytes()}};
  for (Region& region : regions_) {
    region.cursor.store(floor_tick(start) << 1);
    region.occupied = std::make_unique<std::atomic<uint64_t>[]>(slots_ / 64);
  }
}

void TimerBitmapWheel::Unmap::operator()(uint64_t* words) const { ::munmap(words, bytes); }

void TimerBitmapWheel::mark(uint32_t flow, uint32_t slot) {
  word_of(slot, flow).fetch_or(bit_of(flow));
  std::atomic<uint64_t>& hint = regions_[region_of(flow)].occupied[slot / 64];
  const uint64_t bit = uint64_t{1} << slot % 64;
  if ((hint.load() & bit) == 0) hint.fetch_or(bit);  // read first: mostly it is there, and shared
}

TimerBitmapWheel::Alarm TimerBitmapWheel::set(uint32_t flow, Time deadline) {
  CHECK(flow < flows_);
  const std::atomic<uint64_t>& cursor = regions_[region_of(flow)].cursor;
  const uint64_t due = ceil_tick(deadline);
  for (;;) {
    const uint64_t at = cursor.load();
    uint64_t ahead = due > tick_of(at) ? due - tick_of(at) : 1;
    // A whole turn ahead is the slot of the cursor itself: this scan must not find it there.
    if ((at & kScanning) != 0 && (ahead & (slots_ - 1)) == 0) ++ahead;
    const uint64_t turns = (ahead - 1) >> slot_bits_;
    CHECK(turns <= UINT16_MAX);
    const uint64_t comes_up = tick_of(at) + ahead - (turns << slot_bits_);
    const auto slot = static_cast<uint16_t>(slot_of(comes_up));
    mark(flow, slot);
    const uint64_t scanned = tick_of(cursor.load());
    if (scanned < comes_up) return {slot, static_cast<uint16_t>(turns)};
    // Had the scan passed before the bit was there, it would come up a turn too late: anew then.
    if (clear(flow, slot)) continue;
    // The scan has taken it and waits to fire it. In which interval? Turns may have passed since
    // the cursor was first read, and one since it was read again; now it stands still.
    const uint64_t taken = tick_of(cursor.load());
    const uint64_t last = comes_up + (turns << slot_bits_);
    const uint64_t left = last > taken ? (last - taken) >> slot_bits_ : 0;
    return {slot, static_cast<uint16_t>(left)};
  }
}

void TimerBitmapWheel::again(uint32_t flow, uint16_t slot) { mark(flow, slot); }

bool TimerBitmapWheel::clear(uint32_t flow, uint16_t slot) {
  return (word_of(slot, flow).fetch_and(~bit_of(flow)) & bit_of(flow)) != 0;
}

std::optional<uint64_t> TimerBitmapWheel::next_tick(uint32_t region) const {
  const Region& r = regions_[region];
  const uint64_t from = tick_of(r.cursor.load()) + 1;
  const uint32_t words = slots_ / 64;
  const uint32_t first = slot_of(from);
  // The first word is looked at twice: from `first` on, and last what comes before it.
  for (uint32_t i = 0; i <= words; ++i) {
    const uint32_t index = (first / 64 + i) % words;
    uint64_t slots = r.occupied[index].load();
    if (i == 0) slots &= ~uint64_t{0} << first % 64;
    if (i == words) slots &= ~(~uint64_t{0} << first % 64);
    if (slots == 0) continue;
    const uint32_t slot = index * 64 + static_cast<uint32_t>(std::countr_zero(slots));
    return from + ((slot - first) & (slots_ - 1));
  }
  return std::nullopt;
}

std::optional<Time> TimerBitmapWheel::next_deadline(uint32_t region) const {
  const std::optional<uint64_t> tick = next_tick(region);
  if (!tick) return std::nullopt;
  return Time(interval_ * static_cast<int64_t>(*tick));
}

}  // namespace fairlead::nic
