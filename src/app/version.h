// The version, as CMakeLists.txt states it in project().
#pragma once

namespace fairlead::app {

inline constexpr const char* kVersion = FAIRLEAD_VERSION;

}  // namespace fairlead::app
