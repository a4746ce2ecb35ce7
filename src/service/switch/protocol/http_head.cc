#include "service/switch/protocol/http_head.h"

#include <http_parser.h>

#include <algorithm>

#include "service/switch/protocol/http_semantics.h"
#include "service/switch/protocol/http_start_line.h"
#include "service/switch/protocol/http_text.h"

namespace fairlead::protocol {
namespace {

HttpHead& head_of(http_parser* parser) { return *static_cast<HttpHead*>(parser->data); }

int on_target(http_parser* parser, const char* at, size_t size) {
  head_of(parser).target = {at, size};
  return 0;
}

int on_field_name(http_parser* parser, const char* at, size_t size) {
  HttpHead& head = head_of(parser);
  if (head.field_count == head.field_array.size()) return 1;
  // For an empty value the parser points behind its line; whoever edits a head wants the place.
  const std::string_view with_colon(at, size + 1);
  head.field_array[head.field_count++] = {.name = {at, size}, .value = with_colon.substr(size + 1)};
  return 0;
}

int on_field_value(http_parser* parser, const char* at, size_t size) {
  HttpHead& head = head_of(parser);
  if (size > 0) head.field_array[head.field_count - 1].value = trim({at, size});
  return 0;
}

constexpr http_parser_settings kSettings{.on_message_begin = nullptr,
                                         .on_url = on_target,
                                         .on_status = nullptr,
                                         .on_header_field = on_field_name,
                                         .on_header_value = on_field_value,
                                         .on_headers_complete = nullptr,
                                         .on_body = nullptr,
                                         .on_message_complete = nullptr,
                                         .on_chunk_header = nullptr,
                                         .on_chunk_complete = nullptr};

/// All but the fields, which field_count makes invisible.
void clear(HttpHead& head) {
  head.method = head.target = head.path = head.host = {};
  head.status = 0;
  head.content_length.reset();
  head.chunked = head.keep_alive = head.upgrade = head.expect_continue = false;
  head.framing = BodyFraming::kNone;
  head.size = head.field_count = 0;
}

}  // namespace

std::optional<HttpFault> HttpHeadParser::check_start_line(std::string_view line) const {
  return is_request_ ? check_request_line(line) : check_status_line(line);
}

HttpFault HttpHeadParser::fault_of_size() const {
  return is_request_ && state_ == State::kStartLine ? HttpFault::kTargetTooLong
                                                    : HttpFault::kHeadTooLarge;
}

/// Empty lines before a request are skipped (RFC 9112 §2.2), before a response they are a fault.
std::optional<HttpFault> HttpHeadParser::scan_leading(uint8_t c) {
  if (state_ == State::kLeadingCr) {
    if (c != '\n') return HttpFault::kBareCr;
    state_ = State::kLeading;
    ++scanned_;
    return std::nullopt;
  }
  if (c != '\r') {
    start_ = scanned_;
    state_ = State::kStartLine;
    // A start line begins with a token: TLS, for one, is told apart by its first byte.
    if (is_class(c, kTokenChar)) return std::nullopt;
    return is_class(c, kValueChar) ? HttpFault::kStartLine : fault_of_text(c);
  }
  if (!is_request_) return HttpFault::kStartLine;
  if (empty_lines_++ == kMaxLeadingEmptyLines) return HttpFault::kLeadingEmptyLines;
  state_ = State::kLeadingCr;
  ++scanned_;
  return std::nullopt;
}

std::optional<HttpFault> HttpHeadParser::scan_start_line(ByteSpan bytes) {
  const uint8_t* const begin = bytes.data();
  const uint8_t* const end = begin + bytes.size();
  if (state_ == State::kStartLine) {
    const uint8_t* const p = skip_text(begin + scanned_, end);
    scanned_ = static_cast<uint32_t>(p - begin);
    if (p == end) return std::nullopt;
    if (*p != '\r') return fault_of_text(*p);
    ++scanned_;
    state_ = State::kStartLineCr;
  }
  if (scanned_ == bytes.size()) return std::nullopt;
  if (begin[scanned_] != '\n') return HttpFault::kBareCr;
  ++scanned_;
  state_ = State::kFields;
  return check_start_line(as_text(bytes.subspan(start_, scanned_ - 2 - start_)));
}

std::optional<HttpFault> HttpHeadParser::scan(ByteSpan bytes) {
  while (scanned_ < bytes.size() && state_ <= State::kLeadingCr) {
    if (auto fault = scan_leading(bytes[scanned_])) return fault;
  }
  if (state_ == State::kStartLine || state_ == State::kStartLineCr) {
    if (auto fault = scan_start_line(bytes)) return fault;
  }
  if (state_ != State::kFields) return std::nullopt;
  scanned_ += static_cast<uint32_t>(lines_.take(bytes.subspan(scanned_)));
  return lines_.fault();
}

std::expected<bool, HttpFault> HttpHeadParser::parse(ByteSpan bytes, HttpHead& head) {
  if (auto fault = scan(bytes.first(std::min<size_t>(bytes.size(), max_size_)))) {
    return std::unexpected(*fault);
  }
  if (lines_.done()) return read(bytes.first(scanned_), head);
  if (bytes.size() >= max_size_) return std::unexpected(fault_of_size());
  return false;
}

std::expected<bool, HttpFault> HttpHeadParser::read(ByteSpan bytes, HttpHead& head) const {
  clear(head);
  const std::string_view text = as_text(bytes).substr(start_);
  http_parser parser;
  http_parser_init(&parser, is_request_ ? HTTP_REQUEST : HTTP_RESPONSE);
  parser.data = &head;
  const size_t parsed = http_parser_execute(&parser, &kSettings, text.data(), text.size());
  const http_errno error = HTTP_PARSER_ERRNO(&parser);
  if (error == HPE_INVALID_METHOD) return std::unexpected(HttpFault::kMethod);
  if (error == HPE_INVALID_URL) return std::unexpected(HttpFault::kTarget);
  if (error == HPE_INVALID_CONTENT_LENGTH) return std::unexpected(HttpFault::kContentLength);

  head.version = parser.http_minor == 0 ? HttpVersion::k10 : HttpVersion::k11;
  head.size = bytes.size();
  if (is_request_) head.method = text.substr(0, text.find(' '));
  if (!is_request_) head.status = static_cast<uint16_t>(parser.status_code);
  // Asked before the parser's other errors are: it has one for several of our reasons.
  const auto fault = is_request_ ? interpret_request(head) : interpret_response(head, answers_);
  if (fault) return std::unexpected(*fault);
  if (error != HPE_OK || parsed != text.size()) return std::unexpected(HttpFault::kRefusedByParser);
  return true;
}

RequestMethod HttpHead::request_method() const {
  return method == "HEAD"      ? RequestMethod::kHead
         : method == "CONNECT" ? RequestMethod::kConnect
                               : RequestMethod::kOther;
}

std::optional<std::string_view> HttpHead::header(std::string_view name) const {
  for (const HttpField& field : fields()) {
    if (equal_ignoring_case(field.name, name)) return field.value;
  }
  return std::nullopt;
}

std::optional<std::string_view> HttpHead::cookie(std::string_view name) const {
  for (const HttpField& field : fields()) {
    if (!equal_ignoring_case(field.name, "cookie")) continue;
    for (std::string_view rest = field.value; !rest.empty();) {
      std::string_view value = trim(take_until(rest, ';'));
      if (value.contains('=') && take_until(value, '=') == name) return value;
    }
  }
  return std::nullopt;
}

}  // namespace fairlead::protocol
