// The directives of a configuration file: the tables read_block() works by.
#pragma once

#include <span>

#include "control/config/config.h"
#include "control/config/schema.h"

namespace fairlead::control {

/// What may stand outside any block.
std::span<const Directive<Config>> top_directives();
/// Inside `interface NAME { … }`.
std::span<const Directive<InterfaceConfig>> interface_directives();
/// Inside `echo_server ADDRESS PORT { … }`.
std::span<const Directive<EchoServerConfig>> echo_server_directives();
/// Inside `tcp { … }`; it speaks about stack and listen of the Config.
std::span<const Directive<Config>> tcp_directives();

}  // namespace fairlead::control
