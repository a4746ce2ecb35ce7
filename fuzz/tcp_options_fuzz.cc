// TCP options: any bytes parse, and what was understood survives being written and read again.
#include <algorithm>
#include <array>

#include "fuzz/input.h"
#include "wire/tcp_options.h"

namespace fairlead::wire {
namespace {

/// What emit() writes of `parsed`: neither the marks about options that are not ours to send, nor
/// blocks that 40 bytes have no room for.
TcpOptions sendable(const TcpOptions& parsed, uint8_t sack_count) {
  TcpOptions options = parsed;
  options.fast_open = options.authenticated = options.malformed = false;
  options.unknown = 0;
  options.sack_count = sack_count;
  std::ranges::fill(options.sack.begin() + sack_count, options.sack.end(), SackBlock{});
  return options;
}

void on_options(ByteSpan bytes) {
  const TcpOptions parsed = TcpOptions::parse(bytes);
  CHECK(parsed.sack_count <= TcpOptions::kMaxSackBlocks);
  CHECK(parsed.window_scale.value_or(0) <= TcpOptions::kMaxWindowScale);

  std::array<uint8_t, TcpOptions::kMaxSize> out{};
  const size_t size = parsed.emit(out);
  CHECK(size <= out.size() && size % 4 == 0);
  const TcpOptions again = TcpOptions::parse(ByteSpan(out).first(size));
  CHECK(again.sack_count <= parsed.sack_count);
  CHECK(again == sendable(parsed, again.sack_count));
}

}  // namespace
}  // namespace fairlead::wire

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fairlead::wire::on_options({data, size});
  return 0;
}
