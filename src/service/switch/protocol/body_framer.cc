#include "service/switch/protocol/body_framer.h"

#include <algorithm>

#include "service/switch/protocol/http_text.h"

namespace fairlead::protocol {
namespace {

/// The value of a HEXDIG, or -1.
int hex_value(uint8_t c) {
  if (c >= '0' && c <= '9') return c - '0';
  const int letter = c | 0x20;
  return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

}  // namespace

BodyFramer::BodyFramer(BodyFraming framing, uint64_t length) : state_(State::kFinished) {
  switch (framing) {
    case BodyFraming::kNone:
      break;
    case BodyFraming::kLength:
      left_ = length;
      if (length > 0) state_ = State::kLength;
      break;
    case BodyFraming::kChunked:
      state_ = State::kSizeStart;
      break;
    case BodyFraming::kUntilClose:
      state_ = State::kUntilClose;
      break;
  }
}

BodyFramer::State BodyFramer::breaks(BodyFault fault) {
  fault_ = fault;
  return State::kBroken;
}

size_t BodyFramer::take(ByteSpan bytes) {
  const uint8_t* p = bytes.data();
  const uint8_t* const end = p + bytes.size();
  if (state_ == State::kUntilClose) return bytes.size();
  while (p != end && state_ != State::kFinished && state_ != State::kBroken) {
    if (state_ == State::kLength || state_ == State::kData) {
      p = take_data(p, end);
    } else if (state_ == State::kTrailer) {
      p = take_trailer(p, end);
    } else {
      state_ = step(*p++);
    }
  }
  return static_cast<size_t>(p - bytes.data());
}

const uint8_t* BodyFramer::take_data(const uint8_t* p, const uint8_t* end) {
  const uint64_t size = std::min(left_, static_cast<uint64_t>(end - p));
  left_ -= size;
  if (left_ == 0) state_ = state_ == State::kLength ? State::kFinished : State::kDataCr;
  return p + size;
}

const uint8_t* BodyFramer::take_trailer(const uint8_t* p, const uint8_t* end) {
  const auto room = static_cast<size_t>(kMaxTrailer - line_bytes_);
  const size_t offered = std::min(room, static_cast<size_t>(end - p));
  const size_t taken = trailer_.take({p, offered});
  line_bytes_ = static_cast<uint16_t>(line_bytes_ + taken);
  if (trailer_.done()) {
    state_ = State::kFinished;
  } else if (trailer_.fault()) {
    state_ = breaks(BodyFault::kTrailer);
  } else if (line_bytes_ == kMaxTrailer) {
    state_ = breaks(BodyFault::kTrailerTooLong);
  }
  return p + taken;
}

/// The framing around chunk data, byte by byte.
BodyFramer::State BodyFramer::step(uint8_t c) {
  switch (state_) {
    case State::kSizeStart:
      left_ = 0;
      line_bytes_ = 0;
      return hex_value(c) < 0 ? breaks(BodyFault::kChunkSize) : on_size(c);
    case State::kSize:
      return on_size(c);
    case State::kSpaceBeforeExtension:
    case State::kExtension:
      return on_extension(c);
    case State::kLineCr:
      if (c != '\n') return breaks(BodyFault::kChunkLine);
      line_bytes_ = 0;
      return left_ > 0 ? State::kData : State::kTrailer;
    case State::kDataCr:
      return c == '\r' ? State::kDataLf : breaks(BodyFault::kChunkEnd);
    case State::kDataLf:
      return c == '\n' ? State::kSizeStart : breaks(BodyFault::kChunkEnd);
    case State::kUntilClose:
    case State::kLength:
    case State::kData:
    case State::kTrailer:
    case State::kFinished:
    case State::kBroken:
      break;
  }
  return state_;
}

/// A digit of the chunk size or what ends it: a CR, an extension, or the whitespace before one.
BodyFramer::State BodyFramer::on_size(uint8_t c) {
  if (const int digit = hex_value(c); digit >= 0) {
    if (++line_bytes_ > kMaxSizeDigits) return breaks(BodyFault::kChunkSize);  // RFC 9112 §7.1
    left_ = left_ << 4 | static_cast<unsigned>(digit);
    return State::kSize;
  }
  if (c == '\r') return State::kLineCr;
  if (c == ';') return State::kExtension;
  if (c == ' ' || c == '\t') return State::kSpaceBeforeExtension;
  return breaks(c == '\n' ? BodyFault::kChunkLine : BodyFault::kChunkSize);
}

BodyFramer::State BodyFramer::on_extension(uint8_t c) {
  if (state_ == State::kSpaceBeforeExtension && c != ';') {
    // BWS stands before a ';' only (RFC 9112 §7.1.1): not before the CRLF, not between digits.
    if (c != ' ' && c != '\t') return breaks(BodyFault::kChunkLine);
  } else if (c == '\r') {
    return State::kLineCr;
  } else if (!is_class(c, kValueChar)) {
    return breaks(c == '\n' ? BodyFault::kChunkLine : BodyFault::kChunkExtension);
  }
  if (++line_bytes_ > kMaxChunkLine) return breaks(BodyFault::kChunkLineTooLong);
  return c == ';' ? State::kExtension : state_;
}

void BodyFramer::end_of_stream() {
  if (state_ == State::kUntilClose) {
    state_ = State::kFinished;
  } else if (state_ != State::kFinished && state_ != State::kBroken) {
    state_ = breaks(BodyFault::kTruncated);
  }
}

}  // namespace fairlead::protocol
