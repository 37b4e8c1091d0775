// SPDX-License-Identifier: Apache-2.0
// Catch2 2.13 wants its main in one source file; Catch2 3 brings it in a library and this file is
// left out.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
