// What the switch itself answers when no server can: a status line, a line of text, and the end of
// the connection.
#pragma once

#include <cstdint>
#include <string_view>

namespace fairlead::l7 {

/// The whole response to a request that was refused with `status`: 400, 408, 414, 431, 500 to 505.
/// `head_only`: without the body, for HEAD.
std::string_view canned_response(uint16_t status, bool head_only);

}  // namespace fairlead::l7
