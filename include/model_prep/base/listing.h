// SPDX-License-Identifier: Apache-2.0
// The files of one commit, as the Hub lists them.
#pragma once

#include <string_view>
#include <vector>

#include "model_prep/base/error.h"
#include "model_prep/base/model_spec.h"

namespace model_prep {

struct Listing {
  std::vector<RemoteFile> files;

  /// The files of a gated repository whose digests are hidden from this token (64 asterisks,
  /// docs/developing/hub-protocol.md, section 8.2).
  std::vector<RepoPath> masked;

  /// Names that git can hold and no directory here can, such as one with a backslash.
  Strings unusable{};

  /// The directories that the tree names.
  Strings folders{};

  /// How many files there are, of whatever kind.
  std::size_t size() const { return files.size() + masked.size() + unusable.size(); }
};

/// Adds another page.
void append(Listing& listing, Listing page);

/// Adds what `more` lists and `listing` does not.
void add_missing(Listing& listing, Listing more);

/// A directory of which no file is listed: git has no empty ones, so the listing is not the whole.
std::optional<std::string> empty_folder(const Listing& listing);

/// Sorts the files by path. Fails with `protocol` for what cannot be: a path that is listed twice,
/// or that is both a file and a directory, and a digest with two sizes. `object` names the listing
/// in the error.
Status check_listing(Listing& listing, std::string_view object);

}  // namespace model_prep
