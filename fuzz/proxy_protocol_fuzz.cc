// A PROXY protocol header of any bytes: what is read is within its bounds, is incomplete at any
// lesser size or refused there already, and is read the same once written again.
#include <array>

#include "fuzz/input.h"
#include "service/switch/protocol/proxy_protocol.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fairlead::protocol;
  const fairlead::ByteSpan bytes(data, size);
  const auto header = ProxyHeader::parse(bytes);
  const auto half = ProxyHeader::parse(bytes.first(size / 2));
  CHECK(half == header || (half && !*half));
  if (!header || !*header) return 0;
  CHECK((*header)->size <= size);
  const auto& addresses = (*header)->addresses;
  for (ProxyVersion version : {ProxyVersion::kV1, ProxyVersion::kV2}) {
    std::array<uint8_t, ProxyHeader::kMaxEmitted> out{};
    const size_t emitted = ProxyHeader::emit(version, addresses, out);
    const auto again = ProxyHeader::parse(fairlead::ByteSpan(out).first(emitted));
    CHECK(again && *again && (*again)->size == emitted);
    const bool one_family =
        addresses && addresses->source.address.is_v4() == addresses->destination.address.is_v4();
    CHECK((*again)->addresses == (one_family ? addresses : std::nullopt));
  }
  return 0;
}
