// What `fairlead` tells the shell.
#pragma once

namespace fairlead::app {

inline constexpr int kSuccess = 0;
inline constexpr int kRuntimeError = 1;
inline constexpr int kUsageError = 2;  // also a mistake in the configuration

}  // namespace fairlead::app
