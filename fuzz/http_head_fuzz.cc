// A head of any bytes: taken or refused alike whole and in two pieces, its views within it; and
// once X-Forwarded-For is added, still the same request with that one more address. The first byte
// says request or response, and where to cut.
#include <array>
#include <memory>
#include <vector>

#include "fuzz/input.h"
#include "service/switch/protocol/forwarded_for.h"
#include "service/switch/protocol/http_head.h"
#include "service/switch/protocol/http_text.h"

namespace fairlead::protocol {
namespace {

ByteSpan as_bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

void check_views(const HttpHead& head, ByteSpan input) {
  CHECK(head.size > 0 && head.size <= input.size());
  const ByteSpan bytes = input.first(head.size);
  if (!head.method.empty()) {
    fuzz::expect_within(as_bytes(head.method), bytes);
    fuzz::expect_within(as_bytes(head.target), bytes);
  }
  if (!head.host.empty()) fuzz::expect_within(as_bytes(head.host), bytes);
  for (const HttpField& field : head.fields()) {
    CHECK(!field.name.empty());
    CHECK(head.header(field.name).has_value());
    fuzz::expect_within(as_bytes(field.name), bytes);
    fuzz::expect_within(as_bytes(field.value), bytes);
  }
  if (const auto cookie = head.cookie("a"); cookie) fuzz::read_all(as_bytes(*cookie));
  CHECK(!(head.chunked && head.content_length));
}

void check_forwarded(const HttpHead& head, ByteSpan bytes) {
  const IpAddress client = IpAddress::v4(0xC000'0201);
  std::vector<uint8_t> out(head.size + kForwardedForRoom);
  const auto size = write_with_forwarded_for(bytes, head, client, out);
  CHECK(size.has_value());
  const auto again = std::make_unique<HttpHead>();
  const auto result =
      HttpHeadParser::request(HttpHeadParser::kMaxSize).parse(ByteSpan(out).first(*size), *again);
  if (!result) {  // it may have reached a bound
    CHECK(result.error() == HttpFault::kTooManyFields ||
          result.error() == HttpFault::kHeadTooLarge);
    return;
  }
  CHECK(*result && again->size == *size);
  CHECK(again->target == head.target && again->host == head.host);
  CHECK(again->framing == head.framing && again->content_length == head.content_length);
  CHECK(again->keep_alive == head.keep_alive && again->upgrade == head.upgrade);
  const std::string_view last = [&] {
    std::string_view value;
    for (const HttpField& field : again->fields()) {
      if (equal_ignoring_case(field.name, "x-forwarded-for")) value = field.value;
    }
    return value;
  }();
  CHECK(last.ends_with("192.0.2.1"));
}

void on_head(uint8_t choice, ByteSpan bytes) {
  const bool is_request = (choice & 1) != 0;
  const auto method = static_cast<RequestMethod>((choice >> 1) % 3);
  const HttpHeadParser fresh =
      is_request ? HttpHeadParser::request() : HttpHeadParser::response(method);
  const auto head = std::make_unique<HttpHead>();
  HttpHeadParser whole = fresh;
  const auto result = whole.parse(bytes, *head);

  HttpHeadParser pieces = fresh;
  const auto other = std::make_unique<HttpHead>();
  auto early = pieces.parse(bytes.first(bytes.size() * choice / 255), *other);
  if (early && !*early) early = pieces.parse(bytes, *other);
  CHECK(early == result);

  if (!result || !*result) return;
  CHECK(other->size == head->size && other->framing == head->framing);
  check_views(*head, bytes);
  if (is_request) check_forwarded(*head, bytes);
}

}  // namespace
}  // namespace fairlead::protocol

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 0) fairlead::protocol::on_head(data[0], {data + 1, size - 1});
  return 0;
}
