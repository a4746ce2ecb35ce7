#include "service/switch/core/canned_response.h"

#include <fmt/format.h>

#include <array>
#include <string>

namespace fairlead::l7 {
namespace {

struct Canned {
  uint16_t status;
  std::string head;
  std::string whole;

  Canned(uint16_t code, std::string_view reason, std::string_view text) : status(code) {
    const std::string body = fmt::format("{} {}: {}.\n", code, reason, text);
    head = fmt::format(
        "HTTP/1.1 {} {}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n"
        "Cache-Control: no-store\r\nConnection: close\r\n\r\n",
        code, reason, body.size());
    whole = head + body;
  }
};

const std::array<Canned, 10>& all() {
  static const std::array<Canned, 10> responses{
      Canned(400, "Bad Request", "the request is malformed"),
      Canned(408, "Request Timeout", "the request did not come in time"),
      Canned(414, "URI Too Long", "the request target is too long"),
      Canned(431, "Request Header Fields Too Large", "the head of the request is too large"),
      Canned(500, "Internal Server Error", "the request could not be passed on"),
      Canned(501, "Not Implemented", "the request uses something that is not supported"),
      Canned(502, "Bad Gateway", "no server gave a valid answer"),
      Canned(503, "Service Unavailable", "no server can take the request now"),
      Canned(504, "Gateway Timeout", "the server did not answer in time"),
      Canned(505, "HTTP Version Not Supported", "only HTTP/1.0 and HTTP/1.1 are supported"),
  };
  return responses;
}

}  // namespace

std::string_view canned_response(uint16_t status, bool head_only) {
  const Canned* found = &all()[4];  // 500
  for (const Canned& response : all()) {
    if (response.status == status) found = &response;
  }
  return head_only ? found->head : found->whole;
}

}  // namespace fairlead::l7
