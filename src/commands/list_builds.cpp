// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/list_builds.h"

#include <fmt/ranges.h>

#include "model_prep/base/text.h"
#include "model_prep/commands/fetcher.h"
#include "model_prep/commands/resolve.h"
#include "model_prep/report/summary_json.h"
#include "model_prep/report/table.h"

namespace model_prep {
namespace {

/// The same model as a whole commit: its listing has all builds.
ModelSpec whole_commit_of(ModelSpec spec) {
  spec.variant = Build::all;
  spec.filter = {.include = {"*"}};
  spec.fully_locked = false;
  spec.lock = {};
  return spec;
}

ModelBuilds builds_of(const ResolvedSnapshot& snapshot) {
  std::vector<ListedFile> all;
  for (const RemoteFile& file : snapshot.files) all.push_back({file.path, file.size});
  return {
      .spec = snapshot.spec, .commit = snapshot.commit.hex(), .builds = available_builds(all, {})};
}

std::string builds_table(const std::vector<ModelBuilds>& models, std::optional<int> columns) {
  Table table{.head = {"MODEL", "BUILD", "SIZE", "FILES"}, .numbers = {2}, .yielding = {3}};
  for (const ModelBuilds& model : models)
    for (const AvailableBuild& build : model.builds)
      table.rows.push_back({model.spec.key, build.variant.text(), format_bytes(build.size),
                            fmt::format("{}", fmt::join(build.files, ", "))});
  return table_text(table, columns);
}

}  // namespace

int run_list_builds(Session& session) {
  auto specs = session.select();
  if (!specs) return session.fail_run(specs.error());
  if (session.options.offline)
    return session.fail_run({ErrorKind::offline_missing, "cannot ask the Hub for builds offline",
                             "run without HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE"});

  for (ModelSpec& spec : *specs) spec = whole_commit_of(std::move(spec));
  Fetcher fetcher(session);
  bool succeeded = true;
  std::vector<ModelBuilds> models;
  for (const Resolution& found :
       resolve_remotely(*specs, session.cache, fetcher, Network::required)) {
    if (!found.renamed.empty()) session.log.warning(found.renamed);
    if (!found.snapshot) {
      if (!Fetcher::has_logged(found.snapshot.error())) session.log_error(found.snapshot.error());
      succeeded = false;
      continue;
    }

    models.push_back(builds_of(*found.snapshot));
    if (models.back().builds.empty())
      session.log.warning(found.snapshot->spec.key + ": there are no weights in it");
  }

  if (const auto signal = session.signals.read()) return 128 + *signal;
  session.print_result(session.options.json ? builds_text(models)
                                            : builds_table(models, session.columns));
  return succeeded && session.has_printed_all() ? 0 : 1;
}

}  // namespace model_prep
