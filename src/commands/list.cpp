// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/list.h"

#include <algorithm>

#include "model_prep/base/text.h"
#include "model_prep/commands/resolve.h"
#include "model_prep/report/summary_json.h"
#include "model_prep/report/table.h"

namespace model_prep {
namespace {

/// The snapshot of another revision: the one that the ref names, else the first by name.
std::string other_snapshot(const ModelSpec& spec, const Cache& cache) {
  const CacheLayout& at = cache.repository(spec.repo).layout;
  if (const auto commit = cache.ref(spec.repo, spec.ref);
      commit && lstat_path(at.snapshot(*commit)))
    return at.snapshot(*commit);

  // Sorted, so that the same cache always gives the same answer.
  const Strings found = list_directory(at.snapshots);
  return found.empty() ? "" : found.front();
}

/// Blobs may be there before the snapshot's directory is: it is made when the last blob is whole.
bool has_begun(const SnapshotView& view) {
  return std::ranges::any_of(view.files, [](const FileView& file) {
    return file.state != BlobState::missing || file.staged > 0;
  });
}

ListedModel inspect(const ModelSpec& spec, Cache& cache) {
  cache.adopt_existing(spec.repo, Cache::Writing::forbidden);
  ListedModel model{.spec = spec};

  const auto commit = cached_commit(spec, cache);
  const std::string folder = commit ? cache.repository(spec.repo).layout.snapshot(*commit) : "";
  const bool has_folder = commit && lstat_path(folder);
  if (commit) model.commit = commit->hex();

  auto local = resolve_locally(spec, cache, Network::forbidden);
  SnapshotView view;
  if (local->snapshot) {
    cache.settle_ref(*local->snapshot);
    model.spec.variant = local->snapshot->spec.variant;
    model.spec.size = total_blob_size(local->snapshot->files);
    view = cache.inspect(*local->snapshot, local->record);
  }

  model.where = has_folder ? folder : other_snapshot(spec, cache);
  if (has_folder)
    model.state = local->snapshot && view.refs_correct && view.has_every_file()
                      ? CacheState::cached
                      : CacheState::partial;
  else if (!model.where.empty())
    model.state = CacheState::other_revision;
  else if (has_begun(view))
    model.state = CacheState::partial;
  return model;
}

std::string list_table(const std::vector<ListedModel>& models, std::optional<int> columns) {
  Table table{.head = {"MODEL", "REPOSITORY", "REVISION", "VARIANT", "SIZE", "STATE", "WHERE"},
              .numbers = {4},
              .yielding = {1, 2, 6}};
  for (const ListedModel& model : models) {
    const ModelSpec& spec = model.spec;
    const std::string& revision = spec.revision.text();
    table.rows.push_back(
        {spec.key, spec.repo.text(), spec.revision.commit() ? revision.substr(0, 12) : revision,
         std::string(selected_by(spec)), spec.size ? format_bytes(*spec.size) : "-",
         std::string(to_string(model.state)), model.where.empty() ? "-" : model.where});
  }
  return table_text(table, columns);
}

}  // namespace

int run_list(Session& session) {
  const auto specs = session.select();
  if (!specs) return session.fail_run(specs.error());

  std::vector<ListedModel> models;
  for (const ModelSpec& spec : *specs) models.push_back(inspect(spec, session.cache));
  session.print_result(session.options.json ? list_text(models, session.options.cache_dir)
                                            : list_table(models, session.columns));
  return session.has_printed_all() ? 0 : 1;
}

}  // namespace model_prep
