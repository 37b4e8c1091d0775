// SPDX-License-Identifier: Apache-2.0
// The files of one commit, as the Hub lists them.
#pragma once

#include <string_view>
#include <vector>

#include "model_prep/base/error.h"
#include "model_prep/base/model_spec.h"

namespace model_prep {

/// `masked` are the files of a gated repository whose digests are hidden from this token
/// (64 asterisks, docs/developing/hub-protocol.md, section 8.2).
struct Listing {
  std::vector<RemoteFile> files;
  std::vector<RepoPath> masked;
};

/// Sorts the files by path. Fails with `protocol` for what cannot be: a path that is listed twice,
/// or that is both a file and a directory, and a digest with two sizes. `object` names the listing
/// in the error.
Status check_listing(Listing& listing, std::string_view object);

}  // namespace model_prep
