// The channel between host stack and NIC stack: any bytes are decoded or refused with a reason;
// what was understood lies within the frame, and survives being written and read again.
#include <algorithm>
#include <string>
#include <variant>
#include <vector>

#include "fuzz/input.h"
#include "nic/channel/channel.h"
#include "tests/channel_messages.h"

namespace fairlead::nic {
namespace {

void on_frame(ByteSpan input) {
  std::vector<uint8_t> frame(input.begin(), input.end());
  frame.shrink_to_fit();
  const Result<ChannelMessage> message = decode(frame);
  if (!message) {
    CHECK(message.error().code == Errc::kBadMessage && !message.error().message.empty());
    CHECK(message.error().message.find('\n') == std::string::npos);
    return;
  }
  CHECK(is_channel_message(input));
  if (const auto* made = std::get_if<NewConnectionMessage>(&*message)) {
    fuzz::expect_within(made->packet.frame, frame);
  } else if (const auto* closing = std::get_if<TeardownMessage>(&*message)) {
    fuzz::expect_within(closing->data, frame);
  }
  const std::vector<uint8_t> written = test::encoded_again(*message, input);
  // A closing connection's packet is built anew: only what it says is the same.
  if (!std::holds_alternative<TeardownMessage>(*message)) {
    CHECK(std::ranges::equal(written, input.first(written.size())));
  }
  std::vector<uint8_t> copy = written;
  const Result<ChannelMessage> again = decode(copy);
  CHECK(again && test::encoded_again(*again, written) == written);
}

}  // namespace
}  // namespace fairlead::nic

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fairlead::nic::on_frame({data, size});
  return 0;
}
