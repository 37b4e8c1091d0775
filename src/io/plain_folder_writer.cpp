// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/plain_folder_writer.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fmt/format.h>

#include "model_prep/base/digest.h"

namespace model_prep {
namespace {

constexpr std::size_t kMaxRecord = 64 * 1024 * 1024;
constexpr std::uint64_t kMountRoot = 0x2000;  // STATX_ATTR_MOUNT_ROOT, which musl does not name
constexpr const char* kStemInside = ".model-prep";  // of a temporary folder in a mount point

std::optional<SnapshotRecord> read_record_at(const std::string& path) {
  return parse_record(read_file(path, kMaxRecord).value_or(""));
}

bool is_mount_point(const std::string& path) {
  struct statx found{};
  return statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, STATX_TYPE, &found) == 0 &&
         (found.stx_attributes & kMountRoot) != 0;
}

/// By number, because musl has no function for it.
bool exchange(const std::string& left, const std::string& right) {
  return syscall(SYS_renameat2, AT_FDCWD, left.c_str(), AT_FDCWD, right.c_str(), RENAME_EXCHANGE) ==
         0;
}

void remove_tree(const std::string& path) {
  std::error_code ignored;  // the next export tries again
  std::filesystem::remove_all(path, ignored);
}

/// The lock of a folder that is being written; nothing if its writer lives, or if that cannot be
/// told because folders cannot be locked here, as on NFS.
std::optional<UniqueFd> lock_folder(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd || flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return std::nullopt;
  return fd;
}

/// `<stem>.<16 hex>.tmp`, as `temporary_name` makes it.
bool is_temporary(const std::string& name, const std::string& stem) {
  constexpr std::string_view kEnd = ".tmp";
  return name.size() == stem.size() + 17 + kEnd.size() && name.starts_with(stem + ".") &&
         name.ends_with(kEnd) && is_lower_hex(name.substr(stem.size() + 1, 16), 16);
}

}  // namespace

bool PlainFolder::holds(const std::vector<RemoteFile>& files) const {
  const auto record = read_record_at(names_.record);
  return record && is_record_of(*record, files) &&
         std::ranges::all_of(files, [&](const RemoteFile& file) {
           const auto there = lstat_path(names_.file(file.path));
           return there && there->is_file && record->blobs.at(file.blob).covers(there->stamp());
         });
}

Status PlainFolder::check_owner() const {
  const auto own = lstat_path(names_.root);
  if (!own) return ok();
  const auto refuse = [&](const std::string& reason) {
    return Error{ErrorKind::usage, fmt::format("{} {}", names_.root, reason),
                 "choose another folder: files of others are not touched"};
  };
  if (!own->is_folder) return refuse("is not a folder");

  const std::set<std::string> exported = exported_names();
  for (const std::string& path : list_recursively(names_.root)) {
    const std::string name = path.substr(names_.root.size() + 1);
    const bool is_leftover = is_temporary(name.substr(0, name.find('/')), kStemInside);
    if (is_directory(path) || path == names_.record || is_leftover) continue;
    if (!exported.contains(name))
      return refuse(fmt::format("holds {}, which no export wrote", name));
  }
  return ok();
}

std::set<std::string> PlainFolder::exported_names() const {
  Strings records = {names_.record};
  for (const std::string& path : list_directory(names_.root))
    if (is_temporary(file_name(path), kStemInside)) {
      records.push_back(PlainFolderNames(path).record);
      records.push_back(PlainFolderNames(path).old_record);
    }

  std::set<std::string> names;
  for (const std::string& record : records)
    if (const auto found = read_record_at(record))
      for (const RemoteFile& file : found->listing) names.insert(file.path.text());
  return names;
}

std::string PlainFolder::parent() const {
  return is_mount_point(names_.root) ? names_.root : parent_path(names_.root);
}

std::string PlainFolder::stem() const {
  return is_mount_point(names_.root) ? kStemInside : "." + file_name(names_.root);
}

void PlainFolder::remove_leftovers() const {
  const std::string parent = this->parent();
  const std::string stem = this->stem();
  const bool is_whole = lstat_path(names_.record).has_value();
  for (const std::string& leftover : list_directory(parent)) {
    if (!is_temporary(file_name(leftover), stem)) continue;
    const auto lock = lock_folder(leftover);
    if (!lock) continue;

    // Of an export that ended while it moved its files in. The records that say whose these are go
    // last, and only when the files have gone. A folder in the place of a file is somebody else's.
    bool is_removed = true;
    if (parent == names_.root && !is_whole) {
      const Directory root(names_.root);
      for (const std::string& name : exported_names()) {
        const std::string path = names_.root + "/" + name;
        if (!is_directory(path)) is_removed = root.remove(path).has_value() && is_removed;
      }
    }
    if (is_removed) remove_tree(leftover);
  }
}

