// SPDX-License-Identifier: Apache-2.0
// What is checked of the weights that were selected: that they are whole, that they are weights and
// not a pointer to them, and whether loading them can run code.
//
// Pure: the first bytes of a file come from a function.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "model_prep/base/error.h"
#include "model_prep/base/model_spec.h"

namespace model_prep {

/// `not_found`: a file that the selected ones need is not in the repository.
Error incomplete_error(std::string_view object, std::string_view what);

/// Fails with `not_found` if an OpenVINO variant has an `.xml` without its `.bin`, or the reverse.
/// Patterns of the command line are the user's own choice and are not checked.
Status check_openvino(const std::vector<RemoteFile>& files, const ModelSpec& spec);

/// The first bytes of a file, at least 64 if it has so many; nothing if it is not on disk.
using FirstBytes = std::function<std::optional<std::string>(const RemoteFile&)>;

/// Fails with `not_found` if a file of weights is a Git LFS pointer that was committed as a plain
/// file, so that the weights themselves are not in the repository.
Status check_pointers(const ResolvedSnapshot& snapshot, const FirstBytes& first_bytes);

/// One line about files that can run code when they are loaded; nothing if there are none. The
/// names tell which files may be pickles, and the first bytes of those on disk whether they are.
std::optional<std::string> pickle_warning(const ResolvedSnapshot& snapshot,
                                          const FirstBytes& first_bytes);

}  // namespace model_prep
