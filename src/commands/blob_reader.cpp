// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/blob_reader.h"

#include <utility>

#include <fmt/format.h>

#include "model_prep/base/text.h"

namespace model_prep {

BlobReader::BlobReader(Session& session, std::span<const ResolvedSnapshot> snapshots)
    : session_(session), snapshots_(snapshots) {
  ProgressPlan plan;
  for (std::size_t i = 0; i < snapshots.size(); ++i) {
    const ResolvedSnapshot& snapshot = snapshots[i];
    plan.models.push_back(snapshot.spec.key);
    for (const RemoteFile& file : snapshot.files) {
      const auto [at, is_new] =
          indices_.try_emplace({snapshot.spec.repo, file.blob}, plan.files.size());
      if (is_new) plan.files.push_back({.bytes = file.size, .models = {}});

      auto& models = plan.files[at->second].models;
      if (models.empty() || models.back() != i) models.push_back(i);
    }
  }
  done_.resize(plan.files.size());
  session.observer.planned(std::move(plan), Clock::now());
}

Status BlobReader::read(const ImageBlob& blob, const ByteConsumer& consume) {
  const ResolvedSnapshot& snapshot = snapshots_[blob.snapshot];
  const RemoteFile& file = snapshot.files[blob.file];
  return read_at(session_.cache.content(snapshot.spec.repo, snapshot.commit, file).path, blob,
                 consume);
}

Status BlobReader::read_at(const std::string& path, const ImageBlob& blob,
                           const ByteConsumer& consume) {
  const ResolvedSnapshot& snapshot = snapshots_[blob.snapshot];
  const RemoteFile& file = snapshot.files[blob.file];
  const RepoId& repo = snapshot.spec.repo;
  const std::size_t index = indices_.at({repo, file.blob});

  Bytes done = 0;
  bool is_consumed = true;
  const auto sha256 = read_verified(path, file.blob_spec(), repo.text() + " " + file.path.text(),
                                    [&](std::string_view bytes) {
                                      done += static_cast<Bytes>(bytes.size());
                                      const Status consumed = consume(bytes);
                                      is_consumed = consumed.has_value();
                                      return consumed ? step(index, done) : consumed;
                                    });
  if (!sha256) {
    // What cannot be written is no fault of the model.
    if (is_consumed) failed_ = blob.snapshot;
    Error error = sha256.error();
    if (error.kind == ErrorKind::digest_mismatch)
      error.hint = "model-prep verify --repair downloads it again";
    return error;
  }

  known_.insert_or_assign(file.blob, *sha256);
  if (!done_[index]) {
    bytes_hashed_ += file.size;
    done_[index] = true;
    session_.observer.file_done(index, FileEnd::ready, 0);
  }
  return ok();
}

Status BlobReader::step(std::size_t index, Bytes done) {
  if (const auto signal = session_.signals.read())
    return stopped_by(*signal, "nothing unfinished is left behind: run it again");

  const TimePoint now = Clock::now();
  if (now < session_.observer.due() || done_[index]) return ok();
  const ActiveFile active[] = {{.index = index, .activity = Activity::verifying, .done = done}};
  session_.observer.show(active, 0, now);
  return ok();
}

Status check_export_space(const std::string& folder, Bytes needed) {
  const auto space = disk_space(folder);
  if (!space || needed <= space->bytes) return ok();
  return Error{ErrorKind::disk_full,
               fmt::format("not enough space in {}: {} needed, {} free", folder,
                           format_bytes(needed), format_bytes(space->bytes)),
               "free some space, choose another folder, or select fewer models"};
}

}  // namespace model_prep
