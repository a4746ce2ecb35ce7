#include "service/switch/protocol/field_lines.h"

#include <cstring>

#include "service/switch/protocol/http_text.h"

namespace fairlead::protocol {
namespace {

constexpr uint64_t kOnes = 0x0101'0101'0101'0101;
constexpr uint64_t kHighs = kOnes << 7;

/// Whether any of eight bytes is below 0x20 or is 0x7f. (Exact: a borrow can only come from a byte
/// that is itself such a one. HTAB counts as below and is looked at again by the table.)
bool has_control(uint64_t word) {
  const uint64_t below = (word - kOnes * 0x20) & ~word;
  const uint64_t del = word ^ (kOnes * 0x7f);
  return ((below | ((del - kOnes) & ~del)) & kHighs) != 0;
}

}  // namespace

const uint8_t* skip_text(const uint8_t* p, const uint8_t* end) {
  for (; end - p >= 8; p += 8) {
    uint64_t word;
    std::memcpy(&word, p, sizeof word);
    if (has_control(word)) break;
  }
  while (p != end && is_class(*p, kValueChar)) ++p;
  return p;
}

HttpFault fault_of_text(uint8_t c) {
  return c == '\n' ? HttpFault::kBareLf : HttpFault::kControlCharacter;
}

FieldLines::State FieldLines::refuse(HttpFault fault) {
  fault_ = fault;
  return State::kRefused;
}

FieldLines::State FieldLines::on_line_start(uint8_t c) {
  if (c == '\r') return State::kLastCr;
  if (c == '\n') return refuse(HttpFault::kBareLf);
  if (c == ' ' || c == '\t') return refuse(HttpFault::kObsFold);  // RFC 9112 §5.2, §2.2
  if (!is_class(c, kTokenChar)) return refuse(HttpFault::kFieldName);
  if (fields_ == kMaxFields) return refuse(HttpFault::kTooManyFields);
  ++fields_;
  return State::kName;
}

size_t FieldLines::take(ByteSpan bytes) {
  const uint8_t* p = bytes.data();
  const uint8_t* const end = p + bytes.size();
  while (p != end && state_ != State::kDone && state_ != State::kRefused) {
    switch (state_) {
      case State::kLineStart:
        state_ = on_line_start(*p++);
        break;
      case State::kName:
        while (p != end && is_class(*p, kTokenChar)) ++p;
        if (p == end) break;
        if (*p == ':') {
          state_ = State::kValue;
        } else if (*p == ' ' || *p == '\t') {
          state_ = refuse(HttpFault::kFieldNameSpace);  // RFC 9112 §5.1
        } else {
          state_ = refuse(*p == '\n' ? HttpFault::kBareLf : HttpFault::kFieldName);
        }
        ++p;
        break;
      case State::kValue:
        p = skip_text(p, end);
        if (p == end) break;
        state_ = *p == '\r' ? State::kLineCr : refuse(fault_of_text(*p));
        ++p;
        break;
      case State::kLineCr:
        state_ = *p++ == '\n' ? State::kLineStart : refuse(HttpFault::kBareCr);
        break;
      case State::kLastCr:
        state_ = *p++ == '\n' ? State::kDone : refuse(HttpFault::kBareCr);
        break;
      case State::kDone:
      case State::kRefused:
        break;
    }
  }
  return static_cast<size_t>(p - bytes.data());
}

}  // namespace fairlead::protocol
