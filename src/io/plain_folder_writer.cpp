// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/plain_folder_writer.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <iterator>

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fmt/format.h>

#include "model_prep/base/digest.h"

namespace model_prep {
namespace {

constexpr std::size_t kMaxRecord = 128 * 1024 * 1024;  // more than 200,000 files need
constexpr Bytes kSyncedAlone = 1024 * 1024;
constexpr std::uint64_t kMountRoot = 0x2000;  // STATX_ATTR_MOUNT_ROOT, which musl does not name
constexpr const char* kStemInside = ".model-prep";  // of a temporary folder in a mount point
constexpr std::string_view kCacheInside = ".model-prep.cache";  // see `cache_path`

std::optional<SnapshotRecord> read_record_at(const std::string& path) {
  return parse_record(read_file(path, kMaxRecord).value_or(""));
}

bool is_mount_point(const std::string& path) {
  struct statx found{};
  if (statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, STATX_TYPE, &found) == 0 &&
      (found.stx_attributes_mask & kMountRoot) != 0)
    return (found.stx_attributes & kMountRoot) != 0;

  // Linux before 5.8 does not say. This does not find a folder of the same file system.
  const auto own = lstat_path(path);
  const auto above = lstat_path(parent_path(path));
  return own && above && own->device != above->device;
}

/// By number, because musl has no function for it.
bool exchange(const std::string& left, const std::string& right) {
  return syscall(SYS_renameat2, AT_FDCWD, left.c_str(), AT_FDCWD, right.c_str(), RENAME_EXCHANGE) ==
         0;
}

/// What stays is left to the next export.
void remove_tree(const Directory& directory, const std::string& path) {
  if (is_directory(path)) {
    // Somebody mounted it there: what is on that volume is not ours, however the folder came here.
    if (is_mount_point(path)) return;

    // It may have the mode of a folder that was made read-only.
    static_cast<void>(directory.add_permissions(path, S_IRWXU));
    for (const std::string& inside : list_directory(path)) remove_tree(directory, inside);
  }
  static_cast<void>(directory.remove(path));
}

/// With no directory open from before: a folder that was exchanged has another's path now.
void remove_tree(const std::string& path) { remove_tree(Directory(parent_path(path)), path); }

/// Gives a folder the owner, the group and the mode of another one, as far as we may.
void take_rights(const std::string& from, const std::string& to, mode_t more = 0) {
  struct stat found{};
  const UniqueFd fd(open(to.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd || lstat(from.c_str(), &found) != 0 || !S_ISDIR(found.st_mode)) return;

  // Before the mode, because it clears setgid. Only root may give files away.
  bool has_group = fchown(fd.get(), found.st_uid, found.st_gid) == 0;
  if (!has_group) has_group = fchown(fd.get(), static_cast<uid_t>(-1), found.st_gid) == 0;

  // A mode that lets one group read would shut out everybody if the folder is of another.
  if (has_group) static_cast<void>(fchmod(fd.get(), (found.st_mode & 07777U) | more));
}

/// Removes these files, and then the folders that were left without a file.
Status remove_files(const Directory& directory, const PlainFolderNames& names,
                    const std::set<std::string>& files) {
  Status removed = ok();
  std::set<std::string> parents;
  for (const std::string& name : files) {
    const std::string path = names.root + "/" + name;
    for (std::string above = parent_path(path); above != names.root; above = parent_path(above))
      parents.insert(above);

    // A folder in the place of a file is somebody else's.
    if (is_directory(path)) continue;
    if (Status one = directory.remove(path); !one) removed = one;
  }

  // The deepest first: each sorts behind the folder that it is in.
  for (auto above = parents.rbegin(); above != parents.rend(); ++above)
    static_cast<void>(directory.remove(*above));  // not if there is something in it
  return removed;
}

/// Whether the folder has a file as the record describes it.
bool has_file(const PlainFolderNames& names, const SnapshotRecord& record, const RemoteFile& file) {
  const auto there = lstat_path(names.file(file.path));
  const auto known = record.blobs.find(file.blob);
  return there && there->is_file && known != record.blobs.end() &&
         known->second.covers(there->stamp());
}

/// The folders that these files are in, but for the root.
std::set<std::string> folders_of(const std::set<std::string>& files) {
  std::set<std::string> folders;
  for (const std::string& name : files)
    for (std::size_t slash = name.find('/'); slash != std::string::npos;
         slash = name.find('/', slash + 1))
      folders.insert(name.substr(0, slash));
  return folders;
}

std::set<std::string> names_of(const SnapshotRecord& record) {
  std::set<std::string> names;
  for (const RemoteFile& file : record.listing) names.insert(file.path.text());
  return names;
}

/// `<stem>.<16 hex>.tmp`, as `temporary_name` makes it.
bool is_temporary(const std::string& name, const std::string& stem) {
  constexpr std::string_view kEnd = ".tmp";
  return name.size() == stem.size() + 17 + kEnd.size() && name.starts_with(stem + ".") &&
         name.ends_with(kEnd) && is_lower_hex(name.substr(stem.size() + 1, 16), 16);
}

}  // namespace

std::optional<SnapshotRecord> PlainFolder::content() const {
  auto record = read_record_at(names_.record);
  if (!record) return std::nullopt;

  const bool is_whole = std::ranges::all_of(
      record->listing, [&](const RemoteFile& file) { return has_file(names_, *record, file); });
  return is_whole ? std::move(record) : std::nullopt;
}

bool PlainFolder::holds(const std::vector<RemoteFile>& files) const {
  const auto record = content();
  return record && is_record_of(*record, files);
}

Status PlainFolder::set_origin(const ExportLock& /*held*/, const std::string& origin) const {
  auto record = content();
  if (!record || record->origin == origin) return ok();

  record->origin = origin;
  const Directory directory(parent());
  const std::string temporary = temporary_name(directory.path(), stem());
  if (Status made = directory.create_directories(temporary); !made) return made;
  Status written = directory.write_atomically(names_.record, serialize_record(*record), temporary);
  remove_tree(temporary);
  return written;
}

Status PlainFolder::check_owner(const std::string& running) const {
  const auto own = lstat_path(names_.root);
  if (!own) return ok();
  const auto refuse = [&](const std::string& reason) {
    return Error{ErrorKind::usage, fmt::format("{} {}", names_.root, reason),
                 "choose another folder: files of others are not touched"};
  };
  if (!own->is_folder) return refuse("is not a folder");

  const std::set<std::string> exported = exported_names(running);
  const std::set<std::string> folders = folders_of(exported);
  const std::string lock = lock_path();
  const bool is_inside = parent() == names_.root;
  Status listed = ok();
  Strings paths;
  for (const std::string& path : list_directory(names_.root, &listed)) {
    // A file system has it of itself, and only root may read it.
    if (is_inside && file_name(path) == "lost+found") continue;
    paths.push_back(path);
    if (is_directory(path))
      std::ranges::copy(list_recursively(path, &listed), std::back_inserter(paths));
  }
  if (!listed) return listed;

  for (const std::string& path : paths) {
    const std::string name = path.substr(names_.root.size() + 1);
    const std::string first = name.substr(0, name.find('/'));
    const bool is_leftover = is_temporary(first, kStemInside) || first == kCacheInside;
    const bool is_own = path == names_.record || path == lock;
    if (is_leftover || is_own || is_of_another(path)) continue;

    // In a mount point folders stay where they are. Elsewhere they go with the root, and take along
    // what is mounted in them, now or soon.
    const bool is_folder = is_directory(path);
    if (is_folder && is_inside) continue;
    if (is_folder && is_mount_point(path))
      return refuse(fmt::format("holds {}, where something is mounted", name));
    if (!(is_folder ? folders : exported).contains(name))
      return refuse(fmt::format("holds {}, which no export wrote", name));
  }
  return ok();
}

/// Something in another folder of the run that lies in this one, or what exports have beside it.
bool PlainFolder::is_of_another(const std::string& path) const {
  return std::ranges::any_of(others_, [&](const std::string& other) {
    if (!other.starts_with(names_.root + "/")) return false;
    return path.starts_with(other + "/") ||
           path.starts_with(parent_path(other) + "/." + file_name(other) + ".");
  });
}

Status PlainFolder::check_apart() const {
  if (parent() == names_.root) return ok();
  for (const std::string& other : others_)
    if (other.starts_with(names_.root + "/"))
      return Error{ErrorKind::usage,
                   fmt::format("the destination {} is in {}, which is no mount point: replacing "
                               "that folder would remove it",
                               other, names_.root),
                   "choose destinations beside each other, or mount a volume at the outer one"};
  return ok();
}

Status PlainFolder::check_outside(const std::string& cache) const {
  if (!(cache + "/").starts_with(names_.root + "/") || cache == cache_path()) return ok();
  return Error{
      ErrorKind::usage,
      fmt::format("the cache {} is in {}, whose content an export replaces", cache, names_.root),
      "name another cache with --cache-dir, or another folder"};
}

std::set<std::string> PlainFolder::exported_names(const std::string& running) const {
  std::set<std::string> names;
  if (const auto record = read_record_at(names_.record)) names = names_of(*record);

  // What an unfinished export has moved in, and what it had yet to remove. Its record alone proves
  // nothing: by now somebody may have put a file of that name there.
  const auto add_unchanged = [&](const SnapshotRecord& record, const PlainFolderNames* not_in) {
    for (const RemoteFile& file : record.listing)
      if (has_file(names_, record, file) &&
          (not_in == nullptr || !lstat_path(not_in->file(file.path))))
        names.insert(file.path.text());
  };
  for (const std::string& path : list_directory(names_.root)) {
    if (!is_temporary(file_name(path), kStemInside) || path == running) continue;
    const PlainFolderNames at(path);
    if (const auto record = read_record_at(at.record)) add_unchanged(*record, &at);
    if (const auto record = read_record_at(at.old_record)) add_unchanged(*record, nullptr);
  }
  return names;
}

std::string PlainFolder::parent() const {
  return is_mount_point(names_.root) ? names_.root : parent_path(names_.root);
}

std::string PlainFolder::stem() const {
  return is_mount_point(names_.root) ? kStemInside : "." + file_name(names_.root);
}

std::string PlainFolder::lock_path() const { return parent() + "/" + stem() + ".lock"; }

Strings PlainFolder::leftovers() const {
  const std::string stem = this->stem();
  Strings found = list_directory(parent());
  std::erase_if(found,
                [&](const std::string& path) { return !is_temporary(file_name(path), stem); });
  return found;
}

bool PlainFolder::has_leftovers() const {
  return !leftovers().empty() || lstat_path(lock_path()).has_value();
}

Result<std::unique_ptr<ExportLock>> PlainFolder::try_lock() const {
  const std::string parent = this->parent();
  if (Status made = create_directories(parent); !made) return made.error();
  return ExportLock::try_acquire(parent, lock_path());
}

void PlainFolder::remove_leftovers(const ExportLock& lock) const {
  const bool is_inside = parent() == names_.root;
  const bool is_whole = lstat_path(names_.record).has_value();
  for (const std::string& leftover : leftovers()) {
    if (!lock.is_leftover(leftover)) continue;

    // Of an export that ended while it moved its files in. The records that say whose these are go
    // last, and only when the files have gone.
    if (is_inside && !is_whole && !remove_files(Directory(names_.root), names_, exported_names()))
      continue;
    remove_tree(leftover);
  }
}

Status PlainFolder::write(const ExportLock& /*held*/, const std::vector<RemoteFile>& files,
                          const std::string& origin, const Fill& fill) const {
  const auto reserved = std::ranges::find_if(
      files, [](const RemoteFile& file) { return is_our_own_name(file.path); });
  if (reserved != files.end())
    return Error{ErrorKind::io,
                 fmt::format("the model has a file {}, a name that exports use themselves",
                             reserved->path.text()),
                 "leave it out with --exclude"};

  const std::string parent = this->parent();
  const bool is_inside = parent == names_.root;
  const Directory directory(parent);
  const std::string temporary = temporary_name(parent, stem());
  if (Status made = directory.create_directories(temporary); !made) return made;

  // Already now, so that what is made in it has the group of a setgid folder.
  if (!is_inside) take_rights(names_.root, temporary, S_IRWXU);
  Status done = write_files(directory, temporary, files, origin, fill);
  // Somebody may have put a file there in the meantime.
  if (done) done = check_owner(temporary);
  if (done && is_inside) {
    if (Status moved = move_in(directory, temporary); !moved) {
      undo_move(directory, temporary);
      return moved;
    }
  } else if (done) {
    done = put_in_place(directory, temporary);
  }
  if (done) done = directory.sync(parent);
  remove_tree(temporary);  // what is unfinished, or the folder of an earlier export
  return done;
}

Status PlainFolder::write_files(const Directory& directory, const std::string& temporary,
                                const std::vector<RemoteFile>& files, const std::string& origin,
                                const Fill& fill) const {
  const PlainFolderNames at(temporary);
  SnapshotRecord record{.listing = files, .blobs = {}, .origin = origin};
  for (std::size_t i = 0; i < files.size(); ++i) {
    const std::string path = at.file(files[i].path);
    if (Status made = directory.create_directories(parent_path(path)); !made) return made;

    const auto verified = fill(i, directory, path);
    if (!verified) return verified.error();

    // Below, syncfs reports no lost write before Linux 5.8, and reaches no server of a FUSE mount.
    if (files[i].size >= kSyncedAlone) {
      const auto file = directory.open_file(path, O_RDONLY);
      if (!file) return file.error();
      if (fdatasync(file->get()) != 0) return io_error("sync", names_.file(files[i].path), errno);
    }
    record.blobs.insert_or_assign(files[i].blob, *verified);
  }
  if (Status written = directory.write_atomically(at.record, serialize_record(record), temporary);
      !written)
    return written;

  // One call for all others: to sync thousands of small files one by one takes minutes on a busy
  // disk.
  const UniqueFd opened(open(temporary.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!opened || syncfs(opened.get()) != 0) return io_error("sync", names_.root, errno);
  return ok();
}

Status PlainFolder::put_in_place(const Directory& directory, const std::string& temporary) const {
  const auto there = lstat_path(names_.root);
  take_rights(names_.root, temporary);
  if (!there || list_directory(names_.root).empty())
    return directory.rename(temporary, names_.root);
  if (exchange(temporary, names_.root)) return ok();
  if (errno == EXDEV)
    return Error{ErrorKind::io,
                 fmt::format("cannot replace {}: it is part of an image", names_.root),
                 "export to a volume, or to another folder"};
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
    if (Status removed = remove_files(directory, names_, names_of(*record)); !removed)
      return removed;
  }

  const PlainFolderNames at(temporary);
  Status listed = ok();
  const Strings paths = list_recursively(temporary, &listed);
  if (!listed) return listed;
  for (const std::string& from : paths) {
    const std::string to = names_.root + from.substr(temporary.size());
    if (from == at.record || from == at.old_record) continue;
    Status moved =
        is_directory(from) ? directory.create_directories(to) : directory.rename(from, to);
    if (!moved) return moved;
  }
  return directory.rename(at.record, names_.record);
}

/// After a failed `move_in`: removes what this export has written, which the next one would only
/// write again. What it had to replace may still be there in part, so the record of that stays.
void PlainFolder::undo_move(const Directory& directory, const std::string& temporary) const {
  const PlainFolderNames at(temporary);
  const auto record = read_record_at(at.record);
  if (!record) return;

  std::set<std::string> moved;
  for (const RemoteFile& file : record->listing)
    if (!lstat_path(at.file(file.path)) && has_file(names_, *record, file))
      moved.insert(file.path.text());
  if (!remove_files(directory, names_, moved)) return;  // the record says that they are ours
  if (!lstat_path(at.old_record)) return remove_tree(temporary);

  // The record goes first: without the files beside it, it would claim those of others.
  if (!directory.remove(at.record)) return;
  for (const std::string& path : list_directory(temporary))
    if (path != at.old_record) remove_tree(path);
}

bool clone_file(const UniqueFd& from, const UniqueFd& to) {
  return ioctl(to.get(), FICLONE, from.get()) == 0;
}

void set_time(const UniqueFd& file, std::int64_t seconds) {
  const timespec times[] = {{0, UTIME_OMIT}, {seconds, 0}};
  static_cast<void>(futimens(file.get(), times));
}

}  // namespace model_prep
