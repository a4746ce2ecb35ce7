#include "lab/peers/content.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/unique_fd.h"
#include "lab/peers/chargen.h"

namespace fairlead::lab {
namespace {

// splitmix64 (Steele, Lea, Flood 2014), in counter mode.
constexpr uint64_t word_at(uint64_t seed, uint64_t index) {
  uint64_t z = seed + (index + 1) * 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

void fill_pseudo_random(uint64_t seed, uint64_t offset, std::span<std::byte> out) {
  uint64_t index = offset / 8;
  size_t skip = offset % 8;
  while (!out.empty()) {
    const uint64_t word = word_at(seed, index++);
    const size_t n = std::min(out.size(), 8 - skip);
    if (n == 8) {
      std::memcpy(out.data(), &word, 8);  // constant size: one store
    } else {
      std::memcpy(out.data(), reinterpret_cast<const std::byte*>(&word) + skip, n);
    }
    out = out.subspan(n);
    skip = 0;
  }
}

void fill_chargen(uint64_t offset, std::span<std::byte> out) {
  while (!out.empty()) {
    const auto pattern = chargen_at(offset);
    const size_t n = std::min(out.size(), pattern.size());
    std::ranges::copy(pattern.first(n), out.begin());
    out = out.subspan(n);
    offset += n;
  }
}

uint64_t mismatch_index(std::span<const std::byte> a, std::span<const std::byte> b) {
  return static_cast<uint64_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

}  // namespace

Content::Mapping::~Mapping() {
  if (!bytes.empty()) ::munmap(const_cast<std::byte*>(bytes.data()), bytes.size());
}

Content Content::pseudo_random(uint64_t seed) {
  Content content;
  content.seed_ = seed;
  return content;
}

Content Content::chargen() {
  Content content;
  content.kind_ = Kind::kChargen;
  return content;
}

Result<Content> Content::file(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status{};
  if (!fd || ::fstat(fd.get(), &status) != 0) {
    return fail(errc_from_errno(errno), fmt::format("{}: {}", path, std::strerror(errno)));
  }
  const auto size = static_cast<size_t>(status.st_size);
  auto mapping = std::make_shared<Mapping>();
  if (size > 0) {
    void* start = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd.get(), 0);
    if (start == MAP_FAILED) {
      return fail(errc_from_errno(errno), fmt::format("{}: {}", path, std::strerror(errno)));
    }
    mapping->bytes = std::span(static_cast<const std::byte*>(start), size);
  }
  Content content;
  content.kind_ = Kind::kFile;
  content.file_ = std::move(mapping);
  return content;
}

std::optional<uint64_t> Content::size() const {
  if (!file_) return std::nullopt;
  return file_->bytes.size();
}

void Content::fill(uint64_t offset, std::span<std::byte> out) const {
  switch (kind_) {
    case Kind::kPseudoRandom:
      return fill_pseudo_random(seed_, offset, out);
    case Kind::kChargen:
      return fill_chargen(offset, out);
    case Kind::kFile:
      std::ranges::copy(file_->bytes.subspan(offset, out.size()), out.begin());
  }
}

std::optional<uint64_t> Content::first_difference(uint64_t offset,
                                                  std::span<const std::byte> data) const {
  std::array<std::byte, 16384> expected;  // stays in L1
  while (!data.empty()) {
    size_t n = std::min(data.size(), expected.size());
    if (file_) n = std::min<uint64_t>(n, file_->bytes.size() - offset);
    if (n == 0) return offset;
    fill(offset, std::span(expected).first(n));
    if (std::memcmp(expected.data(), data.data(), n) != 0) {
      return offset + mismatch_index(data.first(n), std::span(expected).first(n));
    }
    offset += n;
    data = data.subspan(n);
  }
  return std::nullopt;
}

void StreamHash::Free::operator()(XXH3_state_s* state) const { XXH3_freeState(state); }

StreamHash::StreamHash() : state_(XXH3_createState()) { XXH3_128bits_reset(state_.get()); }

void StreamHash::update(std::span<const std::byte> data) {
  XXH3_128bits_update(state_.get(), data.data(), data.size());
}

std::string StreamHash::hex() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(state_.get());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

}  // namespace fairlead::lab
