// What the head of a request costs: the one a browser sends (some 300 bytes), whole and in pieces,
// and a long one. And the one byte by byte, which must cost per byte what the others do.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "service/switch/protocol/http_head.h"

namespace fairlead::protocol {
namespace {

std::string browser_request(size_t cookie_size) {
  return "GET /assets/app.js?v=1700000000 HTTP/1.1\r\n"
         "Host: www.example.org\r\n"
         "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
         "Accept: */*\r\n"
         "Accept-Language: en-US,en;q=0.5\r\n"
         "Accept-Encoding: gzip, deflate, br\r\n"
         "Connection: keep-alive\r\n"
         "Cookie: session=" +
         std::string(cookie_size, 'x') + "\r\n\r\n";
}

void parse_in_steps(benchmark::State& state, const std::string& text, size_t step) {
  const ByteSpan bytes(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  HttpHead head;
  for ([[maybe_unused]] auto _ : state) {
    HttpHeadParser parser = HttpHeadParser::request();
    bool whole = false;
    for (size_t given = 0; !whole && given < bytes.size();) {
      given = std::min(given + step, bytes.size());
      whole = parser.parse(bytes.first(given), head).value_or(false);
    }
    if (!whole) state.SkipWithError("the request was not taken");
    benchmark::DoNotOptimize(head);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(text.size()));
}

void BM_BrowserRequest(benchmark::State& state) {
  parse_in_steps(state, browser_request(32), SIZE_MAX / 2);
}
BENCHMARK(BM_BrowserRequest);

void BM_LongCookie(benchmark::State& state) {
  parse_in_steps(state, browser_request(static_cast<size_t>(state.range(0))), SIZE_MAX / 2);
}
BENCHMARK(BM_LongCookie)->Arg(1 << 10)->Arg(8 << 10);

void BM_ByteByByte(benchmark::State& state) {
  parse_in_steps(state, browser_request(static_cast<size_t>(state.range(0))), 1);
}
BENCHMARK(BM_ByteByByte)->Arg(32)->Arg(1 << 10)->Arg(8 << 10);

void BM_ShortestRequest(benchmark::State& state) {
  parse_in_steps(state, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", SIZE_MAX / 2);
}
BENCHMARK(BM_ShortestRequest);

}  // namespace
}  // namespace fairlead::protocol

BENCHMARK_MAIN();
