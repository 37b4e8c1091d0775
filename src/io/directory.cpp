// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/directory.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <cstdio>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

namespace model_prep {
namespace {

constexpr mode_t kDirectoryMode = 0777;

/// It points into `path`.
const char* name_in(const std::string& path) { return path.c_str() + path.find_last_of('/') + 1; }

bool has_no_symlinks(int error_number) {
  return error_number == EPERM || error_number == EOPNOTSUPP ||
         error_number == ENOSYS;  // symlink(2)
}

Error symlink_error(const std::string& path) {
  return {
      ErrorKind::permission,
      fmt::format("{} is a symlink; model-prep does not write through symlinks inside the cache",
                  path),
      "remove the symlink; to keep models elsewhere, set HF_HUB_CACHE or TRANSFORMERS_CACHE to that directory"};
}

Error open_error(const std::string& path, int error_number) {
  if ((error_number == ELOOP || error_number == ENOTDIR) && read_link(path))
    return symlink_error(path);

  return io_error("open", path, error_number);
}

}  // namespace

struct Directory::Opened {
  std::string path;
  UniqueFd fd;
  FileInfo info;  // which directory it is
};

/// `name` points into the path that was asked for.
struct Directory::Entry {
  OpenedPtr directory;
  const char* name;

  int at() const { return directory->fd.get(); }
};

Result<Directory::OpenedPtr> Directory::open_directory(const std::string& path) const {
  assert(path == path_ || path.starts_with(path_ + "/"));

  const auto known =
      std::ranges::find_if(opened_, [&](const OpenedPtr& opened) { return opened->path == path; });
  if (known != opened_.end()) {
    std::rotate(known, known + 1, opened_.end());

    // Somebody may have renamed or replaced it since it was opened.
    if (const auto now = lstat_path(path); now && now->is_same_file(opened_.back()->info))
      return opened_.back();
    opened_.pop_back();
  }

  // O_PATH, since a directory that we may write to but not read can be entered all the same.
  constexpr int kEnter = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  UniqueFd fd;
  if (path == path_) {
    fd = UniqueFd(open(path.c_str(), kEnter));
  } else {
    const auto entry = entry_at(path);
    if (!entry) return entry.error();
    fd = UniqueFd(openat(entry->at(), entry->name, kEnter));
  }
  if (!fd) return open_error(path, errno);
  const auto info = stat_fd(fd);
  if (!info) return io_error("inspect", path, errno);

  if (opened_.size() == kMaxOpen) opened_.erase(opened_.begin());
  opened_.push_back(std::make_shared<const Opened>(Opened{path, std::move(fd), *info}));
  return opened_.back();
}

Result<Directory::Entry> Directory::entry_at(const std::string& path) const {
  auto directory = open_directory(parent_path(path));
  if (!directory) return directory.error();
  return Entry{std::move(*directory), name_in(path)};
}

Result<UniqueFd> Directory::open_any(const std::string& path, int flags, mode_t mode) const {
  const auto entry = entry_at(path);
  if (!entry) return entry.error();

  // A pipe that somebody has put there must not hold us up.
  constexpr int kAlways = O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  UniqueFd fd(openat(entry->at(), entry->name, flags | kAlways, mode));
  if (!fd) return open_error(path, errno);
  return fd;
}

Result<UniqueFd> Directory::open_file(const std::string& path, int flags, mode_t mode) const {
  auto fd = open_any(path, flags, mode);
  const auto found = fd ? stat_fd(*fd) : std::nullopt;
  if (found && !found->is_file)
    return Error{ErrorKind::io, fmt::format("{} is not a regular file", path)};
  return fd;
}

Status Directory::create_directories(const std::string& path) const {
  if (path.size() <= path_.size()) return model_prep::create_directories(path_);

  auto entry = entry_at(path);
  if (!entry) {
    if (Status made = create_directories(parent_path(path)); !made) return made;
    entry = entry_at(path);
    if (!entry) return entry.error();
  }
  if (mkdirat(entry->at(), entry->name, kDirectoryMode) == 0) return ok();

  // It may exist even where mkdir says EACCES or EROFS.
  const int error_number = errno;
  if (is_directory(path)) return ok();
  if (error_number == EEXIST && read_link(path)) return symlink_error(path);
  return io_error("create directory", path, error_number == EEXIST ? ENOTDIR : error_number);
}

Status Directory::rename(const std::string& from, const std::string& to) const {
  const auto source = entry_at(from);
  return source ? rename_entry(*source, to) : Status(source.error());
}

bool Directory::link(const std::string& from, const std::string& to) const {
  const auto target = entry_at(to);
  return target && linkat(AT_FDCWD, from.c_str(), target->at(), target->name, 0) == 0;
}

Status Directory::rename_entry(const Entry& source, const std::string& to) const {
  const bool same_directory = parent_path(to) == source.directory->path;
  const auto target = same_directory ? Result(Entry{source.directory, name_in(to)}) : entry_at(to);
  if (!target) return target.error();

  if (renameat(source.at(), source.name, target->at(), target->name) != 0)
    return io_error("rename to", to, errno);
  return ok();
}

Status Directory::remove(const std::string& path) const {
  if (!lstat_path(path)) return ok();
  const auto entry = entry_at(path);
  if (!entry) return entry.error();

  if (unlinkat(entry->at(), entry->name, 0) == 0 || errno == ENOENT) return ok();
  if (errno == EISDIR && unlinkat(entry->at(), entry->name, AT_REMOVEDIR) == 0) return ok();
  return io_error("remove", path, errno);
}

Status Directory::add_permissions(const std::string& path, unsigned bits) const {
  // By way of /proc: fchmod(2) needs more than O_PATH, and a file without any permission cannot be
  // opened otherwise.
  constexpr int kEnter = O_PATH | O_NOFOLLOW | O_CLOEXEC;
  const auto file =
      path == path_ ? Result(UniqueFd(open(path.c_str(), kEnter))) : open_any(path, O_PATH);
  if (!file) return file.error();

  const auto found = stat_fd(*file);
  if (!found) return io_error("inspect", path, errno);
  if (found->is_link) return symlink_error(path);

  // Another tenant can give somebody's private file a second name here.
  if (!found->is_folder && found->link_count > 1)
    return Error{ErrorKind::permission,
                 fmt::format("cannot change the mode of {}: the file has another name too", path),
                 "change it by hand, if everybody may read that file"};
  if (chmod(fmt::format("/proc/self/fd/{}", file->get()).c_str(), found->mode | bits) != 0)
    return io_error("change the mode of", path, errno);
  return ok();
}

Status Directory::sync(const std::string& directory) const {
  const auto opened = open_directory(directory);
  if (!opened) return opened.error();

  const UniqueFd fd(openat((*opened)->fd.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return open_error(directory, errno);
  if (fsync(fd.get()) != 0 && errno != EINVAL && errno != EROFS)
    return io_error("sync", directory, errno);
  return ok();
}

Status Directory::write_temporary_and_rename(
    const std::string& path, const std::string& temporary_directory,
    const std::function<Status(const UniqueFd&)>& fill) const {
  const std::string temporary = temporary_name(temporary_directory, "write");
  const auto write = [&]() -> Status {
    const auto entry = entry_at(temporary);
    if (!entry) return entry.error();

    // Errors name the file that was wanted: the temporary name means nothing to a reader.
    const UniqueFd fd(
        openat(entry->at(), entry->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kFileMode));
    if (!fd) return io_error("write", path, errno);
    if (Status filled = fill(fd); !filled) return filled;

    // Otherwise a power cut after the rename could leave the new name with no content.
    if (fdatasync(fd.get()) != 0) return io_error("sync", path, errno);
    return rename_entry(*entry, path);
  };

  if (Status done = write(); !done) {
    static_cast<void>(remove(temporary));  // the first error is the one to report
    return done;
  }
  return sync(parent_path(path));
}

Status Directory::write_atomically(const std::string& path, std::string_view content,
                                   const std::string& temporary_directory) const {
  return write_temporary_and_rename(path, temporary_directory, [&](const UniqueFd& fd) {
    return write_at(fd, content, 0, path);
  });
}

Status Directory::copy_atomically(const std::string& from, const std::string& to,
                                  const std::string& temporary_directory) const {
  const auto source = open_file(from, O_RDONLY);
  if (!source) return source.error();
  const auto found = stat_fd(*source);
  if (!found) return io_error("inspect", from, errno);

  return write_temporary_and_rename(to, temporary_directory, [&](const UniqueFd& fd) {
    Status copied = copy_bytes(*source, fd, 0, found->size, {from, to});
    constexpr std::int64_t kSecond = 1'000'000'000;
    const timespec times[] = {{0, UTIME_OMIT},
                              {found->mtime_ns / kSecond, found->mtime_ns % kSecond}};
    static_cast<void>(futimens(fd.get(), times));
    return copied;
  });
}

Result<bool> Directory::link_atomically(const std::string& path, const std::string& text,
                                        const std::string& temporary_directory) const {
  // Where nothing is in the way, this is atomic by itself.
  const auto link = entry_at(path);
  if (!link) return link.error();
  if (symlinkat(text.c_str(), link->at(), link->name) == 0) return true;

  const std::string temporary = temporary_name(temporary_directory, "link");
  const auto entry = entry_at(temporary);
  if (!entry) return entry.error();
  if (symlinkat(text.c_str(), entry->at(), entry->name) != 0) {
    const int refused = errno;
    if (has_no_symlinks(refused)) return false;

    // Azure Files answers EACCES, like a directory that we may not write to; but there a file can
    // be made.
    constexpr int kNew = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
    if (refused == EACCES && UniqueFd(openat(entry->at(), entry->name, kNew, kFileMode)))
      return remove(temporary) ? Result(false) : io_error("create link", path, refused);
    return io_error("create link", path, refused);
  }
  if (Status renamed = rename_entry(*entry, path); !renamed) {
    static_cast<void>(remove(temporary));  // the first error is the one to report
    return renamed.error();
  }
  return true;
}

std::string temporary_name(const std::string& directory, std::string_view stem) {
  return fmt::format("{}/{}.{}.tmp", directory, stem, random_hex(16));
}

Status copy_bytes(const UniqueFd& from, const UniqueFd& to, Bytes begin, Bytes end,
                  const CopyNames& names) {
  while (begin < end) {
    off_t in = begin;
    off_t out = begin;
    const auto wanted = static_cast<std::size_t>(end - begin);
    ssize_t count = copy_file_range(from.get(), &in, to.get(), &out, wanted, 0);
    if (count < 0 && errno == EINTR) continue;

    if (count < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG))
      return io_error("write", names.target, errno);
    if (count < 0 && errno == EIO) return io_error("copy", names.source, errno);

    // Some file systems cannot do it, each in its own words: between two of them, by a sandbox's
    // rule (EPERM), or with nothing copied and no error at all.
    if (count <= 0) {
      std::array<char, 256 * 1024> block;
      count = pread(from.get(), block.data(), std::min(block.size(), wanted), begin);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return io_error("read", names.source, errno);
      if (count == 0)
        return Error{ErrorKind::io, names.source + " became shorter while it was read"};

      const std::span bytes(block.data(), static_cast<std::size_t>(count));
      if (Status written = write_at(to, bytes, begin, names.target); !written) return written;
    }
    begin += count;
  }
  return ok();
}

}  // namespace model_prep
