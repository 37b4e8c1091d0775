// SPDX-License-Identifier: Apache-2.0
// What is checked of the weights that were selected: that they are whole, that they are weights and
// not a pointer to them, and whether loading them can run code.
//
// Pure: the first bytes of a file come from a function.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model_prep/base/error.h"
#include "model_prep/base/model_spec.h"
#include "model_prep/core/onnx_model.h"
#include "model_prep/core/pickle_files.h"

namespace model_prep {

/// `not_found`: a file that the selected ones need is not in the repository.
Error incomplete_error(std::string_view object, std::string_view what);

/// How to do without a file of the model, which `pattern` matches: completes a hint. Without
/// `--include`, `--exclude` takes every other file, and not the variant's.
std::string how_to_leave_out(const ModelSpec& spec, std::string_view pattern = {});

/// Fails with `not_found` if an OpenVINO variant has an `.xml` without its `.bin`, or the reverse.
/// Patterns of the command line are the user's own choice and are not checked.
Status check_openvino(const std::vector<RemoteFile>& files, const ModelSpec& spec);

/// The first bytes of a file, at least 64 if it has so many; nothing if it is not on disk.
using FirstBytes = std::function<std::optional<std::string>(const RemoteFile&)>;

/// Fails with `not_found` if a file of weights is a Git LFS pointer that was committed as a plain
/// file, so that the weights themselves are not in the repository.
Status check_pointers(const ResolvedSnapshot& snapshot, const FirstBytes& first_bytes);

/// What is known of a file that may be a pickle; nothing if it is not on disk.
using LookForPickle = std::function<std::optional<PickleFindings>(const RemoteFile&)>;

/// One line about files that can run code when they are loaded; nothing if there are none. The
/// names tell which files may be pickles, and a look into those on disk whether they are. `shards`
/// may be too, whatever their names: those that an index gives to PyTorch's loader.
std::optional<std::string> pickle_warning(const ResolvedSnapshot& snapshot,
                                          const LookForPickle& look,
                                          const std::set<RepoPath>& shards = {});

/// One line about what a pickle imports beyond PyTorch's list, or hides; nothing if it does not.
std::optional<std::string> import_warning(std::string_view object, const PickleFindings& findings);

/// Why the policy refuses a file that may be a pickle: `it is a pickle`. Nothing if it does
/// not. What cannot be looked into counts as code.
std::optional<std::string> pickle_refusal(PicklePolicy policy, std::string_view path,
                                          const PickleFindings& findings);

/// The files of a model by their paths, which must outlive it.
using FilesByPath = std::unordered_map<std::string_view, const RemoteFile*>;
FilesByPath by_path(const std::vector<RemoteFile>& files);

/// One line about the data of the ONNX model at `path` that is not among the files, or too short.
std::optional<std::string> external_data_fault(std::string_view path, const ExternalData& data,
                                               const FilesByPath& files);

}  // namespace model_prep
