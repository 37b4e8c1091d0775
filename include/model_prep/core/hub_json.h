// SPDX-License-Identifier: Apache-2.0
// The JSON that the Hub's API returns (docs/developing/hub-protocol.md, section 3), parsed into
// checked values.
//
// Anything unexpected fails with `protocol`, for the whole response: an entry that is skipped would
// be a file that is silently missing. A name that git can hold and no directory here can is kept as
// unusable: it matters only if it is selected. `object` names the repository in the error.
#pragma once

#include <set>
#include <string>

#include "model_prep/base/error.h"
#include "model_prep/base/listing.h"
#include "model_prep/base/model_spec.h"

namespace model_prep {

/// A repository as the Hub describes it.
struct RepoInfo {
  CommitId commit;
  std::string id;        ///< `org/name` as the Hub spells it; empty if it does not say
  std::size_t files{0};  ///< how many files it names

  /// Of the model's card; nothing if the response has no card.
  std::optional<Strings> licenses{};

  /// Only if it was requested with `securityStatus=true`, and the endpoint knows what that is.
  std::optional<ScanVerdict> scan{};
};
Result<RepoInfo> parse_info(std::string_view body, std::string_view object);

/// A mirror that does not look at the revision gives that of its own branch.
Error about_another_commit(std::string_view object);

/// Adds what one page of the expanded tree says of its files. A file without a final status makes
/// the verdict incomplete. `seen` gets the paths of all of them.
Status add_scan_page(ScanVerdict& scan, std::set<std::string>& seen, std::string_view body,
                     std::string_view object);

/// What to say of a repository that the Hub calls differently than the user; empty if it does not.
/// `led_to` is the name in the address that responded, which a redirect may have changed because
/// the repository was renamed; `id` is that of the info. Either may be empty. Fails if they are two
/// repositories.
Result<std::string> name_difference(const RepoId& wanted, std::string_view led_to,
                                    std::string_view id);

/// One page of the tree.
Result<Listing> parse_tree_page(std::string_view body, std::string_view object);

/// The `siblings` of the repository's info, requested with `blobs=true`. The hint of an endpoint
/// that lists names only says that a lock needs no listing.
Result<Listing> parse_blobs(std::string_view body, std::string_view object,
                            std::string_view commit);

}  // namespace model_prep
