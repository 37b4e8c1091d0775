// SPDX-License-Identifier: Apache-2.0
// What the folders of `--from` have of the models of a run (io/import_folder.h).
//
// Online they give bytes only. Offline they also say which commit a branch is and which files a
// commit has, where the cache does not know: that is an import. Nobody confirms what they say, so
// it is warned of, and never counts as what the Hub has said. A lockfile needs none of it. A
// signature they may have too: whoever keeps it, it proves itself.
//
// Nothing is read before a file is missing. One thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "model_prep/commands/resolve.h"
#include "model_prep/commands/session.h"
#include "model_prep/core/fetch_plan.h"
#include "model_prep/io/import_folder.h"

namespace model_prep {

class Imports {
 public:
  /// `session` must outlive it.
  explicit Imports(Session& session);

  /// Whether there is any folder.
  explicit operator bool() const { return !folders_.empty(); }

  /// Offline: what the model is, as the first folder says that knows it. Nothing if none does, or
  /// if the run is not offline.
  std::optional<Resolution> resolve(const ModelSpec& spec);

  /// Offline: what the folders have of a small file of the snapshot, whether or not it is selected.
  /// Nobody has checked it.
  Strings contents(const ResolvedSnapshot& snapshot, const RepoPath& path, std::size_t max) const;

  /// The error of a model that could not be resolved without a request: the folders did not help.
  Error explain(Error error) const;

  /// Looks for the plan's files in all folders, for each file once, and gives them to its jobs.
  void look_up(FetchPlan& plan);

  /// Gives what earlier calls found to the jobs of another plan.
  void add_to(FetchPlan& plan) const;

  /// Whether an earlier call found it.
  bool have(const RemoteFile& file) const;

 private:
  /// The most that are tried for one file.
  static constexpr std::size_t kMaxNearby = 8;

  void add(const std::string& digest, const ImportFolder& folder, const std::string& path);

  Session& session_;
  std::vector<std::unique_ptr<ImportFolder>> folders_;
  std::unordered_map<std::string, std::vector<NearbyFile>> found_;  // by digest, of all looked for
};

}  // namespace model_prep
