// A body of any bytes ends, or breaks, at the same byte however it is cut. The first byte says how
// it is framed and how it is cut.
#include <algorithm>

#include "fuzz/input.h"
#include "service/switch/protocol/body_framer.h"

namespace fairlead::protocol {
namespace {

struct Outcome {
  size_t taken = 0;
  bool finished = false;
  std::optional<BodyFault> fault;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome run(BodyFramer framer, ByteSpan bytes, size_t step) {
  size_t taken = 0;
  while (taken < bytes.size() && !framer.finished() && !framer.fault()) {
    const ByteSpan piece = bytes.subspan(taken, std::min(step, bytes.size() - taken));
    const size_t n = framer.take(piece);
    CHECK(n <= piece.size());
    CHECK(n == piece.size() || framer.finished() || framer.fault());
    taken += n;
  }
  CHECK(framer.take({}) == 0);
  return {.taken = taken, .finished = framer.finished(), .fault = framer.fault()};
}

}  // namespace
}  // namespace fairlead::protocol

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fairlead::protocol;
  if (size == 0) return 0;
  const fairlead::ByteSpan bytes(data + 1, size - 1);
  // Most of the choices are chunked: the others have little to find.
  const BodyFramer framer = data[0] < 8 ? BodyFramer(static_cast<BodyFraming>(data[0] % 4), size)
                                        : BodyFramer(BodyFraming::kChunked);
  const Outcome whole = run(framer, bytes, SIZE_MAX);
  CHECK(run(framer, bytes, 1) == whole);
  CHECK(run(framer, bytes, size_t{1} + data[0]) == whole);
  return 0;
}
