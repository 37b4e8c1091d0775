// SPDX-License-Identifier: Apache-2.0
// The URLs of the Hub's API (docs/developing/hub-protocol.md, section 3). Its JSON is parsed in
// core/hub_json.h. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "model_prep/base/error.h"
#include "model_prep/base/model_spec.h"
#include "model_prep/base/response.h"
#include "model_prep/io/url.h"

namespace model_prep {

class Hub {
 public:
  /// `endpoint` may have a path prefix; a trailing slash is dropped. Fails with `usage` if it is
  /// not an http(s) URL.
  static Result<Hub> parse(std::string_view endpoint);

  const Url& endpoint() const { return endpoint_; }
  /// A user name without a password is a token. Removes it from the endpoint.
  std::optional<std::string> take_token() { return take_user(endpoint_); }

  Url info(const RepoId& repo, const Revision& revision) const;
  /// The same, with what the Hub's scanners found in this commit.
  Url scan(const RepoId& repo, const CommitId& commit) const;
  Url tree(const RepoId& repo, const CommitId& commit) const;
  /// The same with what the scanners say of each file; more and smaller pages.
  Url expanded_tree(const RepoId& repo, const CommitId& commit) const;
  /// The listing for mirrors without a tree API.
  Url blobs(const RepoId& repo, const CommitId& commit) const;
  Url resolve(const RepoId& repo, const CommitId& commit, const RepoPath& path) const;

  /// The next page, if `link` names one. A mirror's link may lead elsewhere: if it is of the same
  /// listing, only its query is used, so that neither the request nor the token goes there.
  std::optional<Url> next_page(std::string_view link, const Url& page) const;

  /// The same for a listing that must be whole. It fails with `protocol`, and names `object`, if
  /// there is a link that cannot be used: a truncated listing looks like a complete one.
  Result<std::optional<Url>> next_page_of(std::string_view object, std::string_view link,
                                          const Url& page) const;

  /// The repository in the address of an API request, which a redirect may have changed:
  /// `org/name`.
  static std::string_view repo_name(const Url& url);

 private:
  explicit Hub(Url endpoint) : endpoint_(std::move(endpoint)) {}
  Url at(const std::string& path) const;
  Url api(const RepoId& repo, const std::string& rest) const;
  Url endpoint_;
};

}  // namespace model_prep
