# SPDX-License-Identifier: Apache-2.0
# The target `lint`: clang-format for every source and clang-tidy for the program's sources. Both come from PyPI, in the
# versions that tests/lint-requirements pins, into build/venv-lint; the target `lint-tools` makes that environment.
find_package(Python3 COMPONENTS Interpreter)
if(NOT Python3_FOUND)
  return()
endif()

set(lint_venv ${PROJECT_BINARY_DIR}/venv-lint)
set(lint_requirements ${PROJECT_SOURCE_DIR}/tests/lint-requirements)
add_custom_command(OUTPUT ${lint_venv}/installed
  COMMAND ${Python3_EXECUTABLE} -m venv --clear ${lint_venv}
  COMMAND ${lint_venv}/bin/pip --disable-pip-version-check install --quiet -r ${lint_requirements}
  COMMAND ${CMAKE_COMMAND} -E touch ${lint_venv}/installed
  DEPENDS ${lint_requirements} COMMENT "Installing clang-format and clang-tidy" VERBATIM)
add_custom_target(lint-tools DEPENDS ${lint_venv}/installed)

file(GLOB_RECURSE lint_headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/include/*.h)
file(GLOB_RECURSE lint_test_sources CONFIGURE_DEPENDS
  ${PROJECT_SOURCE_DIR}/tests/*.h ${PROJECT_SOURCE_DIR}/tests/*.cpp)

# Without the generated source.
get_target_property(lint_sources model_prep_lib SOURCES)
list(FILTER lint_sources INCLUDE REGEX "^src/")
list(APPEND lint_sources src/main.cpp)
list(TRANSFORM lint_sources PREPEND ${PROJECT_SOURCE_DIR}/)

# How each source is compiled: alone, without a precompiled header, and so with nothing but its own includes.
set(lint_commands ${PROJECT_BINARY_DIR}/lint/compile_commands.json)
add_custom_command(OUTPUT ${lint_commands}
  COMMAND ${CMAKE_COMMAND} -S ${PROJECT_SOURCE_DIR} -B ${PROJECT_BINARY_DIR}/lint -G ${CMAKE_GENERATOR} --log-level=WARNING
    -DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER} -DCMAKE_EXPORT_COMPILE_COMMANDS=ON -DMODEL_PREP_TESTS=OFF
  COMMAND ${CMAKE_COMMAND} -E touch ${lint_commands}
  DEPENDS ${PROJECT_SOURCE_DIR}/CMakeLists.txt COMMENT "Listing the compile commands for clang-tidy" VERBATIM)

# A command for each file, so that they run in parallel, and only for what changed.
foreach(source IN LISTS lint_sources)
  cmake_path(RELATIVE_PATH source BASE_DIRECTORY ${PROJECT_SOURCE_DIR} OUTPUT_VARIABLE name)
  set(stamp ${PROJECT_BINARY_DIR}/lint/${name}.stamp)
  cmake_path(GET stamp PARENT_PATH stamp_directory)
  file(MAKE_DIRECTORY ${stamp_directory})
  add_custom_command(OUTPUT ${stamp}
    COMMAND ${lint_venv}/bin/clang-tidy --quiet -p ${PROJECT_BINARY_DIR}/lint ${source}
    COMMAND ${CMAKE_COMMAND} -E touch ${stamp}
    DEPENDS ${source} ${lint_headers} ${PROJECT_SOURCE_DIR}/.clang-tidy ${lint_venv}/installed ${lint_commands}
    COMMENT "clang-tidy ${name}" VERBATIM)
  list(APPEND lint_stamps ${stamp})
endforeach()

add_custom_target(lint
  COMMAND ${lint_venv}/bin/clang-format --dry-run --Werror ${lint_sources} ${lint_headers} ${lint_test_sources}
  DEPENDS ${lint_stamps} VERBATIM)
