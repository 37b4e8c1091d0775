// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/pruner.h"

#include <algorithm>

namespace model_prep {
namespace {

constexpr std::size_t kLocksAtOnce = 128;  // each is an open file
constexpr std::size_t kMaxRef = 64;

struct PendingRemoval {
  std::string path;
  std::optional<CommitId> snapshot{};
  std::optional<Digest> blob{};
};

/// What links and regular files there are: below a directory, or `path` itself. A link that cannot
/// be read may name any blob: that is an error.
Result<RepoContents::Snapshot> read_links(const std::string& path) {
  Status read = ok();
  RepoContents::Snapshot found;
  for (const std::string& one :
       is_directory(path) ? list_recursively(path, &read) : std::vector{path}) {
    const auto info = try_lstat(one);
    if (!info) return info.error();
    const std::optional<FileInfo>& there = *info;
    if (there && there->is_file) found.bytes += there->size;
    if (!there || !there->is_link) continue;

    // The blob that the link names, in whatever directory.
    const auto target = try_read_link(one);
    if (!target) return target.error();
    if (const auto blob = Digest::parse(file_name(target->value_or("")))) found.links.insert(*blob);
  }
  return read ? Result(std::move(found)) : read.error();
}

/// Also those with a newline, which huggingface_hub does not strip. A ref that cannot be read may
/// name any revision: that is an error.
Result<std::map<std::string, CommitId>> read_refs(const CacheLayout& layout) {
  Status listed = ok();
  std::map<std::string, CommitId> refs;
  for (const std::string& path : list_recursively(layout.refs, &listed)) {
    const auto there = try_stat(path);
    if (!there) return there.error();
    if (!*there || !(*there)->is_file) continue;

    const auto fd = open_for_reading(path);
    if (!fd) {
      const auto still = try_stat(path);
      if (still && !*still) continue;  // somebody replaced or removed it
      return fd.error();
    }

    std::string text = read_beginning(*fd, kMaxRef);
    const auto info = stat_fd(*fd);
    if (!info || text.size() < std::min(static_cast<std::size_t>(info->size), kMaxRef))
      return Error{ErrorKind::io, "cannot read all of " + path};

    text.erase(text.find_last_not_of("\r\n ") + 1);
    if (const auto commit = CommitId::parse(text))
      refs.emplace(path.substr(layout.refs.size() + 1), *commit);
  }
  return listed ? Result(std::move(refs)) : listed.error();
}

/// What a killed run has hidden and not yet deleted.
std::vector<PendingRemoval> pending_removals(const CacheLayout& layout) {
  std::vector<PendingRemoval> found;
  for (const std::string& path : list_directory(layout.own_directory)) {
    const std::string name = file_name(path);
    if (!name.ends_with(".tmp")) continue;

    // `<kind><hex>.….tmp`
    const std::string hex = name.substr(0, name.find('.')).substr(name.find('-') + 1);
    const auto commit = CommitId::parse(hex);
    const auto blob = Digest::parse(hex);
    if (commit && name.starts_with(kRemovedSnapshot))
      found.push_back({.path = path, .snapshot = *commit});
    if (blob && name.starts_with(kRemovedBlob)) found.push_back({.path = path, .blob = *blob});
  }
  return found;
}

class Pruner {
 public:
  explicit Pruner(const Repository& repository)
      : locks_(*repository.lock_directory),
        layout_(repository.layout),
        directory_(*repository.directory) {}

  Status run(const PrunePlan& plan, PrunePlan& done, const std::function<bool()>& stop) const {
    if (Status made = directory_.create_directories(layout_.own_directory); !made) return made;
    if (Status finished = finish_pending(); !finished) return finished;
    done.pending_bytes = plan.pending_bytes;

    for (const SnapshotRemoval& removal : plan.revisions) {
      if (stop()) return ok();
      if (Status removed = remove_snapshot(removal, done.revisions); !removed) return removed;
    }

    for (std::span rest(plan.blobs); !rest.empty();) {
      if (stop()) return ok();
      const auto some = rest.first(std::min(kLocksAtOnce, rest.size()));
      rest = rest.subspan(some.size());
      if (Status removed = remove_blobs(some, done.blobs); !removed) return removed;
    }

    for (const Leftover& left : plan.leftovers) {
      if (stop()) return ok();
      if (Status removed = remove_leftover(left, done.leftovers); !removed) return removed;
    }
    return ok();
  }

 private:
  /// Nobody wants what a killed run has hidden any more, except a blob that somebody linked to at
  /// that moment: 0.1.0 hid blobs too.
  Status finish_pending() const {
    const auto linked = read_links(layout_.snapshots);
    if (!linked) return linked.error();

    for (const PendingRemoval& left : pending_removals(layout_)) {
      const bool wanted =
          left.blob && linked->links.contains(*left.blob) && !lstat_path(layout_.blob(*left.blob));
      Status done =
          wanted ? directory_.rename(left.path, layout_.blob(*left.blob)) : destroy(left.path);
      if (!done) return done;
    }
    return ok();
  }

