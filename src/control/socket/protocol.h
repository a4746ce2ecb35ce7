// The control protocol: one JSON object per line, request and reply in turn.
//
//   → {"command":"show stats","arguments":{}}
//   ← {"ok":true,"result":{…}}
//   ← {"ok":false,"error":"unknown command \"show stat\"; did you mean \"show stats\"?"}
//
// "arguments" may be left out. A line is at most kMaxRequest bytes long.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

// Compiled once, in protocol.cc.
extern template class nlohmann::basic_json<>;

namespace fairlead::control {

using Json = nlohmann::json;

inline constexpr size_t kMaxRequest = 4096;            // bytes, newline included
inline constexpr size_t kMaxReply = size_t{16} << 20;  // bytes; a longer one becomes an error

struct Request {
  std::string command;
  Json arguments = Json::object();
};

/// Reads a request line. EBADMSG with a message for the sender when it is none.
Result<Request> parse_request(std::string_view line);
/// The line for a request, newline included.
std::string format_request(const Request& request);

/// Reads a reply line: the result, or the error the other side reported. EBADMSG: no reply at all.
Result<Json> parse_reply(std::string_view line);
/// The line for a reply, newline included. Bytes that are no UTF-8 are replaced.
std::string format_reply(const Result<Json>& reply);

}  // namespace fairlead::control
