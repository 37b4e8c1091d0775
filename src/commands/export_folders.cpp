// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/export_folders.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <map>
#include <memory>
#include <set>

#include <fmt/format.h>

#include "model_prep/base/text.h"
#include "model_prep/io/hasher.h"
#include "model_prep/io/plain_folder_writer.h"

namespace model_prep {
namespace {

constexpr std::chrono::milliseconds kLockPoll{250};

/// With the ids of the git tree, which a lock may leave out and a record has.
std::vector<RemoteFile> recorded_files(const ResolvedSnapshot& snapshot) {
  std::vector<RemoteFile> files = snapshot.files;
  for (RemoteFile& file : files) {
    file.xet_hash.clear();
    if (!file.oid) file.oid = git_sha1_of(lfs_pointer_text(file.blob, file.size));
  }
  return files;
}

class FolderExport {
 public:
  FolderExport(Session& session, std::span<const ResolvedSnapshot> snapshots, BlobReader& reader)
      : session_(session), target_(*session.options.to), snapshots_(snapshots), reader_(reader) {}

  Result<ExportReport> run() {
    if (Status named = name_folders(); !named) return named.error();

    std::vector<std::size_t> missing;
    for (std::size_t i = 0; i < folders_.size(); ++i) {
      const auto is_there = prepare(i);
      if (!is_there) return is_there.error();
      if (!*is_there) missing.push_back(i);
    }
    if (Status fits = check_space(missing); !fits) return fits.error();

    std::set<std::size_t> written;
    for (const std::size_t i : missing) {
      const auto is_new = write(i);
      if (!is_new) return is_new.error();
      if (*is_new) written.insert(i);
    }

    ExportReport report{.to = target_.text(), .digest = {}, .layers = {}, .folders = {}};
    for (std::size_t i = 0; i < folders_.size(); ++i) {
      const bool is_new = written.contains(i);
      session_.log.info(fmt::format("{}: {} {}", snapshots_[i].spec.key,
                                    is_new ? "wrote" : "nothing to do in", folders_[i].path()));
      report.folders.push_back(folders_[i].path());
    }
    return report;
  }

 private:
  Status name_folders() {
    const bool is_flat = target_.kind == ExportKind::dir_flat;
    if (is_flat && snapshots_.size() != 1)
      return Error{ErrorKind::usage,
                   fmt::format("dir-flat takes one model, and {} are selected", snapshots_.size()),
                   "name one, or use dir, which makes a folder for each"};

    std::set<std::string> seen;
    for (const ResolvedSnapshot& snapshot : snapshots_) {
      const auto name = plain_folder_name(snapshot.spec);
      if (!is_flat && !name)
        return Error{ErrorKind::usage, snapshot.spec.key + " is no name for a folder",
                     "use dir-flat:FOLDER"};
      const std::string path = is_flat ? target_.folder : target_.folder + "/" + *name;
      if (!seen.insert(path).second)
        return Error{ErrorKind::usage, "two models would be exported to " + path,
                     "export one of them with dir-flat:FOLDER"};
      folders_.emplace_back(path);
    }
    return ok();
  }

  /// Whether blocks can be shared is not known, so the models must fit without.
  Status check_space(const std::vector<std::size_t>& missing) const {
    Bytes needed = 0;
    for (const std::size_t i : missing)
      for (const RemoteFile& file : snapshots_[i].files) needed += file.size;
    return check_export_space(target_.folder, needed);
  }

  /// Returns whether the folder has the model's files. Finds what would make the export fail before
  /// the first byte is copied.
  Result<bool> prepare(std::size_t index) {
    const PlainFolder& folder = folders_[index];
    const auto files = recorded_files(snapshots_[index]);
    const bool is_there = folder.holds(files);
    if (is_there && !folder.has_leftovers()) return true;

    // Another export that has the lock removes them itself, and perhaps brings these very files.
    auto lock = folder.try_lock();
    if (!lock && is_there) return true;
    if (!lock) return lock.error();
    if (*lock) folder.remove_leftovers(**lock);
    if (folder.holds(files)) return true;
    const Status ours = *lock ? folder.check_owner() : ok();
    return ours ? Result<bool>(false) : ours.error();
  }

  Result<std::unique_ptr<ExportLock>> wait_for_lock(const PlainFolder& folder) {
    for (bool is_first = true;; is_first = false) {
      auto lock = folder.try_lock();
      if (!lock || *lock) return lock;

      if (is_first) session_.log.info("waiting for another export to " + folder.path());
      session_.signals.wait(kLockPoll);
      if (Status go_on = reader_.check_signal(); !go_on) return go_on.error();
    }
  }

  /// Returns false if another export has brought the files meanwhile.
  Result<bool> write(std::size_t index) {
    const PlainFolder& folder = folders_[index];
    const auto files = recorded_files(snapshots_[index]);
    const auto lock = wait_for_lock(folder);
    if (!lock) return lock.error();

    folder.remove_leftovers(**lock);
    if (folder.holds(files)) return false;
    Status done = folder.check_owner();
    if (done) done = write_files(index, **lock, files);
    if (done) return true;

    Error error = done.error();
    if (error.kind == ErrorKind::disk_full)
      error.hint = "free some space there and run it again: nothing of this model is left";
    return error;
  }

  Status write_files(std::size_t index, const ExportLock& lock,
                     const std::vector<RemoteFile>& files) {
    const ResolvedSnapshot& snapshot = snapshots_[index];
    std::map<Digest, std::int64_t>
        seconds;  // files with the same content share an entry of the record
    return folders_[index].write(
        lock, files,
        [&](std::size_t i, const UniqueFd& to, const std::string& path) -> Result<VerifiedBlob> {
          const RemoteFile& file = snapshot.files[i];
          const std::string from =
              session_.cache.content(snapshot.spec.repo, snapshot.commit, file).path;
          const auto source = open_for_reading(from);
          if (!source) return source.error();
          const auto info = stat_fd(*source);
          if (!info) return io_error("inspect", from, errno);

          if (Status copied = copy({index, i}, *source, to, path); !copied) return copied.error();
          constexpr std::int64_t kSecond = 1'000'000'000;
          set_time(to, seconds.try_emplace(file.blob, info->mtime_ns / kSecond).first->second);
          const auto there = stat_fd(to);  // some file systems round it
          if (!there) return io_error("inspect", path, errno);
          return VerifiedBlob{file.size, there->mtime_ns, reader_.known().at(file.blob)};
        });
  }

  Status copy(const ImageBlob& blob, const UniqueFd& source, const UniqueFd& to,
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
  const ExportTarget& target_;
  const std::span<const ResolvedSnapshot> snapshots_;
  BlobReader& reader_;
  std::vector<PlainFolder> folders_;
};

}  // namespace

Result<ExportReport> export_folders(Session& session, std::span<const ResolvedSnapshot> snapshots,
                                    BlobReader& reader) {
  return FolderExport(session, snapshots, reader).run();
}

}  // namespace model_prep