Status PlainFolder::write(const std::vector<RemoteFile>& files, const Fill& fill) const {
  const std::string parent = this->parent();
  const bool is_inside = parent == names_.root;
  if (Status made = create_directories(parent); !made) return made;

  const Directory directory(parent);
  const std::string temporary = temporary_name(parent, stem());
  if (Status made = directory.create_directories(temporary); !made) return made;
  const auto lock = lock_folder(temporary);
  if (!lstat_path(temporary))
    return Error{ErrorKind::io, "another export is writing to " + names_.root,
                 "wait until it has ended"};

  Status done = write_files(directory, temporary, files, fill);
  // Somebody may have put a file there in the meantime.
  if (done) done = check_owner();
  if (done && is_inside) {
    // The records in it say whose the files are that have been moved in already.
    if (Status moved = move_in(directory, temporary); !moved) return moved;
  } else if (done) {
    done = put_in_place(directory, temporary);
  }
  if (done) done = directory.sync(parent);
  remove_tree(temporary);  // what is unfinished, or the folder of an earlier export
  return done;
}

Status PlainFolder::write_files(const Directory& directory, const std::string& temporary,
                                const std::vector<RemoteFile>& files, const Fill& fill) const {
  const PlainFolderNames at(temporary);
  SnapshotRecord record{.listing = files, .blobs = {}};
  for (std::size_t i = 0; i < files.size(); ++i) {
    const std::string path = at.file(files[i].path);
    if (path == at.record)
      return Error{
          ErrorKind::io,
          fmt::format("{}: the model has a file with the name of the record", names_.record)};
    if (Status made = directory.create_directories(parent_path(path)); !made) return made;
    const auto file = directory.open_file(path, O_RDWR | O_CREAT | O_EXCL);
    if (!file) return file.error();

    const auto verified = fill(i, *file, path);
    if (!verified) return verified.error();
    record.blobs.insert_or_assign(files[i].blob, *verified);
  }
  if (Status written = directory.write_atomically(at.record, serialize_record(record), temporary);
      !written)
    return written;

  // One call for all: to sync thousands of small files one by one takes minutes on a busy disk.
  const UniqueFd opened(open(temporary.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!opened || syncfs(opened.get()) != 0) return io_error("sync", names_.root, errno);
  return ok();
}

Status PlainFolder::put_in_place(const Directory& directory, const std::string& temporary) const {
  const auto there = lstat_path(names_.root);
  if (!there || list_directory(names_.root).empty())
    return directory.rename(temporary, names_.root);
  if (exchange(temporary, names_.root)) return ok();
  if (errno != EINVAL && errno != ENOSYS) return io_error("replace", names_.root, errno);

  // A file system that cannot exchange two names: for a moment there is no folder.
  const std::string old = temporary_name(directory.path(), stem());
  if (Status moved = directory.rename(names_.root, old); !moved) return moved;
  Status moved = directory.rename(temporary, names_.root);
  if (moved)
    remove_tree(old);
  else
    static_cast<void>(directory.rename(old, names_.root));  // the first error is the one to report
  return moved;
}

Status PlainFolder::move_in(const Directory& directory, const std::string& temporary) const {
  if (const auto record = read_record_at(names_.record)) {
    if (Status moved = directory.rename(names_.record, PlainFolderNames(temporary).old_record);
        !moved)
      return moved;
    for (const RemoteFile& file : record->listing)
      if (Status removed = directory.remove(names_.file(file.path)); !removed) return removed;
  }

  const PlainFolderNames at(temporary);
  for (const std::string& from : list_recursively(temporary)) {
    const std::string to = names_.root + from.substr(temporary.size());
    if (from == at.record || from == at.old_record) continue;
    Status moved =
        is_directory(from) ? directory.create_directories(to) : directory.rename(from, to);
    if (!moved) return moved;
  }
  return directory.rename(at.record, names_.record);
}

bool clone_file(const UniqueFd& from, const UniqueFd& to) {
  return ioctl(to.get(), FICLONE, from.get()) == 0;
}

void set_time(const UniqueFd& file, std::int64_t seconds) {
  const timespec times[] = {{0, UTIME_OMIT}, {seconds, 0}};
  static_cast<void>(futimens(file.get(), times));
}

}  // namespace model_prep
