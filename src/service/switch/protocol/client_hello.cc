#include "service/switch/protocol/client_hello.h"

#include <algorithm>
#include <array>
#include <span>

#include "service/switch/protocol/http_text.h"

namespace fairlead::protocol {
namespace {

constexpr uint8_t kHandshake = 22;    // ContentType, RFC 8446 §5.1
constexpr uint8_t kVersionMajor = 3;  // of every version from SSL 3.0 on
constexpr size_t kRecordHeader = 5;   // type, version, length
constexpr size_t kMaxFragment = 1 << 14;
constexpr uint8_t kClientHello = 1;   // HandshakeType, RFC 8446 §4
constexpr size_t kMessageHeader = 4;  // type, length
constexpr size_t kVersionAndRandom = 2 + 32;
constexpr uint16_t kServerNameExtension = 0;  // RFC 6066 §3
constexpr uint16_t kAlpnExtension = 16;       // RFC 7301 §6
constexpr uint8_t kHostName = 0;              // NameType, RFC 6066 §3

/// Takes vectors in TLS presentation language (RFC 8446 §3.4) off the front of a span. Once one
/// does not fit, everything it gives is empty, and failed() is true.
class Reader {
 public:
  explicit Reader(ByteSpan bytes) : rest_(bytes) {}

  bool failed() const { return failed_; }
  bool empty() const { return rest_.empty(); }

  ByteSpan take(size_t size) {
    if (size > rest_.size()) {
      failed_ = true;
      rest_ = {};
      return {};
    }
    const ByteSpan taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }
  uint16_t number(size_t size) {
    uint16_t value = 0;
    for (const uint8_t byte : take(size)) value = static_cast<uint16_t>(value << 8 | byte);
    return value;
  }
  /// A vector whose length stands before it in one or two bytes.
  ByteSpan vector(size_t length_size) { return take(number(length_size)); }

