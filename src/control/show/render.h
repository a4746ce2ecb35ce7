// The replies of a running daemon as text for people. doc/control.md describes the JSON.
//
// The JSON comes over a socket, perhaps from another version: what is missing or of another kind
// shows as "-", and nothing here can fail.
#pragma once

#include <string>

#include "control/socket/protocol.h"

namespace fairlead::control {

std::string render_version(const Json& version);
std::string render_listeners(const Json& listeners);
/// Of `show tcp` and `show connections`: sessions of the switch, or TCP connections.
std::string render_connections(const Json& connections);
std::string render_servers(const Json& servers);
std::string render_stats(const Json& stats);
/// Of `drain`, `enable`, `disable`.
std::string render_admin(const Json& change);
std::string render_reload(const Json& reload);
std::string render_stop(const Json& stop);

}  // namespace fairlead::control
