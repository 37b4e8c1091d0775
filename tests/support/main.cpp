// SPDX-License-Identifier: Apache-2.0
// main() for Catch2 2.13, which is header-only. Catch2 3 has a library for it, so it does not use
// this file.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
