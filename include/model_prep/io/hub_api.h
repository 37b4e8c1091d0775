// SPDX-License-Identifier: Apache-2.0
// The Hub's API: its addresses and its JSON (docs/developing/hub-protocol.md, section 3). It sends
// nothing itself.
//
// Everything that comes from the network is parsed here into checked values, or refused as
// `protocol`.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "model_prep/base/error.h"
#include "model_prep/base/listing.h"
#include "model_prep/base/model_spec.h"
#include "model_prep/base/response.h"
#include "model_prep/io/url.h"

namespace model_prep {

class Hub {
 public:
  /// `endpoint` may have a path prefix; a trailing slash is dropped. Refused as `usage` if it is
  /// not an http(s) address.
  static Result<Hub> parse(std::string_view endpoint);

  const Url& endpoint() const { return endpoint_; }
  /// A user name without a password is a token: it is taken out of the address.
  std::optional<std::string> take_token() { return take_user(endpoint_); }
  Url info(const RepoId& repo, const Revision& revision) const;
  Url tree(const RepoId& repo, const CommitId& commit) const;
  /// For mirrors without a tree API.
  Url blobs(const RepoId& repo, const CommitId& commit) const;
  Url resolve(const RepoId& repo, const CommitId& commit, const RepoPath& path) const;
  /// The next page, if `link` names one. Behind a mirror it may lead to another origin: then the
  /// same path is asked for at the endpoint, so that neither the token nor the request leaves it.
  std::optional<Url> next_page(std::string_view link, const Url& page) const;

 private:
  explicit Hub(Url endpoint) : endpoint_(std::move(endpoint)) {}
  Url at(const std::string& path) const;
  Url api(const RepoId& repo, const std::string& rest) const;
  Url endpoint_;
};

/// `sha` of the repo info.
Result<CommitId> parse_info(std::string_view body, std::string_view object);
/// One page of the tree; folders are left out.
Result<Listing> parse_tree_page(std::string_view body, std::string_view object);
/// `siblings` of the repo info with `blobs=true`.
Result<Listing> parse_blobs(std::string_view body, std::string_view object);

}  // namespace model_prep
