# One libFuzzer target per parser, and one for a live connection:
#
#   fairlead_fuzz_target(NAME DEPS wire base ...)
#
# builds fuzz/NAME_fuzz.cc, which defines LLVMFuzzerTestOneInput, into NAME_fuzz. With FAIRLEAD_FUZZ
# (preset fuzz) libFuzzer is its main: scripts/run_fuzzers runs it. Otherwise fuzz/replay_main.cc is.
# Either way ctest replays the corpus in fuzz/corpus/NAME, and an empty corpus is a failure.

function(fairlead_fuzz_target name)
  cmake_parse_arguments(ARG "" "" "DEPS;LINK" ${ARGN})
  set(corpus ${CMAKE_CURRENT_SOURCE_DIR}/corpus/${name})
  set(sources ${name}_fuzz.cc)
  if(FAIRLEAD_FUZZ)
    set(replay_arguments -runs=0 ${corpus})
  else()
    list(APPEND sources replay_main.cc)
    set(replay_arguments ${corpus})
  endif()
  fairlead_executable(${name}_fuzz SOURCES ${sources} DEPS ${ARG_DEPS} LINK ${ARG_LINK})
  add_dependencies(unit_tests ${name}_fuzz)
  if(FAIRLEAD_FUZZ)
    target_link_options(${name}_fuzz PRIVATE -fsanitize=fuzzer)
  endif()
  add_test(NAME ${name}_corpus COMMAND ${name}_fuzz ${replay_arguments})
  set_tests_properties(${name}_corpus PROPERTIES TIMEOUT 120 LABELS fuzz)
endfunction()
