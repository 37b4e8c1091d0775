// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/pruner.h"

#include <algorithm>

#include "model_prep/io/file_lock.h"
#include "model_prep/io/leftovers.h"

namespace model_prep {
namespace {

constexpr std::size_t kLocksAtOnce = 128;  // each is an open file
constexpr std::size_t kMaxRef = 64;

struct PendingRemoval {
  std::string path;
  std::optional<CommitId> snapshot{};
  std::optional<Digest> blob{};
};

/// What links and regular files there are: below a directory, or `path` itself.
Result<RepoContents::Snapshot> read_links(const std::string& path) {
  Status read = ok();
  RepoContents::Snapshot found;
  for (const std::string& one :
       is_directory(path) ? list_recursively(path, &read) : std::vector{path}) {
    const auto there = lstat_path(one);
    if (there && there->is_file) found.bytes += there->size;
    if (!there || !there->is_link) continue;

    // The blob that the link names, in whatever directory.
    if (const auto blob = Digest::parse(file_name(read_link(one).value_or(""))))
      found.links.insert(*blob);
  }
  return read ? Result(std::move(found)) : read.error();
}

/// Also those with a newline, which huggingface_hub does not strip.
std::map<std::string, CommitId> read_refs(const CacheLayout& layout) {
  std::map<std::string, CommitId> refs;
  for (const std::string& path : list_recursively(layout.refs)) {
    std::string text = read_file(path, kMaxRef).value_or("");
    text.erase(text.find_last_not_of("\r\n ") + 1);
    if (const auto commit = CommitId::parse(text))
      refs.emplace(path.substr(layout.refs.size() + 1), *commit);
  }
  return refs;
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
    if (Status made = locks_.create_directories(layout_.lock_directory); !made) return made;

    const auto alone = FileLock::try_acquire(locks_, layout_.repo_lock());
    if (!alone) return alone.error();
    if (!*alone) return ok();  // a download came in between

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
  bool has_ref(const CommitId& commit) const {
    const auto now = read_refs(layout_);
    return std::ranges::any_of(now, [&](const auto& ref) { return ref.second == commit; });
  }

  /// Nobody wants what a killed run has hidden any more, except a blob that somebody linked to at
  /// that moment.
  Status finish_pending() const {
    const auto linked = read_links(layout_.snapshots);
    if (!linked) return linked.error();

    for (const PendingRemoval& left : pending_removals(layout_)) {
      if (left.blob && linked->links.contains(*left.blob) &&
          !lstat_path(layout_.blob(*left.blob))) {
        if (Status back = directory_.rename(left.path, layout_.blob(*left.blob)); !back)
          return back;
        continue;
      }
      if (left.snapshot && !lstat_path(layout_.snapshot(*left.snapshot)))
        if (Status removed = remove_metadata(*left.snapshot); !removed) return removed;
      if (Status destroyed = destroy(left.path); !destroyed) return destroyed;
    }
    return ok();
  }

  std::string trash_name(std::string_view kind, const std::string& hex) const {
    return temporary_name(layout_.own_directory, std::string(kind) + hex);
  }

  Status remove_refs(const SnapshotRemoval& removal) const {
    std::set<std::string> changed;
    for (const std::string& name : removal.refs) {
      // A download may have moved it since the plan was made.
      if (const auto now = read_refs(layout_);
          !now.contains(name) || now.at(name) != removal.commit)
        continue;
      const std::string path = layout_.ref(name);
      if (Status removed = directory_.remove(path); !removed) return removed;
      changed.insert(parent_path(path));
    }

    for (const std::string& directory : changed)
      if (Status synced = directory_.sync(directory); !synced) return synced;
    return ok();
  }

  /// Adds it to `gone`, unless somebody wants it by now.
  Status remove_snapshot(const SnapshotRemoval& removal, std::vector<SnapshotRemoval>& gone) const {
    if (Status removed = remove_refs(removal); !removed) return removed;
    if (has_ref(removal.commit)) return ok();

    const std::string snapshot = layout_.snapshot(removal.commit);
    const std::string hidden = trash_name(kRemovedSnapshot, removal.commit.hex());
    if (Status renamed = directory_.rename(snapshot, hidden); !renamed) {
      if (lstat_path(snapshot)) return renamed;
      gone.push_back(removal);  // another cleanup was faster
      return ok();
    }

    // A download that wrote its ref before the rename may not have seen it: put the snapshot back.
    if (has_ref(removal.commit) && directory_.rename(hidden, snapshot)) return ok();

    if (Status synced = directory_.sync(layout_.snapshots); !synced) return synced;
    if (Status removed = remove_metadata(removal.commit); !removed) return removed;
    Status destroyed = destroy(hidden);
    if (destroyed) gone.push_back(removal);
    return destroyed;
  }

  Status remove_metadata(const CommitId& commit) const {
    for (const std::string& path :
         {layout_.tree(commit), layout_.no_exist(commit), layout_.record(commit)})
      if (Status destroyed = destroy(path); !destroyed) return destroyed;
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

    const auto before = read_links(layout_.snapshots);
    if (!before) return before.error();
    std::vector<std::pair<Digest, std::string>> hidden;
    for (const Digest& blob : locked) {
      if (before->links.contains(blob)) continue;
      const std::string path = layout_.blob(blob);
      std::string to = trash_name(kRemovedBlob, blob.hex());
      if (Status renamed = directory_.rename(path, to); renamed)
        hidden.emplace_back(blob, std::move(to));
      else if (lstat_path(path))
        return renamed.error();
    }

    // Put back what somebody linked to meanwhile, and everything if that cannot be known.
    const auto after = read_links(layout_.snapshots);
    for (const auto& [blob, path] : hidden) {
      const std::string home = layout_.blob(blob);
      const bool wanted = !after || after->links.contains(blob);
      Status done = wanted && !lstat_path(home) ? directory_.rename(path, home) : destroy(path);
      if (!done) return done;
      if (!wanted) gone.push_back(blob);
    }
    return after ? ok() : after.error();
  }

  /// Adds it to `gone`, unless its writer may live.
  Status remove_leftover(const Leftover& left, std::vector<Leftover>& gone) const {
    const std::string path = layout_.lock(left.blob);
    const auto lock = FileLock::try_acquire(locks_, path);
    if (!lock) return lock.error();
    if (!*lock || (!left.old && !lock_excludes(locks_, path))) return ok();

    // Written to since the plan was made: its writer lives.
    const auto there = lstat_path(left.path);
    if (there && there->mtime_ns != left.mtime_ns) return ok();

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

Result<RepoContents> read_contents(const Repository& repository) {
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

  contents.refs = read_refs(layout);
  for (const std::string& path : list_directory(layout.blobs)) {
    const auto blob = Digest::parse(file_name(path));
    const auto there = lstat_path(path);
    if (blob && there && !there->is_folder)
      contents.blobs.emplace(*blob, there->is_link ? 0 : there->size);
  }

  contents.leftovers = find_leftovers(repository, WriterIdentity::make());
  contents.writer = find_writer(repository, contents.leftovers);
  for (const PendingRemoval& left : pending_removals(layout)) {
    const auto files = read_links(left.path);
    if (!files) return files.error();
    contents.pending_bytes += files->bytes;
  }
  return contents;
}

Status remove_planned(const Repository& repository, const PrunePlan& plan, PrunePlan& done,
                      const std::function<bool()>& stop) {
  return plan.empty() ? ok() : Pruner(repository).run(plan, done, stop);
}

}  // namespace model_prep