 private:
  ByteSpan rest_;
  bool failed_ = false;
};

/// Letters, digits, '-', '.', and '_', which names in use have: not an address in brackets, no NUL.
bool is_name_char(char c) {
  return (to_lower(c) >= 'a' && to_lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_';
}

/// RFC 6066 §3: a list with at most one name of each type; host_name is the only type there is.
std::optional<HelloFault> read_server_name(ByteSpan extension, ClientHello& hello) {
  Reader reader(extension);
  Reader list(reader.vector(2));
  if (reader.failed() || !reader.empty() || list.empty()) return HelloFault::kServerName;
  while (!list.empty()) {
    const uint16_t type = list.number(1);
    const std::string_view name = as_text(list.vector(2));
    if (list.failed()) return HelloFault::kServerName;
    if (type != kHostName) continue;
    if (name.empty() || name.size() > ClientHello::kMaxServerName || !hello.server_name.empty() ||
        !std::ranges::all_of(name, is_name_char)) {
      return HelloFault::kServerName;
    }
    hello.server_name.resize(name.size());
    std::ranges::transform(name, hello.server_name.begin(), to_lower);
  }
  return std::nullopt;
}

/// RFC 7301 §3.1: a list of names of 1 to 255 bytes, at least one.
std::optional<HelloFault> read_alpn(ByteSpan extension, ClientHello& hello) {
  Reader reader(extension);
  Reader list(reader.vector(2));
  if (reader.failed() || !reader.empty() || list.empty()) return HelloFault::kAlpn;
  while (!list.empty()) {
    const ByteSpan name = list.vector(1);
    if (list.failed() || name.empty()) return HelloFault::kAlpn;
    if (hello.alpn.size() == ClientHello::kMaxAlpn) return HelloFault::kAlpn;
    hello.alpn.emplace_back(as_text(name));
  }
  return std::nullopt;
}

std::optional<HelloFault> read_extensions(Reader extensions, ClientHello& hello) {
  bool seen_server_name = false;
  bool seen_alpn = false;
  while (!extensions.empty()) {
    const uint16_t type = extensions.number(2);
    const ByteSpan data = extensions.vector(2);
    if (extensions.failed()) return HelloFault::kMalformed;
    std::optional<HelloFault> fault;
    if (type == kServerNameExtension) {
      fault = seen_server_name ? HelloFault::kRepeatedExtension : read_server_name(data, hello);
      seen_server_name = true;
    } else if (type == kAlpnExtension) {
      fault = seen_alpn ? HelloFault::kRepeatedExtension : read_alpn(data, hello);
      seen_alpn = true;
    }
    if (fault) return fault;
  }
  return std::nullopt;
}

/// The body of a ClientHello (RFC 8446 §4.1.2). TLS 1.2 allows one without extensions (RFC 5246
/// §7.4.1.2).
std::expected<std::optional<ClientHello>, HelloFault> read_message(ByteSpan body) {
  Reader reader(body);
  reader.take(kVersionAndRandom);
  const ByteSpan session_id = reader.vector(1);
  const ByteSpan cipher_suites = reader.vector(2);
  const ByteSpan compression_methods = reader.vector(1);
  if (reader.failed() || session_id.size() > 32 || cipher_suites.empty() ||
      cipher_suites.size() % 2 != 0 || compression_methods.empty()) {
    return std::unexpected(HelloFault::kMalformed);
  }
  ClientHello hello;
  if (reader.empty()) return hello;
  const Reader extensions(reader.vector(2));
  if (reader.failed() || !reader.empty()) return std::unexpected(HelloFault::kMalformed);
  if (auto fault = read_extensions(extensions, hello)) return std::unexpected(*fault);
  return hello;
}

/// The fragments of the handshake messages so far, in order, without the record headers.
struct Fragments {
  std::array<ByteSpan, ClientHello::kMaxRecords> parts;
  size_t count = 0;
  size_t size = 0;

  /// The first bytes of all, at most as many as `into` has. Returns how many.
  size_t copy(MutableByteSpan into) const {
    size_t copied = 0;
    for (const ByteSpan part : std::span(parts).first(count)) {
      const size_t n = std::min(part.size(), into.size() - copied);
      std::ranges::copy(part.first(n), into.begin() + static_cast<ptrdiff_t>(copied));
      copied += n;
    }
    return copied;
  }
};

/// The length of the message behind its header, as soon as the fragments have that header.
std::expected<std::optional<size_t>, HelloFault> message_size(const Fragments& fragments) {
  std::array<uint8_t, kMessageHeader> header{};
  const size_t have = fragments.copy(header);
  if (have > 0 && header[0] != kClientHello) return std::unexpected(HelloFault::kNotClientHello);
  if (have < kMessageHeader) return std::nullopt;
  const size_t size = size_t{header[1]} << 16 | size_t{header[2]} << 8 | header[3];
  if (size > ClientHello::kMaxMessage) return std::unexpected(HelloFault::kTooLong);
  return size;
}

/// Adds the record at the front of `bytes`, as far as it is there, and returns what lies behind it.
std::expected<ByteSpan, HelloFault> add_record(ByteSpan bytes, Fragments& to) {
  if (bytes[0] != kHandshake || (bytes.size() > 1 && bytes[1] != kVersionMajor)) {
    return std::unexpected(HelloFault::kNotTls);
  }
  if (bytes.size() < kRecordHeader) return ByteSpan();
  const size_t size = size_t{bytes[3]} << 8 | bytes[4];
  if (size == 0 || size > kMaxFragment) return std::unexpected(HelloFault::kRecordSize);
  if (to.count == to.parts.size()) return std::unexpected(HelloFault::kTooManyRecords);
  const ByteSpan behind = bytes.subspan(kRecordHeader);
  const ByteSpan fragment = behind.first(std::min(size, behind.size()));
  to.parts[to.count++] = fragment;
  to.size += fragment.size();
  return behind.subspan(fragment.size());
}

}  // namespace

std::expected<std::optional<ClientHello>, HelloFault> ClientHello::parse(ByteSpan bytes) {
  Fragments fragments;
  std::optional<size_t> size;
  while (!bytes.empty() && !(size && fragments.size >= kMessageHeader + *size)) {
    const auto behind = add_record(bytes, fragments);
    if (!behind) return std::unexpected(behind.error());
    bytes = *behind;
    if (size) continue;
    const auto told = message_size(fragments);
    if (!told) return std::unexpected(told.error());
    size = *told;
  }
  if (!size || fragments.size < kMessageHeader + *size) return std::nullopt;
  if (fragments.count == 1) return read_message(fragments.parts[0].subspan(kMessageHeader, *size));
  std::vector<uint8_t> message(kMessageHeader + *size);
  fragments.copy(message);
  return read_message(ByteSpan(message).subspan(kMessageHeader));
}

}  // namespace fairlead::protocol
