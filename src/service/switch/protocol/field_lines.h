// FieldLines: walks over field lines ("Name: value" CRLF) up to and with the empty line that ends
// them, byte by byte as they come. The header section of a head and the trailer section of a
// chunked body are both made of these (RFC 9112 §5, §7.1.2).
//
// It judges characters and line structure only, strictly: a line ends in CRLF and nothing else, a
// name is a token right before its colon, no line continues another. What fields mean is for
// others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "service/switch/protocol/http_fault.h"

namespace fairlead::protocol {

class FieldLines {
 public:
  /// Fields in one section. Apache's default is 100, HAProxy's 101.
  static constexpr uint8_t kMaxFields = 100;

  /// Continues with the bytes that follow the last ones. Returns how many it took: all of them,
  /// unless the section ended (done()) or is refused (fault()).
  size_t take(ByteSpan bytes);

  bool done() const { return state_ == State::kDone; }
  std::optional<HttpFault> fault() const {
    return state_ == State::kRefused ? std::optional(fault_) : std::nullopt;
  }

 private:
  enum class State : uint8_t { kLineStart, kName, kValue, kLineCr, kLastCr, kDone, kRefused };

  State on_line_start(uint8_t c);
  State refuse(HttpFault fault);

  State state_ = State::kLineStart;
  HttpFault fault_{};
  uint8_t fields_ = 0;
};

/// What is wrong with a character that may not stand where text may: bare LF, or any other control.
HttpFault fault_of_text(uint8_t c);

/// The first byte from `p` on that is no field value character (RFC 9110 §5.5), or `end`.
const uint8_t* skip_text(const uint8_t* p, const uint8_t* end);

}  // namespace fairlead::protocol
