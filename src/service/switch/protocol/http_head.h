// HttpHead: what the head of an HTTP/1.x message says (RFC 9112), as views into the bytes it was
// parsed from.
//
// The head is read twice, each time once per byte. As bytes come, HttpHeadParser checks characters
// and line structure, with a resumable position, so that a client that sends byte by byte costs no
// more than one that does not, and what can't become a head is refused at once. When the head is
// whole, http_parser splits it and interpret_head() (http_semantics.h) gives it meaning.
//
// Debian builds http_parser with HTTP_PARSER_STRICT=0: it takes bare LF, obs-fold, spaces in field
// names, several spaces in a request line, HTTP/0.9, any version, '#' and bytes above 0x7f in a
// target, and "Connection: close<HTAB>" for something else than close. All of that is decided here
// before it is asked; its word counts only where it refuses. It knows 34 methods by name; a request
// with another one is answered 501 (RFC 9110 §9.1).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "service/switch/protocol/field_lines.h"
#include "service/switch/protocol/http_fault.h"

namespace fairlead::protocol {

enum class HttpVersion : uint8_t { k10, k11 };

/// How the message's body is delimited (RFC 9112 §6.3).
enum class BodyFraming : uint8_t { kNone, kLength, kChunked, kUntilClose };

/// What a response's framing depends on: the method of the request it answers.
enum class RequestMethod : uint8_t { kOther, kHead, kConnect };

struct HttpField {
  std::string_view name;
  std::string_view value;  // without the whitespace around it
};

/// Some 3 KiB: one per shard to parse into, rather than one per connection. Everything refers to
/// the bytes parsed, and is valid as long as they stay where they are.
struct HttpHead {
  // Request line. A path is without its query; "/" when an absolute-form has none, empty for
  // CONNECT, "*" for asterisk-form.
  std::string_view method;
  std::string_view target;
  std::string_view path;
  // Status line.
  uint16_t status = 0;

  HttpVersion version = HttpVersion::k11;
  std::string_view host;  // with port if it has one; Host's value, without Host the target's
  std::optional<uint64_t> content_length;
  bool chunked = false;
  bool keep_alive = false;  // a response until close is never
  /// Request: asks to switch protocols. Response: from here on there is no HTTP on this connection,
  /// for it is a 101 or a 2xx to CONNECT.
  bool upgrade = false;
  bool expect_continue = false;
  BodyFraming framing = BodyFraming::kNone;
  size_t size = 0;  // bytes from the first given to the last of the empty line that ends it

  std::span<const HttpField> fields() const { return {field_array.data(), field_count}; }
  /// The first field of that name, in any case.
  std::optional<std::string_view> header(std::string_view name) const;
  /// The first cookie of that name, quotes included if it has them (RFC 6265 §4.2.1, §5.4).
  std::optional<std::string_view> cookie(std::string_view name) const;
  RequestMethod request_method() const;

  std::array<HttpField, FieldLines::kMaxFields> field_array;
  size_t field_count = 0;
};

class HttpHeadParser {
 public:
  static constexpr uint32_t kDefaultMaxSize = 16 << 10;
  /// Below http_parser's own bound of 80 KiB.
  static constexpr uint32_t kMaxSize = 64 << 10;
  /// RFC 9112 §2.2 asks for one to be ignored, for clients that send one after a body.
  static constexpr uint8_t kMaxLeadingEmptyLines = 4;

  /// For a request. A head of more than `max_size` bytes is refused; kMaxSize is the most.
  static HttpHeadParser request(uint32_t max_size = kDefaultMaxSize) {
    return HttpHeadParser(true, RequestMethod::kOther, max_size);
  }
  /// For the response to a request with that method. After a 1xx other than 101, another follows:
  /// use a new parser.
  static HttpHeadParser response(RequestMethod method, uint32_t max_size = kDefaultMaxSize) {
    return HttpHeadParser(false, method, max_size);
  }

  /// `bytes` begins where the head does and may only grow from call to call (it may move). True:
  /// `head` is filled in; bytes behind head.size are not part of it. False: more are needed.
  /// Once it has given true or a fault, the parser is used up.
  std::expected<bool, HttpFault> parse(ByteSpan bytes, HttpHead& head);

 private:
  enum class State : uint8_t { kLeading, kLeadingCr, kStartLine, kStartLineCr, kFields };

  HttpHeadParser(bool is_request, RequestMethod answers, uint32_t max_size)
      : max_size_(max_size < kMaxSize ? max_size : kMaxSize),
        is_request_(is_request),
        answers_(answers) {}

  std::optional<HttpFault> scan(ByteSpan bytes);
  std::optional<HttpFault> scan_leading(uint8_t c);
  std::optional<HttpFault> scan_start_line(ByteSpan bytes);
  std::optional<HttpFault> check_start_line(std::string_view line) const;
  HttpFault fault_of_size() const;
  std::expected<bool, HttpFault> read(ByteSpan bytes, HttpHead& head) const;

  uint32_t max_size_;
  uint32_t scanned_ = 0;
  uint32_t start_ = 0;  // of the start line
  State state_ = State::kLeading;
  uint8_t empty_lines_ = 0;
  bool is_request_;
  RequestMethod answers_;
  FieldLines lines_;
};

}  // namespace fairlead::protocol
