// SPDX-License-Identifier: Apache-2.0
// Where the system keeps its CA certificates. Pure.
//
// A libcurl that comes with a distribution knows the file. One that is linked into a program for
// every Linux knows none, so the usual places are tried (docs/troubleshooting.md).
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "model_prep/base/types.h"

namespace model_prep {

/// The files to try, in this order: `of_libcurl`, the one that libcurl was built with, unless it is
/// empty; then those of the distributions. Each is named once.
Strings authority_files(std::string_view of_libcurl);

/// The first of `files` for which `is_readable` holds; empty if it holds for none. The others are
/// not asked for.
std::string first_readable(const Strings& files,
                           const std::function<bool(const std::string&)>& is_readable);

}  // namespace model_prep
