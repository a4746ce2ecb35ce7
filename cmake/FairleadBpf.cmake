# Kernel programs, compiled at build time and embedded.
#
#   fairlead_bpf(NAME SOURCE name.bpf.c DEPENDS header.h ...)
#
# makes target fairlead_bpf_NAME: linking it gives "NAME.skel.h" (a libbpf skeleton holding the
# compiled object) and libbpf. Nothing is read from disk at run time.

pkg_check_modules(LIBBPF REQUIRED IMPORTED_TARGET libbpf)
find_program(FAIRLEAD_BPF_CLANG NAMES clang-19 clang REQUIRED)
find_program(FAIRLEAD_BPFTOOL bpftool PATHS /usr/sbin /sbin REQUIRED)

function(fairlead_bpf name)
  cmake_parse_arguments(ARG "" "SOURCE" "DEPENDS" ${ARGN})
  set(source ${CMAKE_CURRENT_SOURCE_DIR}/${ARG_SOURCE})
  set(directory ${CMAKE_CURRENT_BINARY_DIR}/skeleton)
  set(object ${directory}/${name}.bpf.o)
  set(skeleton ${directory}/${name}.skel.h)
  file(MAKE_DIRECTORY ${directory})
  list(TRANSFORM ARG_DEPENDS PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)

  # -g: BTF, which libbpf needs for the maps. The multiarch directory holds <asm/types.h>.
  add_custom_command(
    OUTPUT ${object}
    COMMAND
      ${FAIRLEAD_BPF_CLANG} -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Wno-unused-parameter -Werror
      -I${CMAKE_SOURCE_DIR}/src -idirafter /usr/include/${CMAKE_LIBRARY_ARCHITECTURE} -c ${source} -o
      ${object}
    DEPENDS ${source} ${ARG_DEPENDS}
    VERBATIM)
  add_custom_command(
    OUTPUT ${skeleton}
    COMMAND ${FAIRLEAD_BPFTOOL} gen skeleton ${object} name ${name}_bpf > ${skeleton}
    DEPENDS ${object}
    VERBATIM)
  add_custom_target(${name}_skeleton DEPENDS ${skeleton})
  add_library(fairlead_bpf_${name} INTERFACE)
  add_dependencies(fairlead_bpf_${name} ${name}_skeleton)
  target_include_directories(fairlead_bpf_${name} SYSTEM INTERFACE ${directory})
  target_link_libraries(fairlead_bpf_${name} INTERFACE PkgConfig::LIBBPF)
endfunction()
