# How every Fairlead target is compiled, and the three functions that declare one:
#
#   fairlead_library(NAME SOURCES a.cc ... [DEPS base wire ...] [LINK fmt::fmt ...])
#   fairlead_test(NAME SOURCES a_test.cc ... DEPS ... [LABELS unit] [TIMEOUT 120])
#   fairlead_program(NAME SOURCES main.cc DEPS ...)
#
# DEPS are Fairlead folders ("base" means target fairlead_base), LINK is anything else.

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 17)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(THREADS_PREFER_PTHREAD_FLAG ON)

option(FAIRLEAD_FUZZ "Build the fuzz targets with libFuzzer" OFF)
option(FAIRLEAD_CLANG_TIDY "Run clang-tidy with the compiler" OFF)
set(FAIRLEAD_SANITIZE "" CACHE STRING "Value for -fsanitize=, empty for none")

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(GTest REQUIRED)
find_package(fmt REQUIRED)
find_package(benchmark REQUIRED)
find_package(nlohmann_json REQUIRED)

find_program(FAIRLEAD_CCACHE ccache)
if(FAIRLEAD_CCACHE)
  # What ccache asks for where headers are precompiled.
  set(FAIRLEAD_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros
                        ${FAIRLEAD_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${FAIRLEAD_LAUNCHER})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${FAIRLEAD_LAUNCHER})
endif()

if(FAIRLEAD_CLANG_TIDY)
  set(CMAKE_CXX_CLANG_TIDY clang-tidy-19 --quiet)
endif()

add_library(fairlead_options INTERFACE)
target_include_directories(fairlead_options INTERFACE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR})
target_compile_options(
  fairlead_options INTERFACE -Wall -Wextra -Wconversion -Wshadow -Wswitch-enum -Werror
                             -fno-omit-frame-pointer)
# __builtin_prefetch(p, 1) asks for a line to be written, and not for a copy of it. Processors of 64
# bits that do not know the instruction (Intel's before Broadwell) ignore it, and fetch nothing ahead.
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
  target_compile_options(fairlead_options INTERFACE -mprfchw)
endif()
target_link_options(fairlead_options INTERFACE -fuse-ld=lld)
if(FAIRLEAD_SANITIZE)
  target_compile_options(fairlead_options INTERFACE -fsanitize=${FAIRLEAD_SANITIZE}
                                                    -fno-sanitize-recover=all)
  target_link_options(fairlead_options INTERFACE -fsanitize=${FAIRLEAD_SANITIZE})
endif()
if(FAIRLEAD_FUZZ)
  target_compile_options(fairlead_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

# Headers that many include, or that take long, read once: by libraries and, with those of tests, by
# tests (CMAKE_DISABLE_PRECOMPILE_HEADERS, as in preset tidy: not at all, which shows what a source
# forgets to include). A library and an executable, because their code is position-independent in two
# ways.
set(FAIRLEAD_COMMON_HEADERS
    <algorithm> <array> <atomic> <chrono> <cstdint> <cstring> <deque> <expected> <filesystem>
    <functional> <map> <memory> <optional> <ranges> <set> <span> <sstream> <string> <string_view>
    <unordered_map> <utility> <vector> <fmt/format.h> <nlohmann/json.hpp>)
set(FAIRLEAD_EMPTY_SOURCE ${CMAKE_BINARY_DIR}/empty.cc)
if(NOT EXISTS ${FAIRLEAD_EMPTY_SOURCE})
  file(WRITE ${FAIRLEAD_EMPTY_SOURCE} "int main() { return 0; }\n")
endif()
add_library(common_headers STATIC ${FAIRLEAD_EMPTY_SOURCE})
target_link_libraries(common_headers PRIVATE fairlead_options fmt::fmt nlohmann_json::nlohmann_json)
target_precompile_headers(common_headers PRIVATE ${FAIRLEAD_COMMON_HEADERS})
add_executable(test_headers ${FAIRLEAD_EMPTY_SOURCE})
target_link_libraries(test_headers PRIVATE fairlead_options GTest::gtest GTest::gmock fmt::fmt
                                           nlohmann_json::nlohmann_json)
target_precompile_headers(test_headers PRIVATE ${FAIRLEAD_COMMON_HEADERS} <gtest/gtest.h>
                                               <gmock/gmock.h>)

function(fairlead_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;LINK" ${ARGN})
  list(TRANSFORM ARG_DEPS PREPEND fairlead_)
  if(ARG_SOURCES)
    add_library(fairlead_${name} STATIC ${ARG_SOURCES})
    target_link_libraries(fairlead_${name} PUBLIC fairlead_options fmt::fmt ${ARG_DEPS} ${ARG_LINK})
    target_precompile_headers(fairlead_${name} REUSE_FROM common_headers)
  else()
    add_library(fairlead_${name} INTERFACE)
    target_link_libraries(fairlead_${name} INTERFACE fairlead_options ${ARG_DEPS} ${ARG_LINK})
  endif()
endfunction()

function(fairlead_executable name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;LINK" ${ARGN})
  list(TRANSFORM ARG_DEPS PREPEND fairlead_)
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE fairlead_options ${ARG_DEPS} ${ARG_LINK})
endfunction()

# What the passes of scripts/run_tests build: unit tests and corpus replays; every test labelled
# "threads"; every test labelled "simulation" or "system" with all programs (fairlead_program).
add_custom_target(unit_tests)
add_custom_target(threaded_tests)
add_custom_target(whole_system_tests)

function(fairlead_program name)
  fairlead_executable(${name} ${ARGN})
  add_dependencies(whole_system_tests ${name})
endfunction()

function(fairlead_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;DEPS;LINK;LABELS;ARGS" ${ARGN})
  fairlead_executable(${name} SOURCES ${ARG_SOURCES} DEPS ${ARG_DEPS}
                      LINK GTest::gtest GTest::gmock GTest::gtest_main fmt::fmt ${ARG_LINK})
  target_precompile_headers(${name} REUSE_FROM test_headers)
  set_target_properties(${name} PROPERTIES UNITY_BUILD OFF)
  add_test(NAME ${name} COMMAND ${name} ${ARG_ARGS})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  if(NOT ARG_LABELS)
    set(ARG_LABELS unit)
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}")
  if("threads" IN_LIST ARG_LABELS)
    add_dependencies(threaded_tests ${name})
  endif()
  if("simulation" IN_LIST ARG_LABELS OR "system" IN_LIST ARG_LABELS)
    add_dependencies(whole_system_tests ${name})
  else()
    add_dependencies(unit_tests ${name})
  endif()
endfunction()
