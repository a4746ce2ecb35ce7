// BodyFramer: finds the end of a message's body in the bytes that go by (RFC 9112 §6.3, §7.1).
//
// It only counts: the bytes stay where they are and are forwarded as they are, chunk framing and
// trailers included. Chunk data is skipped by arithmetic; only chunk lines and trailers are looked
// at. These are judged strictly, since two servers that see a chunk end at different places can be
// made to see different requests: CRLF only, no whitespace around a chunk size, no control
// characters in extensions.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "service/switch/protocol/field_lines.h"
#include "service/switch/protocol/http_head.h"

namespace fairlead::protocol {

// X(enumerator, counter name). One counter each.
#define FAIRLEAD_BODY_FAULTS(X)                                                            \
  X(kChunkSize, "chunk_size")                 /* RFC 9112 §7.1: not 1 to 16 HEXDIG */      \
  X(kChunkLine, "chunk_line")                 /* RFC 9112 §7.1: not CRLF at its end */     \
  X(kChunkExtension, "chunk_extension")       /* RFC 9112 §7.1.1: a control character */   \
  X(kChunkLineTooLong, "chunk_line_too_long") /* RFC 9112 §7.1.1: our bound */             \
  X(kChunkEnd, "chunk_end")                   /* RFC 9112 §7.1: no CRLF behind the data */ \
  X(kTrailer, "trailer")                      /* RFC 9112 §7.1.2 */                        \
  X(kTrailerTooLong, "trailer_too_long")      /* RFC 9112 §7.1.2: our bound */             \
  X(kTruncated, "truncated")                  /* RFC 9112 §8: the stream ended before the body */

enum class BodyFault : uint8_t {
#define FAIRLEAD_X(id, name) id,
  FAIRLEAD_BODY_FAULTS(FAIRLEAD_X)
#undef FAIRLEAD_X
};

inline constexpr auto kBodyFaultNames = std::to_array<std::string_view>({
#define FAIRLEAD_X(id, name) name,
    FAIRLEAD_BODY_FAULTS(FAIRLEAD_X)
#undef FAIRLEAD_X
});
inline constexpr size_t kBodyFaultCount = kBodyFaultNames.size();

/// "chunk_size"
constexpr std::string_view body_fault_name(BodyFault fault) {
  return kBodyFaultNames[static_cast<size_t>(fault)];
}

class BodyFramer {
 public:
  /// Digits of a chunk size: as many as 64 bits have.
  static constexpr uint16_t kMaxSizeDigits = 16;
  /// Bytes of a chunk size with its extensions, of which RFC 9112 §7.1.1 wants a bound. No
  /// extension is in use that we know of.
  static constexpr uint16_t kMaxChunkLine = 256;
  /// Bytes of the trailer section.
  static constexpr uint16_t kMaxTrailer = 8 << 10;

  /// For the body of the message whose head this is; `length` counts for BodyFraming::kLength.
  explicit BodyFramer(BodyFraming framing, uint64_t length = 0);
  explicit BodyFramer(const HttpHead& head)
      : BodyFramer(head.framing, head.content_length.value_or(0)) {}

  /// Continues with the bytes that follow the last ones. Returns how many of them belong to the
  /// body: all, unless it finishes within them. When it broke, the number means nothing.
  size_t take(ByteSpan bytes);
  /// The stream ended: that finishes a body until close, and breaks any other that is not finished.
  void end_of_stream();

  bool finished() const { return state_ == State::kFinished; }
  std::optional<BodyFault> fault() const {
    return state_ == State::kBroken ? std::optional(fault_) : std::nullopt;
  }

 private:
  enum class State : uint8_t {
    kUntilClose,
    kLength,
    kSizeStart,  // first digit of a chunk size
    kSize,
    kSpaceBeforeExtension,
    kExtension,
    kLineCr,
    kData,
    kDataCr,
    kDataLf,
    kTrailer,
    kFinished,
    kBroken,
  };

  State step(uint8_t c);
  State on_size(uint8_t c);
  State on_extension(uint8_t c);
  State breaks(BodyFault fault);
  const uint8_t* take_data(const uint8_t* p, const uint8_t* end);
  const uint8_t* take_trailer(const uint8_t* p, const uint8_t* end);

  uint64_t left_ = 0;  // of the length, or of the chunk
  State state_;
  BodyFault fault_{};
  uint16_t line_bytes_ = 0;  // of this chunk line, then of the trailer
  FieldLines trailer_;
};

}  // namespace fairlead::protocol