  /// Adds it to `gone`, unless somebody has written a ref to it meanwhile.
  Status remove_snapshot(const SnapshotRemoval& removal, std::vector<SnapshotRemoval>& gone) const {
    std::set<std::string> changed;
    for (const std::string& name : removal.refs) {
      if (Status removed = directory_.remove(layout_.ref(name)); !removed) return removed;
      changed.insert(parent_path(layout_.ref(name)));
    }
    for (const std::string& directory : changed)
      if (Status synced = directory_.sync(directory); !synced) return synced;

    const auto refs = read_refs(layout_);
    if (!refs) return refs.error();
    if (std::ranges::count(*refs, removal.commit, [](const auto& ref) { return ref.second; }) > 0)
      return ok();

    for (const std::string& path : {layout_.tree(removal.commit), layout_.no_exist(removal.commit),
                                    layout_.record(removal.commit)})
      if (Status destroyed = destroy(path); !destroyed) return destroyed;

    // Out of readers' sight by one rename. The lower layer of an image cannot rename a directory
    // (EXDEV): there its links go where they are.
    const std::string snapshot = layout_.snapshot(removal.commit);
    const std::string hidden =
        temporary_name(layout_.own_directory, std::string(kRemovedSnapshot) + removal.commit.hex());
    const bool moved = directory_.rename(snapshot, hidden).has_value();
    if (Status destroyed = destroy(moved ? hidden : snapshot); !destroyed) return destroyed;
    if (Status synced = directory_.sync(layout_.snapshots); !synced) return synced;

    gone.push_back(removal);
    return ok();
  }

  /// Adds those that nobody wants to `gone`.
  Status remove_blobs(std::span<const Digest> blobs, std::vector<Digest>& gone) const {
    std::vector<FileLock> locks;
    std::vector<Digest> locked;
    for (const Digest& blob : blobs) {
      auto lock = FileLock::try_acquire(locks_, layout_.lock(blob));
      if (!lock) return lock.error();
      if (!*lock) continue;  // somebody is fetching or linking it
      locks.push_back(std::move(**lock));
      locked.push_back(blob);
    }

    const auto linked = read_links(layout_.snapshots);
    if (!linked) return linked.error();
    for (const Digest& blob : locked) {
      if (linked->links.contains(blob)) continue;
      if (Status removed = directory_.remove(layout_.blob(blob)); !removed) return removed;
      gone.push_back(blob);
    }
    return ok();
  }

  /// Adds it to `gone`, unless its writer may live.
  Status remove_leftover(const Leftover& left, std::vector<Leftover>& gone) const {
    const std::string path = layout_.lock(left.blob);
    const auto lock = FileLock::try_acquire(locks_, path);
    if (!lock) return lock.error();
    if (!*lock || (!left.old && !lock_excludes(locks_, path))) return ok();

    // Written to since the plan was made: its writer lives.
    const auto there = lstat_path(left.path);
    if (!there || there->mtime_ns != left.mtime_ns) return ok();

    Status removed = directory_.remove(left.path);
    if (removed) gone.push_back(left);
    return removed;
  }

  /// A file, or a directory with everything in it, even what somebody who had the directory open is
  /// adding meanwhile.
  Status destroy(const std::string& path) const {
    constexpr int kTries = 10;
    Status destroyed = destroy_once(path);
    for (int i = 1; !destroyed && i < kTries && destroyed.error().kind == ErrorKind::io; ++i)
      destroyed = destroy_once(path);
    return destroyed;
  }

  Status destroy_once(const std::string& path) const {
    if (!is_directory(path)) return directory_.remove(path);

    // The other way round: what is in a directory was listed after it.
    const auto inside = list_recursively(path);
    for (auto last = inside.rbegin(); last != inside.rend(); ++last)
      if (Status removed = directory_.remove(*last); !removed) return removed;
    return directory_.remove(path);
  }

  const Directory& locks_;
  const CacheLayout& layout_;
  const Directory& directory_;
};

}  // namespace

Result<std::optional<FileLock>> lock_alone(const Repository& repository) {
  const Directory& locks = *repository.lock_directory;
  if (Status made = locks.create_directories(repository.layout.lock_directory); !made)
    return made.error();
  return FileLock::try_acquire(locks, repository.layout.repo_lock());
}

Result<RepoContents> read_contents(const Repository& repository, RepoLock lock) {
  const CacheLayout& layout = repository.layout;
  RepoContents contents;
  Status listed = ok();
  for (const std::string& path : list_directory(layout.snapshots, &listed)) {
    const auto commit = CommitId::parse(file_name(path));
    auto snapshot = read_links(path);
    if (!snapshot) return snapshot.error();
    if (commit && is_directory(path))
      contents.snapshots.emplace(*commit, std::move(*snapshot));
    else
      contents.other_links.merge(snapshot->links);
  }
  if (!listed) return listed.error();

  auto refs = read_refs(layout);
  if (!refs) return refs.error();
  contents.refs = std::move(*refs);
  for (const std::string& path : list_directory(layout.blobs)) {
    const auto blob = Digest::parse(file_name(path));
    const auto there = lstat_path(path);
    if (blob && there && !there->is_folder)
      contents.blobs.emplace(*blob, there->is_link ? 0 : there->size);
  }

  contents.leftovers = find_leftovers(repository, WriterIdentity::make());
  contents.writer = find_writer(repository, contents.leftovers, lock);
  for (const PendingRemoval& left : pending_removals(layout)) {
    const auto files = read_links(left.path);
    if (!files) return files.error();
    contents.pending_bytes = contents.pending_bytes.value_or(0) + files->bytes;
  }
  return contents;
}

Status remove_planned(const Repository& repository, const PrunePlan& plan, PrunePlan& done,
                      const std::function<bool()>& stop) {
  return plan.empty() ? ok() : Pruner(repository).run(plan, done, stop);
}

}  // namespace model_prep
