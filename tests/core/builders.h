// SPDX-License-Identifier: Apache-2.0
// Short constructors for the values that the tests of the pure layers use. They do not assert.
#pragma once

#include <string>

#include "model_prep/base/clock.h"
#include "model_prep/base/digest.h"
#include "model_prep/base/model_spec.h"
#include "model_prep/base/response.h"

namespace model_prep::testing {

constexpr std::int64_t kMB = 1'000'000;
constexpr std::int64_t kMiB = 1024 * 1024;
/// When the time of a test begins: any time will do.
constexpr TimePoint kStart{std::chrono::hours(1)};
/// The hexadecimal digits of commit('c').
inline const std::string kCommit(40, 'c');

inline Digest sha256(char digit) { return *Digest::parse(std::string(64, digit)); }
inline Digest git_sha1(char digit) { return *Digest::parse(std::string(40, digit)); }
inline CommitId commit(char digit) { return *CommitId::parse(std::string(40, digit)); }
inline RepoId repo(const std::string& text) { return *RepoId::parse(text); }
inline RepoPath path(const std::string& text) { return *RepoPath::parse(text); }
inline Revision revision(const std::string& text) { return *Revision::parse(text); }

/// An address whose origin is all before the path.
inline Url url(const std::string& text) {
  const std::size_t slash = text.find('/', text.find("://") + 3);
  return {text, text.substr(0, slash), text.starts_with("https:")};
}

inline ResponseHead head(int status) {
  ResponseHead head;
  head.status = status;
  return head;
}

/// With `Retry-After`.
inline ResponseHead busy(int status, std::chrono::seconds retry_after) {
  ResponseHead answer = head(status);
  answer.retry_after = retry_after;
  return answer;
}

inline ResponseHead redirect(const std::string& to) {
  ResponseHead answer = head(302);
  answer.location = to;
  answer.redirect = url(to);
  return answer;
}

inline RemoteFile plain_file(const std::string& name, std::int64_t size, char digit) {
  return {path(name), size, git_sha1(digit), git_sha1(digit), {}, {}, false};
}

inline RemoteFile lfs_file(const std::string& name, std::int64_t size, char digit) {
  return {path(name), size, sha256(digit), git_sha1(digit), {}, {}, false};
}

inline ModelSpec spec(const std::string& key, const std::string& name,
                      const std::string& at = "main") {
  return {.key = key,
          .repo = repo(name),
          .revision = revision(at),
          .ref = "main",
          .variant_requested = Build::fp32,
          .variant = Build::fp32,
          .filter = {},
          .lock = {}};
}

}  // namespace model_prep::testing
