// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/export_folders.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <map>
#include <memory>
#include <set>

#include <fcntl.h>

#include <fmt/format.h>

#include "model_prep/base/text.h"
#include "model_prep/io/hasher.h"
#include "model_prep/io/plain_folder_writer.h"

namespace model_prep {
namespace {

constexpr std::chrono::milliseconds kLockPoll{250};

/// The time that each blob's files have: those with the same content share an entry of the record.
using Seconds = std::map<Digest, std::int64_t>;

class FolderExport {
 public:
  FolderExport(Session& session, std::span<const ResolvedSnapshot> snapshots,
               const Strings& folders, FromCache how, BlobReader& reader)
      : session_(session), snapshots_(snapshots), how_(how), reader_(reader) {
    // Of kserve-init also those that need nothing.
    for (const std::string& folder : folders)
      folders_.emplace_back(folder, session.options.destinations);
  }

  Result<ExportReport> run() {
    for (const PlainFolder& folder : folders_)
      if (Status apart = folder.check_outside(session_.options.cache_dir); !apart)
        return apart.error();

    std::vector<std::size_t> missing;
    for (std::size_t i = 0; i < folders_.size(); ++i) {
      const auto is_there = prepare(i);
      if (!is_there) return is_there.error();
      if (!*is_there) missing.push_back(i);
    }
    if (how_ == FromCache::copy)
      if (Status fits = check_space(missing); !fits) return fits.error();

    std::set<std::size_t> written;
    for (const std::size_t i : missing) {
      const auto is_new = write(i);
      if (!is_new) return is_new.error();
      if (*is_new) written.insert(i);
    }

    ExportReport report;
    for (std::size_t i = 0; i < folders_.size(); ++i) {
      const bool is_new = written.contains(i);
      session_.log.info(fmt::format("{}: {} {}", snapshots_[i].spec.key,
                                    is_new ? "wrote" : "nothing to do in", folders_[i].path()));
      report.folders.push_back(folders_[i].path());
    }
    return report;
  }

 private:
  /// Whether blocks can be shared is not known, so the models must fit without.
  Status check_space(const std::vector<std::size_t>& missing) const {
    std::map<std::uint64_t, Bytes> needed;  // by file system
    for (const std::size_t i : missing) {
      const std::string& folder = folders_[i].path();
      const auto space = disk_space(folder);
      if (!space) continue;

      Bytes& bytes = needed[space->device];
      for (const RemoteFile& file : snapshots_[i].files) bytes += file.size;
      if (Status fits = check_export_space(folder, bytes); !fits) return fits;
    }
    return ok();
  }

  /// Returns whether the folder has the model's files. Finds what would make the export fail before
  /// the first byte is copied.
  Result<bool> prepare(std::size_t index) {
    const PlainFolder& folder = folders_[index];
    const auto content = folder.content();
    const bool is_there = content && is_record_of(*content, recorded_files(snapshots_[index]));
    if (is_there && content->origin == origin(index) && !folder.has_leftovers()) return true;

    // Another export that has the lock removes them itself, and perhaps brings these very files.
    auto lock = folder.try_lock();
    if (!lock && is_there) return true;
    if (!lock) return lock.error();
    if (*lock) folder.remove_leftovers(**lock);
    if (is_done(index, *lock)) return true;
    const Status ours = *lock ? folder.check_owner() : ok();
    return ours ? Result<bool>(false) : ours.error();
  }

  /// Whether the folder holds the files. If they were selected in another way before, or were held
  /// to another policy, its record says so from now on: a restart of `kserve-init` goes by that.
  bool is_done(std::size_t index, const std::unique_ptr<ExportLock>& lock) {
    const PlainFolder& folder = folders_[index];
    if (!folder.holds(recorded_files(snapshots_[index]))) return false;

    // Where it cannot be written, the files are the right ones all the same.
    if (lock) static_cast<void>(folder.set_origin(*lock, origin(index)));
    return true;
  }

  std::string origin(std::size_t index) const {
    return origin_of(snapshots_[index].spec, snapshots_[index].commit);
  }

  Result<std::unique_ptr<ExportLock>> wait_for_lock(const PlainFolder& folder) {
    for (bool is_first = true;; is_first = false) {
      auto lock = folder.try_lock();
      if (!lock || *lock) return lock;

      if (is_first) session_.log.info("waiting for another export to " + folder.path());
      if (Status go_on = session_.wait(kLockPoll); !go_on) return go_on.error();
    }
  }

  /// Returns false if another export has brought the files meanwhile.
  Result<bool> write(std::size_t index) {
    const PlainFolder& folder = folders_[index];
    const auto lock = wait_for_lock(folder);
    if (!lock) return lock.error();

    folder.remove_leftovers(**lock);
    if (is_done(index, *lock)) return false;
    Status done = folder.check_owner();
    if (done) done = write_files(index, **lock, recorded_files(snapshots_[index]));
    if (done) return true;

    Error error = done.error();
    if (error.kind == ErrorKind::disk_full) error.hint = "free some space there and run it again";
    return error;
  }

