// Content: what a verifying client sends and expects back, as a function of the position in the
// stream, so that any piece can be made, or checked, at any time.
//
// Either a file, or pseudo-random words: word i is a strong mix (splitmix64) of seed + i. The
// stream has no period, so a piece that arrives in the wrong place always shows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/result.h"

struct XXH3_state_s;

namespace fairlead::lab {

class Content {
 public:
  static Content pseudo_random(uint64_t seed);
  static Content chargen();
  /// An error has a message. The file must not change while it is used.
  static Result<Content> file(const std::string& path);

  /// The file's size; none for the others, which have no end.
  std::optional<uint64_t> size() const;

  /// Fills `out` with the content from `offset` on, which must not reach past size().
  void fill(uint64_t offset, std::span<std::byte> out) const;

  /// The position of the first byte of `data`, from `offset` on, that differs; none when all is
  /// as it should be. Bytes past size() differ.
  std::optional<uint64_t> first_difference(uint64_t offset, std::span<const std::byte> data) const;

 private:
  struct Mapping {
    std::span<const std::byte> bytes;
    ~Mapping();
  };

  enum class Kind : uint8_t { kPseudoRandom, kChargen, kFile };

  Kind kind_ = Kind::kPseudoRandom;
  uint64_t seed_ = 0;
  std::shared_ptr<const Mapping> file_;  // shared by the connections of one run
};

/// XXH3, 128 bits, of a stream.
class StreamHash {
 public:
  StreamHash();
  void update(std::span<const std::byte> data);
  std::string hex() const;

 private:
  struct Free {
    void operator()(XXH3_state_s* state) const;
  };
  std::unique_ptr<XXH3_state_s, Free> state_;
};

}  // namespace fairlead::lab
