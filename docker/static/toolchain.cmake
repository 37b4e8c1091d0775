# SPDX-License-Identifier: Apache-2.0
# CMake's view of the static toolchain. docker/static/lib.sh puts the compilers on the PATH and sets the variables.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR $ENV{STATIC_ARCH})

set(CMAKE_C_COMPILER static-cc)
set(CMAKE_CXX_COMPILER static-c++)
set(CMAKE_AR static-ar)
set(CMAKE_RANLIB static-ranlib)

# Only our libraries, never this machine's.
set(CMAKE_FIND_ROOT_PATH $ENV{STATIC_LIBRARIES})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_LIBDIR} $ENV{STATIC_LIBRARIES}/lib/pkgconfig)
