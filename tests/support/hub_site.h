// SPDX-License-Identifier: Apache-2.0
// The responses of the two origins: the Hub's routes, access rules and errors, without sockets or
// faults.
//
// Responses have the form recorded from the live Hub. Not thread-safe: FakeHub, which owns it, has
// the lock.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "support/hub_content.h"
#include "support/hub_http.h"
#include "support/hub_options.h"

namespace model_prep::testing {

/// A file and its metadata.
struct SiteFile {
  HubFile file;
  FileDigests digests;
  std::string xet_hash;  ///< empty for plain files; as on the Hub no function of the bytes alone
};

struct SiteRepo {
  HubRepo repo;                                          ///< without its files
  std::map<std::string, std::vector<SiteFile>> commits;  ///< sorted by path
};

/// Computes all digests.
SiteRepo make_site_repo(HubRepo repo);

class HubSite {
 public:
  HubSite(HubOptions options, std::string hub_origin, std::string payload_origin);

  /// Replaces a repository with the same id. The old one stays in memory, because responses in
  /// progress point into it.
  void add(SiteRepo repo);
  void expire_signed_urls() { ++epoch_; }
  const std::deque<SiteRepo>& repos() const { return repos_; }

  Answer answer_hub(const HttpRequest& request);
  Answer answer_payload(const HttpRequest& request) const;

 private:
  enum class Caller { anonymous, granted, valid_without_access, invalid };
  struct Place {  ///< a repository and a commit in it; without a repository the refusal
    const SiteRepo* repo = nullptr;
    std::string commit;
    Answer refusal;
  };
  struct Window {
    std::int64_t number = 0;
    std::int64_t used = 0;
  };
  using Segments = std::vector<std::string>;

  Answer route_hub(const HttpRequest& request) const;
  Answer route_api(const HttpRequest& request, const Segments& segments) const;
  Answer route_verb(const HttpRequest& request, const std::string& id, const Segments& rest) const;
  void add_common_headers(Answer& answer);
  void count_request(Answer& answer);

  Caller caller_of(const HttpRequest& request) const;
  bool has_access(const SiteRepo& repo, Caller caller) const;
  const SiteRepo* find_repo(const std::string& id) const;
  Place find_repo_for(const HttpRequest& request, const std::string& id) const;
  void find_revision(Place& place, const std::string& revision) const;

  Answer repo_info(const HttpRequest& request, const Place& place) const;
  Answer tree(const HttpRequest& request, const Place& place, const std::string& folder) const;
  Answer refs(const Place& place) const;
  Answer paths_info(const HttpRequest& request, const Place& place) const;

  Answer resolve(const HttpRequest& request, const std::string& id, const std::string& revision,
                 const std::string& path) const;
  Answer resolve_cache(const HttpRequest& request, const Segments& segments) const;
  Place find_place_of_file(const HttpRequest& request, const std::string& id,
                           const std::string& revision, const std::string& path) const;
  Answer redirect_to_cache(const HttpRequest& request, const Place& place,
                           const SiteFile& file) const;
  Answer redirect_to_payload(const HttpRequest& request, const Place& place,
                             const SiteFile& file) const;
  Answer serve_from_hub(const HttpRequest& request, const Place& place, const SiteFile& file) const;
  std::string signature(std::string_view unsigned_target, const HttpRequest& request) const;
  bool is_signed(const HttpRequest& request) const;

  HubOptions options_;
  std::string hub_origin_;
  std::string payload_origin_;
  std::deque<SiteRepo> repos_;                       ///< a deque never moves what it holds
  std::map<std::string, const SiteFile*> payloads_;  ///< by xet hash
  std::int64_t epoch_ = 0;                           ///< part of every signature
  std::int64_t answers_ = 0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::map<std::string, Window> windows_;
};

/// A text response with a weak ETag, as the Hub's web framework adds it: never a file's digest.
Answer text_answer(int status, std::string_view content_type, std::string body);

/// An error of the Hub: X-Error-Code unless empty, X-Error-Message, and the message as body.
Answer error_answer(int status, std::string_view code, const std::string& message);

/// The same error with the body of the API: {"error": message}.
Answer json_error(const Answer& error);

/// 200, 206 or 416 with (a part of) a file.
Answer file_answer(const HttpRequest& request, const SiteFile& file, const std::string& etag);

}  // namespace model_prep::testing
