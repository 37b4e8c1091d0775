// SPDX-License-Identifier: Apache-2.0
// Includes Catch2, whichever version is installed: 2.13 in Debian 12, 3 in Debian 13.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif
