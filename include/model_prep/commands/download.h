// SPDX-License-Identifier: Apache-2.0
// The command `download`: select, look, ask, plan, fetch, publish, report.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model_prep/commands/hub_client.h"
#include "model_prep/commands/session.h"
#include "model_prep/core/model_run.h"
#include "model_prep/io/file_lock.h"
#include "model_prep/report/run_report.h"

namespace model_prep {

class Download {
 public:
  explicit Download(Session& session) : session_(session) {}

  /// Brings these models into the cache. All that can go wrong is in the report, and has been told.
  RunReport run(std::vector<ModelSpec> specs);

 private:
  Status work(std::vector<ModelSpec> specs);
  Status prepare(std::vector<ModelSpec> specs);
  void look(ModelRun& model, ResolvedSnapshot snapshot,
            const std::optional<SnapshotRecord>& record);
  void resolve_from_hub();
  Status check_space(const FetchPlan& plan) const;
  void fetch(const FetchPlan& plan);
  void hold_repositories();
  Status fetch_and_publish();
  bool look_again();
  bool note_abort();
  void refuse_offline();
  void on_outcome(const FetchJob& job, const FileOutcome& outcome);
  void publish_ready();
  void publish(ModelRun& model);
  RunReport report();
  bool writing_needed(const ModelRun& model) const;
  std::string snapshot_folder(const ModelRun& model) const;

  Session& session_;
  std::unique_ptr<HubClient> connection_;  ///< null: it could not be made
  std::vector<ModelRun> models_;
  std::map<RepoId, FileLock>
      held_;  ///< so that no cleanup takes away what is found in them, or has come
  std::optional<Error> error_;
};

int run_download(Session& session);

}  // namespace model_prep
