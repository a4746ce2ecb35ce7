#include "tests/channel_messages.h"

#include <algorithm>
#include <type_traits>
#include <variant>

#include "base/check.h"

namespace fairlead::test {
namespace {

constexpr size_t kAnyPacket = 14 + 65535 + nic::kMaxChannelOverhead;

nic::ChannelLink link_of(ByteSpan frame) {
  nic::ChannelLink link;
  std::ranges::copy(frame.first(6), link.destination.bytes.begin());
  std::ranges::copy(frame.subspan(6, 6), link.source.bytes.begin());
  return link;
}

}  // namespace

std::vector<uint8_t> encoded_again(const nic::ChannelMessage& message, ByteSpan frame) {
  std::vector<uint8_t> out(kAnyPacket);
  const Result<size_t> size = std::visit(
      [&](const auto& body) -> Result<size_t> {
        using Body = std::decay_t<decltype(body)>;
        if constexpr (std::is_same_v<Body, nic::NewConnectionMessage>) {
          return nic::encode(body.connection, body.packet, out);
        } else if constexpr (std::is_same_v<Body, nic::TeardownMessage>) {
          return nic::encode(body.handover(), out);
        } else {
          return nic::encode(body, link_of(frame), out);
        }
      },
      message);
  CHECK(size);
  out.resize(*size);
  return out;
}

}  // namespace fairlead::test