  Status write_files(std::size_t index, const ExportLock& lock,
                     const std::vector<RemoteFile>& files) {
    const ResolvedSnapshot& snapshot = snapshots_[index];
    const RepoId& repo = snapshot.spec.repo;
    std::optional<SnapshotRecord> known;
    if (how_ == FromCache::move) known = session_.cache.record(repo, snapshot.commit);

    Seconds seconds;
    return folders_[index].write(
        lock, files, origin(index),
        [&](std::size_t i, const Directory& directory,
            const std::string& path) -> Result<VerifiedBlob> {
          const RemoteFile& file = snapshot.files[i];
          const std::string from = session_.cache.content(repo, snapshot.commit, file).path;
          if (known)
            if (const auto linked = link(from, directory, path, *known, file)) return *linked;
          return copy({index, i}, from, directory, path, seconds);
        });
  }

  /// Nothing if it must be copied: no links here, a blob that another file has already, or one that
  /// no record covers.
  static std::optional<VerifiedBlob> link(const std::string& from, const Directory& directory,
                                          const std::string& path, const SnapshotRecord& known,
                                          const RemoteFile& file) {
    const auto verified = known.blobs.find(file.blob);
    if (verified == known.blobs.end() || !vouches_for(verified->second, file.blob_spec()) ||
        !directory.link(from, path))
      return std::nullopt;

    // Two files with the same bytes must not be one: some loaders refuse a file with two names.
    const auto there = lstat_path(path);
    const bool is_alone = there && there->is_file && there->link_count == 2;
    if (is_alone && verified->second.covers(there->stamp()))
      return VerifiedBlob{there->size, there->mtime_ns, verified->second.sha256};
    static_cast<void>(directory.remove(path));  // if it stays, the copy fails
    return std::nullopt;
  }

  Result<VerifiedBlob> copy(const ImageBlob& blob, const std::string& from,
                            const Directory& directory, const std::string& path, Seconds& seconds) {
    const auto source = open_for_reading(from);
    if (!source) return source.error();
    const auto info = stat_fd(*source);
    if (!info) return io_error("inspect", from, errno);

    const auto to = directory.open_file(path, O_RDWR | O_CREAT | O_EXCL);
    if (!to) return to.error();
    if (Status copied = copy_content(blob, *source, *to, path); !copied) return copied.error();

    constexpr std::int64_t kSecond = 1'000'000'000;
    const RemoteFile& file = snapshots_[blob.snapshot].files[blob.file];
    set_time(*to, seconds.try_emplace(file.blob, info->mtime_ns / kSecond).first->second);
    const auto there = stat_fd(*to);  // some file systems round it
    if (!there) return io_error("inspect", path, errno);
    return VerifiedBlob{file.size, there->mtime_ns, reader_.known().at(file.blob)};
  }

  Status copy_content(const ImageBlob& blob, const UniqueFd& source, const UniqueFd& to,
                      const std::string& path) {
    if (clone_file(source, to))
      return reader_.read_at(path, blob, [](std::string_view) { return ok(); });

    // Errors name the file that is wanted: the temporary name means nothing to a reader.
    const RemoteFile& file = snapshots_[blob.snapshot].files[blob.file];
    const std::string wanted = folders_[blob.snapshot].path() + "/" + file.path.text();
    Bytes done = 0;
    return reader_.read(blob, [&](std::string_view bytes) {
      Status written = write_at(to, bytes, done, wanted);
      done += static_cast<Bytes>(bytes.size());
      return written;
    });
  }

  Session& session_;
  const std::span<const ResolvedSnapshot> snapshots_;
  const FromCache how_;
  BlobReader& reader_;
  std::vector<PlainFolder> folders_;
};

}  // namespace

std::vector<RemoteFile> recorded_files(const ResolvedSnapshot& snapshot) {
  std::vector<RemoteFile> files = snapshot.files;
  for (RemoteFile& file : files) {
    file.xet_hash.clear();
    if (!file.oid) file.oid = git_sha1_of(lfs_pointer_text(file.blob, file.size));
  }
  return files;
}

Result<Strings> folders_of(const ExportTarget& target, std::span<const ModelSpec> specs) {
  const bool is_flat = target.kind == ExportKind::dir_flat;
  if (is_flat && specs.size() != 1)
    return Error{ErrorKind::usage,
                 fmt::format("dir-flat takes one model, and {} are selected", specs.size()),
                 "name one, or use dir, which makes a folder for each"};

  Strings folders;
  for (const ModelSpec& spec : specs) {
    const auto name = plain_folder_name(spec);
    if (!is_flat && !name)
      return Error{ErrorKind::usage, spec.key + " is no name for a folder", "use dir-flat:FOLDER"};
    const std::string path = is_flat ? target.folder : target.folder + "/" + *name;
    if (std::ranges::count(folders, path) > 0)
      return Error{ErrorKind::usage, "two models would be exported to " + path,
                   "export one of them with dir-flat:FOLDER"};
    folders.push_back(path);
  }
  return folders;
}

Status check_folders(const Session& session, const Strings& folders) {
  for (const std::string& path : folders) {
    const PlainFolder folder(path);
    if (Status apart = folder.check_outside(session.options.cache_dir); !apart) return apart;

    // It may hold the model already, and then whatever else.
    if (folder.content() || folder.has_leftovers()) continue;
    if (Status ours = folder.check_owner(); !ours) return ours;
  }
  return ok();
}

Result<ExportReport> export_folders(Session& session, std::span<const ResolvedSnapshot> snapshots,
                                    const Strings& folders, FromCache how, BlobReader& reader) {
  return FolderExport(session, snapshots, folders, how, reader).run();
}

}  // namespace model_prep
