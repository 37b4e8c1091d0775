// SPDX-License-Identifier: Apache-2.0
// The JSON that the Hub's API returns (docs/developing/hub-protocol.md, section 3), parsed into
// checked values.
//
// Anything unexpected fails with `protocol`, for the whole response: an entry that is skipped would
// be a file that is silently missing. `object` names the repository in the error.
#pragma once

#include "model_prep/base/error.h"
#include "model_prep/base/listing.h"
#include "model_prep/base/model_spec.h"

namespace model_prep {

/// The commit, `sha`, of the repository's info.
Result<CommitId> parse_info(std::string_view body, std::string_view object);

/// One page of the tree, without its directories.
Result<Listing> parse_tree_page(std::string_view body, std::string_view object);

/// The `siblings` of the repository's info, requested with `blobs=true`.
Result<Listing> parse_blobs(std::string_view body, std::string_view object);

}  // namespace model_prep
