// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/temporary_cache.h"

#include <cerrno>
#include <filesystem>

#include <fcntl.h>
#include <sys/file.h>

#include <fmt/format.h>

#include "model_prep/io/directory.h"

namespace model_prep {
namespace {

/// How often another process may remove the directory between our two looks at it.
constexpr int kMaxTries = 100;

/// Whoever has made the directory: all of it is removed in the end.
Status check_is_cache(const std::string& path) {
  Status listed = ok();
  for (const std::string& found : list_directory(path, &listed)) {
    const std::string name = file_name(found);
    if (is_directory(found) && (name == ".locks" || name.starts_with("models--"))) continue;
    return Error{
        ErrorKind::usage,
        fmt::format("{} cannot be a temporary cache: it holds {}, which does not belong in one",
                    path, name),
        "move it away, or name a cache with --cache-dir"};
  }
  return listed;
}

}  // namespace

Result<TemporaryCache> TemporaryCache::open(const std::string& path,
                                            const std::function<Status()>& wait) {
  const Directory parent(parent_path(path));
  for (int tries = 0; tries < kMaxTries; ++tries) {
    // Neither follows a link that another tenant of the volume has put there.
    if (Status made = parent.create_directories(path); !made) return made.error();
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd && errno == ENOENT) continue;
    if (!fd) return io_error("open", path, errno);

    // Whoever removes it has it locked.
    while (flock(fd.get(), LOCK_SH | LOCK_NB) != 0 && (errno == EWOULDBLOCK || errno == EINTR))
      if (Status go_on = wait(); !go_on) return go_on.error();
    if (!is_still_at(fd, path)) continue;
    if (Status ours = check_is_cache(path); !ours) return ours.error();
    return TemporaryCache(path, std::move(fd));
  }
  return Error{ErrorKind::io, "another process keeps removing " + path,
               "run model-prep again when that process has finished"};
}

Status TemporaryCache::remove() {
  // A lock that is held by somebody else is the only reason to leave it.
  if (flock(fd_.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) return ok();

  std::error_code error;
  std::filesystem::remove_all(path_, error);
  return error ? Status(io_error("remove", path_, error.value())) : ok();
}

}  // namespace model_prep
