// What the fields of a head mean for the one who forwards it: which host, how the body is
// delimited, whether the connection persists. Pure functions of a head whose lines are split.
#pragma once

#include <optional>

#include "service/switch/protocol/http_head.h"

namespace fairlead::protocol {

/// From method, target, version and fields, fills in the rest of a request's head.
std::optional<HttpFault> interpret_request(HttpHead& head);

/// From status, version and fields, fills in the rest of a response's head.
std::optional<HttpFault> interpret_response(HttpHead& head, RequestMethod answers);

}  // namespace fairlead::protocol
