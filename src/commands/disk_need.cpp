// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/disk_need.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "model_prep/base/text.h"
#include "model_prep/io/staging.h"

namespace model_prep {

Status check_space(const FetchPlan& plan, std::span<const ModelRun> models, const Cache& cache) {
  struct Need {
    Bytes bytes{0};
    std::int64_t inodes{0};
  };
  // Two inodes for each new blob, which has a lock file, and one for each link.
  std::map<RepoId, Need> repositories;
  for (const FetchJob& job : plan.jobs) {
    if (job.check_existing) continue;

    // Only a large file has its space reserved. There may be very many small ones.
    const Bytes there =
        job.file.size < kMinClaimedSize
            ? job.staged
            : reserved_bytes(cache.repository(job.repo), job.file.blob, job.file.size);
    repositories[job.repo].bytes += job.file.size - there;
    repositories[job.repo].inodes += 2;
  }
  for (const ModelRun& model : models)
    repositories[model.spec.repo].inodes +=
        std::ranges::count(model.view.files, false, &FileView::linked);

  std::map<std::uint64_t, Need> volumes;
  for (const auto& [repo, need] : repositories) {
    const Repository& repository = cache.repository(repo);
    const auto space = disk_space(canonical_path(repository.layout.blobs));
    if (!space) continue;

    Need& all = volumes[space->device];
    all.bytes += need.bytes;
    all.inodes += need.inodes;
    const std::string& directory = repository.directory->path();
    if (all.bytes > space->bytes)
      return Error{
          ErrorKind::disk_full,
          fmt::format("not enough space for the cache {}: {} needed, {} free", directory,
                      format_bytes(all.bytes), format_bytes(space->bytes)),
          "free some space, choose another volume with --cache-dir, or select fewer models"};
    if (space->inodes && all.inodes > *space->inodes)
      return Error{ErrorKind::disk_full,
                   fmt::format("not enough inodes for the cache {}: about {} needed, {} free",
                               directory, all.inodes, *space->inodes),
                   "remove some files, or choose another volume with --cache-dir"};
  }
  return ok();
}

}  // namespace model_prep
