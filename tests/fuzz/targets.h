// SPDX-License-Identifier: Apache-2.0
// What the fuzzer is let loose on: one function for each kind of text that comes from the network,
// the disk or the user.
//
// Each feeds its input to the parsers and holds what they make of it to what the rest of the
// program relies on; a broken promise is a std::logic_error. libFuzzer calls them by main.cpp, one
// program a target; replay_test.cpp calls them with the inputs of corpus/ in every build, so that
// what once broke stays mended.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "model_prep/base/error.h"
#include "model_prep/base/model_spec.h"

namespace model_prep::fuzz {

void hub_json(
    std::string_view input);  ///< info, tree page and blobs, to the files that are selected
void manifest(std::string_view input);
void record(std::string_view input);    ///< our record and huggingface_hub's tree listing
void resume(std::string_view input);    ///< a resume record
void ranges(std::string_view input);    ///< size, text, then operations
void headers(std::string_view input);   ///< a header a line
void urls(std::string_view input);      ///< base, reference, Link, endpoint
void patterns(std::string_view input);  ///< pattern, path
void names(std::string_view input);     ///< repositories, revisions, commits, digests, paths

// ---- for the targets ----

inline void require(bool kept, std::string_view promise) {
  if (!kept) throw std::logic_error(std::string(promise));
}

/// The input, a line at a time; empty at its end.
class Lines {
 public:
  explicit Lines(std::string_view text) : rest_(text) {}
  std::string next();
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

/// A number for a field of the input: what is none is nothing.
std::optional<std::int64_t> number(std::string_view text);

/// A message is one line of a bearable length, which steers no terminal.
void check_message(const Error& error);
/// A path leads nowhere but below its folder.
void check_path(const RepoPath& path);
/// A listing after check_listing, or a selection from one: possible sizes, fitting digests, sorted,
/// no path twice.
void check_files(const std::vector<RemoteFile>& files);
bool same_files(const std::vector<RemoteFile>& a, const std::vector<RemoteFile>& b);

}  // namespace model_prep::fuzz
