// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/leftovers.h"

#include <algorithm>

#include <fcntl.h>

#include <fmt/format.h>

#include "model_prep/io/file_lock.h"

namespace model_prep {
namespace {

constexpr std::chrono::hours kMaxAge{24};
constexpr std::string_view kLockSuffix = ".lock";

/// A file in `blobs/` that is not a blob.
struct UnfinishedFile {
  Digest blob;
  std::optional<WriterTag> writer{};  ///< who has the claim to it; nothing if unknown
  bool foreign{false};                ///< huggingface_hub's
  bool wanted{false};                 ///< a run could resume from it
  std::optional<std::string> twin{};  ///< record or staging file: as alive as this one
};

UnfinishedFile staging_file(const Repository& repository, const Digest& blob,
                            const WriterTag& tag) {
  const auto [text, record, unreadable] = read_resume(repository, blob);

  // It may name this file: who writes that cannot be told, and only its age says that nobody does.
  if (unreadable) return {.blob = blob, .twin = repository.layout.resume(blob)};
  if (!record || record->file != tag) return {.blob = blob, .writer = tag};
  return {.blob = blob,
          .writer = record->writer,
          .wanted = true,
          .twin = repository.layout.resume(blob)};
}

UnfinishedFile resume_file(const Repository& repository, const Digest& blob) {
  // The record of a published blob without a staging file was left by a kill between the rename and
  // the removal of the record.
  UnfinishedFile file{.blob = blob, .wanted = !lstat_path(repository.layout.blob(blob))};
  const auto record = read_resume(repository, blob).record;
  if (!record) return file;

  file.writer = record->writer;
  const std::string staging = repository.layout.staging(blob, record->file);
  if (lstat_path(staging)) {
    file.twin = staging;
    file.wanted = true;
  }
  return file;
}

std::optional<UnfinishedFile> unfinished_file(const Repository& repository,
                                              const std::string& path) {
  using Kind = BlobsEntry::Kind;
  const auto entry = parse_blobs_entry(file_name(path));
  if (!entry || entry->kind == Kind::blob) return std::nullopt;

  if (entry->kind == Kind::staging) return staging_file(repository, entry->blob, *entry->tag);
  if (entry->kind == Kind::resume) return resume_file(repository, entry->blob);
  return UnfinishedFile{.blob = entry->blob, .foreign = true};
}

enum class LockCheck : std::uint8_t { may_create_lock, writes_nothing };

/// No process that this machine's locks can show is writing this blob.
bool is_lock_free(const Repository& repository, const Digest& blob, LockCheck check) {
  const std::string path = repository.layout.lock(blob);
  if (check == LockCheck::writes_nothing && !lstat_path(path)) return true;

  const auto lock = FileLock::try_acquire(*repository.lock_directory, path);
  return lock && *lock && lock_excludes(*repository.lock_directory, path);
}

/// Somebody has a staging file locked, as far as can be seen.
bool is_locked(const Repository& repository, const std::string& path) {
  const auto fd = repository.directory->open_file(path, O_RDWR);
  return fd ? !lock_file(*fd) : lstat_path(path).has_value();
}

bool is_dead(const Repository& repository, const UnfinishedFile& file, const std::string& path,
             const WriterIdentity& self, LockCheck check) {
  if (is_older_than(path, kMaxAge) && (!file.twin || is_older_than(*file.twin, kMaxAge)))
    return true;

  // Whoever had the file before that writer has lost it, wherever that one ran, and would notice.
  // It may still be copied into the writer's own file, which then is the one that is locked.
  const bool of_this_machine = file.writer && self.tag.same_machine(*file.writer);
  if (!file.foreign && !of_this_machine) return false;
  if (file.writer && is_locked(repository, repository.layout.staging(file.blob, *file.writer)))
    return false;

  return is_lock_free(repository, file.blob, check) && !is_locked(repository, path) &&
         !(file.twin && is_locked(repository, *file.twin));
}

}  // namespace

void remove_temporary(const Directory& owner, const std::string& path) {
  static_cast<void>(owner.remove(path + "/snapshots"));
  static_cast<void>(owner.remove(path));
}

void sweep_temporary_files(const Directory& owner, const std::string& directory) {
  for (const std::string& path : list_directory(directory)) {
    // What a cleanup has moved aside keeps its old time, and may have to go back.
    const std::string name = file_name(path);
    if (name.starts_with(kRemovedBlob) || name.starts_with(kRemovedSnapshot)) continue;

    if (name.ends_with(".tmp") && is_older_than(path, kMaxAge)) remove_temporary(owner, path);
  }
}

void sweep_staging(const Repository& repository, const WriterIdentity& self) {
  for (const std::string& path : list_directory(repository.layout.blobs)) {
    const auto file = unfinished_file(repository, path);
    if (!file || file->foreign || file->wanted) continue;
    if (!is_dead(repository, *file, path, self, LockCheck::may_create_lock)) continue;

    static_cast<void>(repository.directory->remove(path));  // else another run will remove it
  }
}

std::vector<Leftover> find_leftovers(const Repository& repository, const WriterIdentity& self) {
  std::vector<Leftover> found;
  for (const std::string& path : list_directory(repository.layout.blobs)) {
    const auto there = lstat_path(path);
    const auto file = unfinished_file(repository, path);
    if (!file || !there || there->is_folder) continue;

    found.push_back({.path = path,
                     .blob = file->blob,
                     .bytes = there->size,
                     .mtime_ns = there->mtime_ns,
                     .dead = is_dead(repository, *file, path, self, LockCheck::writes_nothing),
                     .old = is_older_than(path, kMaxAge)});
  }
  return found;
}

std::optional<std::string> find_writer(const Repository& repository,
                                       const std::vector<Leftover>& leftovers, RepoLock repo_lock) {
  Status listed = ok();
  const Strings locks = list_directory(repository.layout.lock_directory, &listed);
  if (!listed) return fmt::format("an unknown process ({})", listed.error().message);

  for (const std::string& path : locks) {
    if (!path.ends_with(kLockSuffix)) continue;
    if (repo_lock == RepoLock::ours && path == repository.layout.repo_lock()) continue;

    const auto lock = FileLock::try_acquire(*repository.lock_directory, path);
    if (!lock) return fmt::format("an unknown process ({})", lock.error().message);
    const std::string name = file_name(path);
    const auto blob = Digest::parse(name.substr(0, name.size() - kLockSuffix.size()));
    if (!*lock) return blob ? read_resume(repository, *blob).owner() : "another process";
  }

  for (const Leftover& left : leftovers)
    if (!left.dead)
      return fmt::format("{}, which may still be running",
                         read_resume(repository, left.blob).owner());
  return std::nullopt;
}

}  // namespace model_prep
