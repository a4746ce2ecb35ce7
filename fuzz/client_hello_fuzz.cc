// A TLS ClientHello of any bytes: refused, or read within its bounds; and what is read or refused
// once stays so, whatever follows.
#include "fuzz/input.h"
#include "service/switch/protocol/client_hello.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using fairlead::protocol::ClientHello;
  const fairlead::ByteSpan bytes(data, size);
  const auto hello = ClientHello::parse(bytes);
  if (hello && *hello) {
    CHECK((*hello)->server_name.size() <= ClientHello::kMaxServerName);
    CHECK((*hello)->alpn.size() <= ClientHello::kMaxAlpn);
  }
  const auto half = ClientHello::parse(bytes.first(size / 2));
  CHECK(half == hello || (half && !*half));
  return 0;
}
