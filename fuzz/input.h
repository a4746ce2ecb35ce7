// What the fuzz targets of the packet parsers ask of every view: it lies within its input, and all
// of it can be read. libFuzzer and replay_main.cc both give the input as a heap block of its exact
// size, so that AddressSanitizer sees a read one byte past the end.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/check.h"

namespace fairlead::fuzz {

/// Reads every byte, in a way the compiler may not leave out.
inline void read_all(ByteSpan bytes) {
  uint8_t all = 0;
  for (uint8_t byte : bytes) all = static_cast<uint8_t>(all ^ byte);
  volatile uint8_t sink = all;
  static_cast<void>(sink);
}

/// `part` is a part of `whole`: the parser's arithmetic went neither below nor beyond it.
inline void expect_within(ByteSpan part, ByteSpan whole) {
  CHECK(part.data() >= whole.data());
  CHECK(part.data() + part.size() <= whole.data() + whole.size());
  read_all(part);
}

}  // namespace fairlead::fuzz

/// Defined by each target; the name is libFuzzer's.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
