// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/documents.h"

#include <cerrno>

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>

namespace model_prep {
namespace {

/// Locks the directory of the records, as long as the result is open. Waits for another process
/// that changes one, but not for ever: anybody could hold the lock, and without it a record may at
/// worst be lost, which costs another hash.
Result<UniqueFd> lock_records(const Repository& repository) {
  constexpr int kTries = 100;
  constexpr int kMilliseconds = 10;
  auto fd = repository.directory->open_any(repository.layout.own_directory, O_RDONLY | O_DIRECTORY);
  for (int i = 0; fd && i < kTries; ++i) {
    if (flock(fd->get(), LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) break;
    poll(nullptr, 0, kMilliseconds);
  }
  return fd;
}

}  // namespace

std::optional<SnapshotRecord> read_record(const Repository& repository, const CommitId& commit) {
  return parse_record(read_file(repository.layout.record(commit), kMaxDocument).value_or(""));
}

std::optional<std::vector<RemoteFile>> read_tree(const Repository& repository,
                                                 const CommitId& commit) {
  return parse_tree(read_file(repository.layout.tree(commit), kMaxDocument).value_or(""));
}

std::optional<CommitId> read_ref(const Repository& repository, const std::string& name) {
  const auto commit = CommitId::parse(read_file(repository.layout.ref(name), kMaxRef).value_or(""));
  return commit ? std::optional(*commit) : std::nullopt;
}

Status write_ref(const Repository& repository, const std::string& name, const CommitId& commit) {
  const std::string path = repository.layout.ref(name);
  if (is_directory(path)) {
    // From the inside out. One that holds a file cannot be removed.
    Strings directories = list_recursively(path);
    directories.insert(directories.begin(), path);
    for (auto one = directories.rbegin(); one != directories.rend(); ++one)
      if (is_directory(*one))
        if (Status removed = repository.directory->remove(*one); !removed) return removed;
  }
  return write_document(repository, path, commit.hex());
}

bool is_missing_own_ref(const Repository& repository, const std::string& name,
                        const CommitId& commit) {
  return name == commit.hex() && !lstat_path(repository.layout.ref(name));
}

Status write_document(const Repository& repository, const std::string& path,
                      std::string_view text) {
  const std::string& temporary = repository.layout.own_directory;
  for (const std::string& needed : {parent_path(path), temporary})
    if (Status made = repository.directory->create_directories(needed); !made) return made;

  return repository.directory->write_atomically(path, text, temporary);
}

Status update_record(const Repository& repository, const CommitId& commit,
                     const std::function<void(SnapshotRecord&)>& change) {
  const auto changed_text = [&]() -> std::optional<std::string> {
    const auto before = read_record(repository, commit);
    SnapshotRecord record = before.value_or(SnapshotRecord{});
    change(record);
    std::string text = serialize_record(record);
    return before && serialize_record(*before) == text ? std::nullopt : std::optional(text);
  };
  if (!changed_text()) return ok();

  const std::string path = repository.layout.record(commit);
  if (Status made = repository.directory->create_directories(parent_path(path)); !made) return made;
  const auto lock = lock_records(repository);
  const auto text = changed_text();
  return text ? write_document(repository, path, *text) : ok();
}

}  // namespace model_prep
