// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/import_folder.h"

#include <cerrno>
#include <memory>

#include <dirent.h>
#include <fcntl.h>

#include <fmt/format.h>

#include "model_prep/io/documents.h"

namespace model_prep {
namespace {

struct CloseDirectory {
  void operator()(DIR* directory) const noexcept { closedir(directory); }
};

/// Whether it is one, and no link on the way from its parent.
bool is_real(const std::string& directory) {
  return is_directory(parent_path(directory)) && is_directory(directory);
}

/// Calls `use` for each name in a directory, in no order. A link, or nothing, is an empty one.
Status for_each_name(const Directory& folder, const std::string& path,
                     const std::function<void(const std::string&)>& use) {
  constexpr int kList = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  const bool is_root = path == folder.path();
  auto fd = is_root ? Result(UniqueFd(open(path.c_str(), kList))) : folder.open_any(path, kList);
  if (!fd) return is_real(path) ? Status(fd.error()) : ok();
  if (!*fd) return io_error("open", path, errno);

  const int copy = fcntl(fd->get(), F_DUPFD_CLOEXEC, 0);
  const std::unique_ptr<DIR, CloseDirectory> names(copy < 0 ? nullptr : fdopendir(copy));
  if (!names) return io_error("read", path, errno);
  while (true) {
    errno = 0;
    const dirent* const entry = readdir(names.get());
    if (entry == nullptr) return errno == 0 ? ok() : Status(io_error("read", path, errno));
    use(entry->d_name);
  }
}

/// `models--org--name`, and other kinds.
bool names_repository(const std::string& name) {
  return !name.starts_with('.') && name.find("--") != std::string::npos;
}

}  // namespace

ImportFolder::ImportFolder(const std::string& path, const std::string& cache) : folder_(path) {
  const auto own = stat_path(cache);
  for (const std::string& place : {path, path + "/hub"}) {
    const auto there = lstat_path(place);
    if (there && there->is_folder && !(own && there->is_same_file(*own))) caches_.push_back(place);
  }
}

Status ImportFolder::find(const Wanted& wanted, const OnFound& on_found) const {
  Status first = ok();
  const auto note = [&](const Status& read) {
    if (first && !read) first = read;
  };
  for (const std::string& cache : caches_) {
    const auto look_in = [&](const std::string& directory) {
      note(find_in(directory, cache, wanted, on_found));
    };
    note(for_each_name(folder_, cache, [&](const std::string& name) {
      if (names_repository(name)) look_in(fmt::format("{}/{}/blobs", cache, name));
    }));
    look_in(cache);
    look_in(cache + "/blobs");
  }
  return first;
}

Status ImportFolder::find_in(const std::string& directory, const std::string& cache,
                             const Wanted& wanted, const OnFound& on_found) const {
  return for_each_name(folder_, directory, [&](const std::string& name) {
    const auto blob = wanted.find(name);
    if (blob == wanted.end()) return;
    if (const auto path = blob_at(directory + "/" + name, cache, blob->second))
      on_found(name, *path);
  });
}

/// Where the bytes of a blob really are.
std::optional<std::string> ImportFolder::blob_at(const std::string& path, const std::string& cache,
                                                 Bytes size) const {
  if (is_file(path, size)) return path;

  const auto shared = shared_blob(read_link(path).value_or(""));
  const std::string target = cache + "/" + shared.value_or("");
  return shared && is_file(target, size) ? std::optional(target) : std::nullopt;
}

bool ImportFolder::is_file(const std::string& path, Bytes size) const {
  const auto fd = folder_.open_any(path, O_PATH);
  const auto found = fd ? stat_fd(*fd) : std::nullopt;
  return found && found->is_file && found->size == size;
}

std::optional<std::string> ImportFolder::snapshot_file(const RepoId& repo, const CommitId& commit,
                                                       const RemoteFile& file) const {
  for (const std::string& cache : caches_)
    if (std::string path = CacheLayout(cache, repo).link(commit, file.path);
        is_file(path, file.size))
      return path;
  return std::nullopt;
}

std::optional<std::string> ImportFolder::read_document(const std::string& path,
                                                       std::size_t max) const {
  const auto fd = folder_.open_file(path, O_RDONLY);
  return fd ? read_file(*fd, max) : std::nullopt;
}

std::optional<SnapshotRecord> ImportFolder::record(const RepoId& repo,
                                                   const CommitId& commit) const {
  for (const std::string& cache : caches_)
    if (const auto text = read_document(CacheLayout(cache, repo).record(commit), kMaxDocument))
      if (auto record = parse_record(*text)) return record;
  return std::nullopt;
}

std::optional<std::vector<RemoteFile>> ImportFolder::tree(const RepoId& repo,
                                                          const CommitId& commit) const {
  for (const std::string& cache : caches_)
    if (const auto text = read_document(CacheLayout(cache, repo).tree(commit), kMaxDocument))
      if (auto tree = parse_tree(*text)) return tree;
  return std::nullopt;
}

std::optional<CommitId> ImportFolder::ref(const RepoId& repo, const std::string& name) const {
  for (const std::string& cache : caches_)
    if (const auto text = read_document(CacheLayout(cache, repo).ref(name), kMaxRef))
      if (auto commit = CommitId::parse(*text)) return *commit;
  return std::nullopt;
}

std::optional<std::string> ImportFolder::read(const RepoId& repo, const CommitId& commit,
                                              const RemoteFile& file, std::size_t max) const {
  for (const std::string& cache : caches_) {
    const CacheLayout layout(cache, repo);
    const auto blob = blob_at(layout.blob(file.blob), cache, file.size);
    if (blob)
      if (auto text = read_document(*blob, max)) return text;
  }
  const auto path = snapshot_file(repo, commit, file);
  return path ? read_document(*path, max) : std::nullopt;
}

std::optional<std::string> ImportFolder::read(const RepoId& repo, const CommitId& commit,
                                              const RepoPath& path, std::size_t max) const {
  for (const std::string& cache : caches_) {
    const CacheLayout layout(cache, repo);
    const std::string link = layout.link(commit, path);
    if (auto text = read_document(link, max)) return text;

    // The link is not followed: it only names a blob.
    const auto blob = Digest::parse(file_name(read_link(link).value_or("")));
    if (auto text = blob ? read_document(layout.blob(*blob), max) : std::nullopt) return text;
  }
  return std::nullopt;
}

}  // namespace model_prep
