#include "service/switch/protocol/http_semantics.h"

#include <charconv>
#include <system_error>

#include "service/switch/protocol/http_start_line.h"
#include "service/switch/protocol/http_text.h"

namespace fairlead::protocol {
namespace {

/// The fields that are looked at, gathered in one walk.
struct Gathered {
  std::optional<std::string_view> host;
  std::optional<std::string_view> length;
  std::optional<std::string_view> coding;
  bool close = false;
  bool keep_alive = false;
  bool connection_upgrade = false;
  bool upgrade = false;
  bool expect_continue = false;
  std::optional<HttpFault> fault;
};

/// Connection options are a list, case-insensitive, over any number of fields (RFC 9110 §7.6.1).
void gather_connection(Gathered& to, std::string_view value) {
  while (!value.empty()) {
    const std::string_view option = trim(take_until(value, ','));
    to.close |= equal_ignoring_case(option, "close");
    to.keep_alive |= equal_ignoring_case(option, "keep-alive");
    to.connection_upgrade |= equal_ignoring_case(option, "upgrade");
  }
}

void gather_once(Gathered& to, std::optional<std::string_view>& slot, const HttpField& field,
                 HttpFault repeated) {
  if (slot) to.fault = repeated;
  slot = field.value;
}

Gathered gather(std::span<const HttpField> fields) {
  Gathered to;
  for (const HttpField& field : fields) {
    const auto is = [&](std::string_view name) { return equal_ignoring_case(field.name, name); };
    switch (field.name.size()) {  // most fields are none of these, and are left here
      case 4:
        if (is("host")) gather_once(to, to.host, field, HttpFault::kHostRepeated);
        break;
      case 6:
        if (is("expect")) to.expect_continue |= equal_ignoring_case(field.value, "100-continue");
        break;
      case 7:
        if (is("upgrade")) to.upgrade = true;
        break;
      case 10:
        if (is("connection")) gather_connection(to, field.value);
        break;
      case 14:
        if (is("content-length")) {
          gather_once(to, to.length, field, HttpFault::kContentLengthRepeated);
        }
        break;
      case 17:
        // Several would be one list (RFC 9110 §5.3): not among those who are in earnest.
        if (is("transfer-encoding")) gather_once(to, to.coding, field, HttpFault::kTransferCoding);
        break;
      default:
        break;
    }
  }
  return to;
}

/// 1*DIGIT within 64 bits (RFC 9110 §8.6); also not the list "5, 5" that §8.6 lets one accept.
std::optional<uint64_t> parse_length(std::string_view text) {
  uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || rest != end) return std::nullopt;
  return value;
}

bool is_known_coding(std::string_view coding) {  // RFC 9112 §7
  return equal_ignoring_case(coding, "gzip") || equal_ignoring_case(coding, "x-gzip") ||
         equal_ignoring_case(coding, "deflate") || equal_ignoring_case(coding, "compress") ||
         equal_ignoring_case(coding, "x-compress");
}

/// Chunked exactly once and last; before it, codings that are known (RFC 9112 §6.1). Empty members,
/// which RFC 9110 §5.6.1.2 has a recipient ignore, are refused: not every recipient ignores them.
std::optional<HttpFault> check_coding(std::string_view list) {
  std::optional<HttpFault> fault = HttpFault::kTransferCoding;
  bool chunked = false;
  bool unknown = false;
  for (bool more = true; more;) {
    more = list.contains(',');
    const std::string_view coding = trim(take_until(list, ','));
    if (coding.empty() || !all_of_class(coding, kTokenChar) || chunked) return fault;
    chunked = equal_ignoring_case(coding, "chunked");
    unknown |= !chunked && !is_known_coding(coding);
  }
  if (!chunked) return fault;
  return unknown ? std::optional(HttpFault::kTransferCodingUnknown) : std::nullopt;
}

std::optional<HttpFault> interpret_framing(HttpHead& head, const Gathered& from) {
  if (from.length) {
    head.content_length = parse_length(*from.length);
    if (!head.content_length) return HttpFault::kContentLength;
  }
  if (!from.coding) return std::nullopt;
  if (from.length) return HttpFault::kLengthAndCoding;                              // §6.3 item 3
  if (head.version == HttpVersion::k10) return HttpFault::kTransferCodingInHttp10;  // §6.1
  head.chunked = true;
  return check_coding(*from.coding);
}

/// RFC 9112 §9.3
bool persists(const HttpHead& head, const Gathered& from) {
  return !from.close && (head.version == HttpVersion::k11 || from.keep_alive);
}

std::optional<HttpFault> interpret_host(HttpHead& head, const Gathered& from) {
  const auto target = split_target(head.method, head.target);
  if (!target) return target.error();
  head.path = target->path;
  head.host = from.host.value_or(target->authority);
  if (!from.host && head.version == HttpVersion::k11) return HttpFault::kHostMissing;
  if (!is_valid_host(head.host)) return HttpFault::kHostInvalid;
  // RFC 9112 §3.2 has the client send the very authority of its target; §3.2.2 lets the target win,
  // but whoever routed this before us may have gone by the field.
  if (!target->authority.empty() && !equal_ignoring_case(head.host, target->authority)) {
    return HttpFault::kHostDiffers;
  }
  return std::nullopt;
}

}  // namespace

std::optional<HttpFault> interpret_request(HttpHead& head) {
  const Gathered from = gather(head.fields());
  if (from.fault) return from.fault;
  if (auto fault = interpret_host(head, from)) return fault;
  if (auto fault = interpret_framing(head, from)) return fault;
  const bool is_11 = head.version == HttpVersion::k11;
  head.keep_alive = persists(head, from);
  head.upgrade = is_11 && from.upgrade && from.connection_upgrade;  // RFC 9110 §7.8
  head.expect_continue = is_11 && from.expect_continue;             // RFC 9110 §10.1.1
  head.framing = head.chunked          ? BodyFraming::kChunked
                 : head.content_length ? BodyFraming::kLength
                                       : BodyFraming::kNone;
  return std::nullopt;
}

std::optional<HttpFault> interpret_response(HttpHead& head, RequestMethod answers) {
  const Gathered from = gather(head.fields());
  if (from.fault) return from.fault;
  if (auto fault = interpret_framing(head, from)) return fault;
  const bool tunnel = answers == RequestMethod::kConnect && head.status / 100 == 2;
  head.upgrade = tunnel || head.status == 101;
  const bool bodiless = head.status / 100 == 1 || head.status == 204 || head.status == 304;
  if (bodiless || tunnel || answers == RequestMethod::kHead) {  // RFC 9112 §6.3 items 1 and 2
    head.framing = BodyFraming::kNone;
  } else if (head.chunked) {
    head.framing = BodyFraming::kChunked;
  } else {
    head.framing = head.content_length ? BodyFraming::kLength : BodyFraming::kUntilClose;
  }
  head.keep_alive = persists(head, from) && head.framing != BodyFraming::kUntilClose;
  return std::nullopt;
}

}  // namespace fairlead::protocol
