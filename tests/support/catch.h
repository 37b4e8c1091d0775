// SPDX-License-Identifier: Apache-2.0
// The one place that knows which Catch2 there is: 2.13 in Debian 12, 3 in Debian 13.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif
