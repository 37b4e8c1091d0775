// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/directory.h"

#include <array>
#include <cassert>
#include <cerrno>
#include <cstdio>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

namespace model_prep {
namespace {

constexpr mode_t kFolderMode = 0777;

bool has_no_symlinks(int error_number) {
  return error_number == EPERM || error_number == EOPNOTSUPP ||
         error_number == ENOSYS;  // symlink(2)
}

Error through_link(const std::string& path) {
  return {
      ErrorKind::permission,
      fmt::format("{} is a symlink, and nothing is written through a symlink inside the cache",
                  path),
      "remove it, if nobody put it there on purpose; to keep models elsewhere, name that place as HF_HUB_CACHE or "
      "TRANSFORMERS_CACHE"};
}

Error folder_error(std::string_view operation, const std::string& path, int error_number) {
  const auto found = lstat_path(path);
  if ((error_number == ELOOP || error_number == ENOTDIR) && found && found->is_link)
    return through_link(path);
  return io_error(operation, path, error_number);
}

}  // namespace

/// A name in a folder that is open.
struct Directory::Place {
  UniqueFd folder;
  std::string name;
};

Result<UniqueFd> Directory::open_directory(const std::string& folder, int flags) const {
  constexpr int kEnter = O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  assert(folder == path_ || folder.starts_with(path_ + "/"));
  std::size_t end = path_.size();
  UniqueFd at(open(path_.c_str(), kEnter | (end == folder.size() ? flags : O_PATH)));
  if (!at) return folder_error("open", path_, errno);
  while (end < folder.size()) {
    const std::size_t begin = end + 1;
    end = std::min(folder.find('/', begin), folder.size());
    const std::string name = folder.substr(begin, end - begin);
    UniqueFd next(openat(at.get(), name.c_str(), kEnter | (end == folder.size() ? flags : O_PATH)));
    if (!next) return folder_error("open", folder.substr(0, end), errno);
    at = std::move(next);
  }
  return at;
}

Result<Directory::Place> Directory::find(const std::string& path) const {
  auto folder = open_directory(parent_path(path), O_PATH);
  if (!folder) return folder.error();
  return Place{std::move(*folder), path.substr(path.find_last_of('/') + 1)};
}

Result<UniqueFd> Directory::open_file(const std::string& path, int flags, mode_t mode) const {
  const auto place = find(path);
  if (!place) return place.error();
  UniqueFd fd(
      openat(place->folder.get(), place->name.c_str(), flags | O_NOFOLLOW | O_CLOEXEC, mode));
  if (!fd) return folder_error("open", path, errno);
  return fd;
}

Status Directory::create_directories(const std::string& path) const {
  if (path.size() <= path_.size()) return model_prep::create_directories(path_);
  auto parent = open_directory(parent_path(path), O_PATH);
  if (!parent) {
    if (Status made = create_directories(parent_path(path)); !made) return made;
    parent = open_directory(parent_path(path), O_PATH);
    if (!parent) return parent.error();
  }
  const std::string name = path.substr(path.find_last_of('/') + 1);
  if (mkdirat(parent->get(), name.c_str(), kFolderMode) == 0) return ok();
  const int error_number = errno;
  struct stat found{};  // also where mkdir says EACCES or EROFS it may be there
  if (fstatat(parent->get(), name.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0 ||
      !S_ISDIR(found.st_mode))
    return error_number == EEXIST
               ? folder_error("make folder", path, S_ISLNK(found.st_mode) ? ELOOP : ENOTDIR)
               : io_error("make folder", path, error_number);
  return ok();
}

Status Directory::rename(const std::string& from, const std::string& to) const {
  const auto source = find(from);
  if (!source) return source.error();
  const auto target = find(to);
  if (!target) return target.error();
  if (renameat(source->folder.get(), source->name.c_str(), target->folder.get(),
               target->name.c_str()) != 0)
    return io_error("rename to", to, errno);
  return ok();
}

Status Directory::remove(const std::string& path) const {
  if (!lstat_path(path)) return ok();
  const auto place = find(path);
  if (!place) return place.error();
  if (unlinkat(place->folder.get(), place->name.c_str(), 0) == 0 || errno == ENOENT) return ok();
  if (errno == EISDIR && unlinkat(place->folder.get(), place->name.c_str(), AT_REMOVEDIR) == 0)
    return ok();
  return io_error("remove", path, errno);
}

Status Directory::allow(const std::string& path, unsigned bits) const {
  // By way of /proc, since a file without any permission can be opened as a path only, and fchmod
  // wants more.
  const auto fd = path == path_ ? open_directory(path, O_PATH) : open_file(path, O_PATH);
  if (!fd) return fd.error();
  struct stat found{};
  if (fstat(fd->get(), &found) != 0) return io_error("look at", path, errno);
  if (S_ISLNK(found.st_mode)) return through_link(path);
  const std::string self = fmt::format("/proc/self/fd/{}", fd->get());
  if (chmod(self.c_str(), (found.st_mode & 07777U) | bits) != 0)
    return io_error("change the mode of", path, errno);
  return ok();
}

Status Directory::sync(const std::string& folder) const {
  const auto fd = open_directory(folder, O_RDONLY);
  if (!fd) return fd.error();
  if (fsync(fd->get()) != 0 && errno != EINVAL && errno != EROFS)
    return io_error("sync", folder, errno);
  return ok();
}

Status Directory::write_temporary_and_rename(
    const std::string& path, const std::string& temporary_folder,
    const std::function<Status(const UniqueFd&)>& fill) const {
  const std::string temporary = temporary_name(temporary_folder, "write");
  const auto write = [&]() -> Status {
    const auto place = find(temporary);
    if (!place) return place.error();
    // Errors name the file that was wanted: nobody knows the temporary one.
    const UniqueFd fd(openat(place->folder.get(), place->name.c_str(),
                             O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kFileMode));
    if (!fd) return io_error("write", path, errno);
    if (Status filled = fill(fd); !filled) return filled;
    // Without this a power cut after the rename could leave the new name with no content.
    if (fdatasync(fd.get()) != 0) return io_error("sync", path, errno);
    return rename(temporary, path);
  };
  if (Status done = write(); !done) {
    static_cast<void>(remove(temporary));  // the first error is the one to tell
    return done;
  }
  return sync(parent_path(path));
}

Status Directory::write_atomically(const std::string& path, std::string_view content,
                                   const std::string& temporary_folder) const {
  return write_temporary_and_rename(path, temporary_folder, [&](const UniqueFd& fd) {
    return write_at(fd.get(), content, 0, path);
  });
}

Status Directory::copy_atomically(const std::string& from, const std::string& to,
                                  const std::string& temporary_folder) const {
  const auto source = open_file(from, O_RDONLY);
  if (!source) return source.error();
  const auto found = stat_path(source->get());
  if (!found) return io_error("open", from, errno);
  return write_temporary_and_rename(to, temporary_folder, [&](const UniqueFd& fd) {
    return copy_bytes(source->get(), fd.get(), 0, found->size, to);
  });
}

Result<bool> Directory::link_atomically(const std::string& path, const std::string& text,
                                        const std::string& temporary_folder) const {
  const std::string temporary = temporary_name(temporary_folder, "link");
  const auto place = find(temporary);
  if (!place) return place.error();
  if (symlinkat(text.c_str(), place->folder.get(), place->name.c_str()) != 0) {
    if (has_no_symlinks(errno)) return false;
    return io_error("make link", path, errno);
  }
  if (Status renamed = rename(temporary, path); !renamed) {
    static_cast<void>(remove(temporary));  // the first error is the one to tell
    return renamed.error();
  }
  return true;
}

std::string temporary_name(const std::string& folder, std::string_view stem) {
  return fmt::format("{}/{}.{}.tmp", folder, stem, random_hex(16));
}

Status copy_bytes(int from, int to, std::int64_t begin, std::int64_t end, const std::string& path) {
  while (begin < end) {
    off_t in = begin;
    off_t out = begin;
    ssize_t count = copy_file_range(from, &in, to, &out, static_cast<std::size_t>(end - begin), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 &&
        (errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP)) {
      std::array<char, 256 * 1024> block;
      const std::size_t most =
          std::min<std::size_t>(block.size(), static_cast<std::size_t>(end - begin));
      count = pread(from, block.data(), most, begin);
      if (count > 0)
        if (Status written =
                write_at(to, {block.data(), static_cast<std::size_t>(count)}, begin, path);
            !written)
          return written;
    }
    if (count < 0) return io_error("copy to", path, errno);
    if (count == 0) return io_error("copy to", path, ENODATA);  // somebody cut the source
    begin += count;
  }
  return ok();
}

}  // namespace model_prep
