#include "control/socket/protocol.h"

#include <fmt/format.h>

#include <utility>

template class nlohmann::basic_json<>;

namespace fairlead::control {
namespace {

std::string to_line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Json parse(std::string_view text) { return Json::parse(text, nullptr, /*allow_exceptions=*/false); }

}  // namespace

Result<Request> parse_request(std::string_view line) {
  Json json = parse(line);
  if (json.is_discarded()) return fail(Errc::kBadMessage, "found no JSON; expected one object");
  if (!json.is_object() || !json.contains("command") || !json["command"].is_string()) {
    return fail(Errc::kBadMessage, R"(expected an object with a string "command")");
  }
  Request request{.command = json["command"].get<std::string>()};
  if (json.contains("arguments")) {
    if (!json["arguments"].is_object()) {
      return fail(Errc::kBadMessage, R"(expected "arguments" to be an object)");
    }
    request.arguments = std::move(json["arguments"]);
  }
  return request;
}

std::string format_request(const Request& request) {
  return to_line({{"command", request.command}, {"arguments", request.arguments}});
}

Result<Json> parse_reply(std::string_view line) {
  Json json = parse(line);
  if (json.is_object() && json.contains("ok") && json["ok"].is_boolean()) {
    if (json["ok"].get<bool>() && json.contains("result")) return std::move(json["result"]);
    if (json.contains("error") && json["error"].is_string()) {
      return fail(Errc::kInvalidArgument, json["error"].get<std::string>());
    }
  }
  return fail(Errc::kBadMessage, "the reply is not in the control protocol");
}

std::string format_reply(const Result<Json>& reply) {
  if (!reply) return to_line({{"ok", false}, {"error", reply.error().to_string()}});
  std::string line = to_line({{"ok", true}, {"result", *reply}});
  if (line.size() <= kMaxReply) return line;
  return format_reply(
      fail(Errc::kMessageTooLong,
           fmt::format("the reply has {} bytes, more than the {} allowed; ask for less",
                       line.size(), kMaxReply)));
}

}  // namespace fairlead::control
