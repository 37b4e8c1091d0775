# SPDX-License-Identifier: Apache-2.0
# The target `lint`: clang-format for every source and clang-tidy for the program's sources. Both come from PyPI, in the
# versions that tests/lint-requirements pins, into build/venv-lint; the target `lint-tools` makes that environment.
#
# clang-tidy spends most of its time on the headers, so it reads several sources at once, as the compiler does: half to two
# thirds of the time that it takes to read each alone.
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
list(TRANSFORM lint_sources PREPEND ${PROJECT_SOURCE_DIR}/)

# The commands of a unity build without a precompiled header. Its groups of sources are those of this build.
set(lint_commands ${PROJECT_BINARY_DIR}/lint/compile_commands.json)
add_custom_command(OUTPUT ${lint_commands}
  COMMAND ${CMAKE_COMMAND} -S ${PROJECT_SOURCE_DIR} -B ${PROJECT_BINARY_DIR}/lint -G ${CMAKE_GENERATOR} --log-level=WARNING
    -DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER} -DCMAKE_EXPORT_COMPILE_COMMANDS=ON -DMODEL_PREP_TESTS=OFF
    -DCMAKE_UNITY_BUILD=ON -DCMAKE_UNITY_BUILD_BATCH_SIZE=${CMAKE_UNITY_BUILD_BATCH_SIZE}
  COMMAND ${CMAKE_COMMAND} -E touch ${lint_commands}
  DEPENDS ${PROJECT_SOURCE_DIR}/CMakeLists.txt COMMENT "Listing the compile commands for clang-tidy" VERBATIM)

# lint_together(UNITY SOURCE...): a command for a source of that unity build, which includes these. So they run in parallel,
# and only for what changed.
function(lint_together unity)
  cmake_path(GET unity STEM name)
  set(stamp ${PROJECT_BINARY_DIR}/lint/${name}.stamp)
  add_custom_command(OUTPUT ${stamp}
    COMMAND ${lint_venv}/bin/clang-tidy --quiet --config-file=${PROJECT_SOURCE_DIR}/.clang-tidy
      -p ${PROJECT_BINARY_DIR}/lint ${PROJECT_BINARY_DIR}/lint/CMakeFiles/${unity}
    COMMAND ${CMAKE_COMMAND} -E touch ${stamp}
    DEPENDS ${ARGN} ${lint_headers} ${PROJECT_SOURCE_DIR}/.clang-tidy ${lint_venv}/installed ${lint_commands}
    COMMENT "clang-tidy ${name}" VERBATIM)
  set(lint_stamps ${lint_stamps} ${stamp} PARENT_SCOPE)
endfunction()

foreach(source IN LISTS lint_sources)
  get_property(group SOURCE ${source} DIRECTORY ${PROJECT_SOURCE_DIR} PROPERTY UNITY_GROUP)
  list(APPEND lint_groups ${group})
  list(APPEND lint_sources_of_${group} ${source})
endforeach()
list(REMOVE_DUPLICATES lint_groups)
foreach(group IN LISTS lint_groups)
  lint_together(model_prep_lib.dir/Unity/unity_${group}_cxx.cxx ${lint_sources_of_${group}})
endforeach()

list(APPEND lint_sources ${PROJECT_SOURCE_DIR}/src/main.cpp)
lint_together(model-prep.dir/Unity/unity_0_cxx.cxx ${PROJECT_SOURCE_DIR}/src/main.cpp)

add_custom_target(lint
  COMMAND ${lint_venv}/bin/clang-format --dry-run --Werror ${lint_sources} ${lint_headers} ${lint_test_sources}
  DEPENDS ${lint_stamps} VERBATIM)
