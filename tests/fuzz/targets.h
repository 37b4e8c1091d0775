// SPDX-License-Identifier: Apache-2.0
// The fuzz targets: one function for each kind of text from network, disk or user.
//
// Each passes its input to the parsers and checks that the results keep the invariants on which the
// rest of the program relies; a violation is a std::logic_error. libFuzzer calls them through
// main.cpp, one program for each target. replay_test.cpp calls them with the corpus in every build,
// so that a fixed bug stays fixed.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "model_prep/base/error.h"
#include "model_prep/base/model_spec.h"
#include "model_prep/core/format_check.h"

namespace model_prep::fuzz {

void hub_json(
    std::string_view input);         ///< info, tree page and blobs, to the files that are selected
void cards(std::string_view input);  ///< a README.md
void dependencies(std::string_view input);  ///< the name of a file, then its text
void manifest(std::string_view input);
void record(std::string_view input);       ///< our record and huggingface_hub's tree listing
void resume(std::string_view input);       ///< a resume record
void ranges(std::string_view input);       ///< size, text, then operations
void headers(std::string_view input);      ///< a header a line
void limits(std::string_view input);       ///< patience, attempts, then what a host says
void urls(std::string_view input);         ///< base, reference, Link, endpoint
void endpoints(std::string_view input);    ///< scheme, user, password, host, NO_PROXY
void plan(std::string_view input);         ///< several models in one run: refs and files to fetch
void patterns(std::string_view input);     ///< pattern, path
void names(std::string_view input);        ///< repositories, revisions, commits, digests, paths
void blobs(std::string_view input);        ///< the name of a file in blobs/
void variables(std::string_view input);    ///< the values of four variables, then a path
void signature(std::string_view input);    ///< model.sig, or the statement in it
void exports(std::string_view input);      ///< --to, --prefix, then an image layout's index.json
void safetensors(std::string_view input);  ///< a file; an index of shards
void gguf(std::string_view input);         ///< a file
void onnx(std::string_view input);         ///< a model
void pickles(std::string_view input);      ///< a file: a bare pickle, or an archive of them

// ---- helpers ----

inline void require(bool kept, std::string_view promise) {
  if (!kept) throw std::logic_error(std::string(promise));
}

/// The next line of the input; empty at its end.
class Lines {
 public:
  explicit Lines(std::string_view text) : rest_(text) {}
  std::string next();
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

/// A field of the input as a number; nullopt if it is not one.
std::optional<std::int64_t> number(std::string_view text);

/// A message must be one line of limited length without control characters.
void check_message(const Error& error);
/// What is not sound must say why, in such a message.
void check_format(const FormatCheck& check);
/// A path must stay below its directory.
void check_path(const RepoPath& path);
/// The licenses of a card must be ids, in order, and a bounded number.
void check_licenses(const Strings& licenses);
/// A listing after check_listing, or a selection from one, must have possible sizes, digests of the
/// right kind, sorted and unique paths.
void check_files(const std::vector<RemoteFile>& files);
bool same_files(const std::vector<RemoteFile>& a, const std::vector<RemoteFile>& b);

}  // namespace model_prep::fuzz
