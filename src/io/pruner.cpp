// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/pruner.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <map>
#include <utility>

#include "model_prep/io/file_lock.h"
#include "model_prep/io/leftovers.h"

namespace model_prep {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLocksAtOnce = 128;  // each is an open file
constexpr std::size_t kMaxRef = 64;

bool is_directory(const std::string& path) {
  const auto found = lstat_path(path);
  return found && found->is_folder;
}

/// The blob that a link names, in whatever directory.
std::optional<Digest> blob_of(const std::string& link) {
  const std::string text = read_link(link).value_or("");
  const auto digest = Digest::parse(text.substr(text.find_last_of('/') + 1));
  return digest ? std::optional(*digest) : std::nullopt;
}

/// The digits of `<kind><hex>.….tmp`.
std::optional<std::string> hex_of(std::string_view name, std::string_view kind) {
  if (!name.starts_with(kind) || !name.ends_with(".tmp")) return std::nullopt;
  name.remove_prefix(kind.size());
  return std::string(name.substr(0, name.find('.')));
}

/// Adds what links and regular files there are: below a directory, or `path` itself.
Status read_links(const std::string& path, RepoContents::Snapshot& into) {
  const auto add = [&](const std::string& one) {
    const auto there = lstat_path(one);
    if (!there) return;
    if (there->is_file) into.bytes += there->size;
    if (const auto blob = there->is_link ? blob_of(one) : std::nullopt) into.links.insert(*blob);
  };
  if (!is_directory(path)) {
    add(path);
    return ok();
  }

  std::error_code error;
  for (fs::recursive_directory_iterator entry(path, error), end; !error && entry != end;
       entry.increment(error))
    add(entry->path().string());
  if (error && error != std::errc::no_such_file_or_directory)
    return io_error("read", path, error.value());
  return ok();
}

}  // namespace

Pruner::Pruner(const Repository& repository)
    : repository_(repository),
      at_(repository.layout()),
      directory_(repository.directory()),
      self_(WriterIdentity::make()) {}

Result<RepoContents> Pruner::inspect() const {
  RepoContents view;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(at_.snapshots(), error)) {
    const std::string path = entry.path().string();
    const auto commit = CommitId::parse(entry.path().filename().string());
    RepoContents::Snapshot snapshot;
    if (Status read = read_links(path, snapshot); !read) return read.error();
    if (commit && is_directory(path))
      view.snapshots.emplace(*commit, std::move(snapshot));
    else
      view.other_links.insert(snapshot.links.begin(), snapshot.links.end());
  }
  if (error && error != std::errc::no_such_file_or_directory)
    return io_error("read", at_.snapshots(), error.value());

  view.refs = refs();
  for (const auto& entry : fs::directory_iterator(at_.blobs(), error)) {
    const auto blob = Digest::parse(entry.path().filename().string());
    const auto there = lstat_path(entry.path().string());
    if (blob && there && !there->is_folder)
      view.blobs.emplace(*blob, there->is_link ? 0 : there->size);
  }

  view.leftovers = leftovers_in(repository_, self_);
  view.writer = writer_in(repository_, view.leftovers);
  for (const PendingRemoval& left : pending_removals()) {
    RepoContents::Snapshot files;
    if (Status read = read_links(left.path, files); !read) return read.error();
    view.pending_bytes += files.bytes;
  }
  return view;
}

Result<std::set<Digest>> Pruner::links() const {
  RepoContents::Snapshot all;
  if (Status read = read_links(at_.snapshots(), all); !read) return read.error();
  return std::move(all.links);
}

/// Also those with a newline, which huggingface_hub does not strip.
std::map<std::string, CommitId> Pruner::refs() const {
  std::map<std::string, CommitId> refs;
  const std::string directory = at_.refs();
  std::error_code error;
  for (fs::recursive_directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string path = entry->path().string();
    const auto text = read_file(path, kMaxRef);
    if (!text) continue;
    const auto commit =
        CommitId::parse(std::string_view(*text).substr(0, text->find_last_not_of("\r\n ") + 1));
    if (commit) refs.emplace(path.substr(directory.size() + 1), *commit);
  }
  return refs;
}

bool Pruner::has_ref(const CommitId& commit) const {
  const auto now = refs();
  return std::any_of(now.begin(), now.end(), [&](const auto& ref) { return ref.second == commit; });
}

std::vector<Pruner::PendingRemoval> Pruner::pending_removals() const {
  std::vector<PendingRemoval> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(at_.own_directory(), error)) {
    const std::string name = entry.path().filename().string();
    const auto commit = CommitId::parse(hex_of(name, kRemovedSnapshot).value_or(""));
    const auto blob = Digest::parse(hex_of(name, kRemovedBlob).value_or(""));
    if (commit) found.push_back({.path = entry.path().string(), .snapshot = *commit});
    if (blob) found.push_back({.path = entry.path().string(), .blob = *blob});
  }
  return found;
}

Status Pruner::remove(PrunePlan& plan, const std::function<bool()>& stop) const {
  if (plan.empty()) return ok();
  if (Status made = directory_.create_directories(at_.own_directory()); !made) return made;
  if (Status made = repository_.lock_directory().create_directories(at_.lock_directory()); !made)
    return made;

  const auto alone = FileLock::try_acquire(repository_.lock_directory(), at_.repo_lock());
  if (!alone) return alone.error();
  if (!*alone) return ok();  // a download came in between

  if (Status finished = finish_pending(); !finished) return finished;
  plan.pending_bytes = 0;
  if (Status removed = remove_snapshots(plan, stop); !removed) return removed;

  const std::vector<Digest> blobs = plan.blobs;
  for (std::size_t begin = 0; begin < blobs.size() && !stop(); begin += kLocksAtOnce) {
    const auto removed =
        remove_blobs(std::span(blobs).subspan(begin, std::min(kLocksAtOnce, blobs.size() - begin)));
    if (!removed) return removed.error();
    std::erase_if(plan.blobs, [&](const Digest& blob) { return removed->contains(blob); });
  }

  const std::vector<Leftover> leftovers = plan.leftovers;
  for (const Leftover& left : leftovers) {
    if (stop()) break;
    const auto removed = remove_leftover(left);
    if (!removed) return removed.error();
    if (*removed)
      std::erase_if(plan.leftovers, [&](const Leftover& one) { return one.path == left.path; });
  }
  return ok();
}

Status Pruner::remove_snapshots(PrunePlan& plan, const std::function<bool()>& stop) const {
  const std::vector<SnapshotRemoval> snapshots = std::exchange(plan.revisions, {});
  for (std::size_t i = 0; i < snapshots.size(); ++i) {
    const auto removed = stop() ? Result<bool>(false) : remove_snapshot(snapshots[i]);
    if (!removed || !*removed) plan.revisions.push_back(snapshots[i]);
    if (removed) continue;

    const auto rest = snapshots.begin() + static_cast<std::ptrdiff_t>(i) + 1;
    plan.revisions.insert(plan.revisions.end(), rest, snapshots.end());
    return removed.error();
  }
  return ok();
}

/// What a killed run has hidden. Nobody wants it any more, except a blob that somebody linked to at
/// that moment.
Status Pruner::finish_pending() const {
  const auto linked = links();
  if (!linked) return linked.error();

  for (const PendingRemoval& left : pending_removals()) {
    if (left.blob && linked->contains(*left.blob) && !lstat_path(at_.blob(*left.blob))) {
      if (Status back = directory_.rename(left.path, at_.blob(*left.blob)); !back) return back;
      continue;
    }
    if (left.snapshot && !lstat_path(at_.snapshot(*left.snapshot)))
      if (Status removed = remove_metadata(*left.snapshot); !removed) return removed;
    if (Status destroyed = destroy(left.path); !destroyed) return destroyed;
  }
  return ok();
}

std::string Pruner::trash_name(std::string_view kind, const std::string& hex) const {
  return temporary_name(at_.own_directory(), std::string(kind) + hex);
}

Status Pruner::remove_refs(const SnapshotRemoval& removal) const {
  std::set<std::string> changed;
  for (const std::string& name : removal.refs) {
    // A download may have moved it since the plan was made.
    if (const auto now = refs(); !now.contains(name) || now.at(name) != removal.commit) continue;
    const std::string path = at_.ref(name);
    if (Status removed = directory_.remove(path); !removed) return removed;
    changed.insert(parent_path(path));
  }

  for (const std::string& directory : changed)
    if (Status synced = directory_.sync(directory); !synced) return synced;
  return ok();
}

/// False: somebody wants it by now.
Result<bool> Pruner::remove_snapshot(const SnapshotRemoval& removal) const {
  if (Status removed = remove_refs(removal); !removed) return removed.error();
  if (has_ref(removal.commit)) return false;

  const std::string snapshot = at_.snapshot(removal.commit);
  const std::string hidden = trash_name(kRemovedSnapshot, removal.commit.hex());
  if (Status renamed = directory_.rename(snapshot, hidden); !renamed) {
    if (lstat_path(snapshot)) return renamed.error();
    return true;  // another cleanup was faster
  }

  // A download that wrote its ref before the rename may not have seen it: put the snapshot back.
  if (has_ref(removal.commit) && directory_.rename(hidden, snapshot)) return false;

  if (Status synced = directory_.sync(at_.snapshots()); !synced) return synced.error();
  if (Status removed = remove_metadata(removal.commit); !removed) return removed.error();
  if (Status destroyed = destroy(hidden); !destroyed) return destroyed.error();
  return true;
}

Status Pruner::remove_metadata(const CommitId& commit) const {
  for (const std::string& path : {at_.tree(commit), at_.no_exist(commit), at_.record(commit)})
    if (Status destroyed = destroy(path); !destroyed) return destroyed;
  return ok();
}

/// Those that are gone.
Result<std::set<Digest>> Pruner::remove_blobs(std::span<const Digest> blobs) const {
  std::vector<FileLock> locks;
  std::vector<Digest> locked;
  for (const Digest& blob : blobs) {
    auto lock = FileLock::try_acquire(repository_.lock_directory(), at_.lock(blob));
    if (!lock) return lock.error();
    if (!*lock) continue;  // somebody is fetching or linking it
    locks.push_back(std::move(**lock));
    locked.push_back(blob);
  }

  const auto before = links();
  if (!before) return before.error();
  std::map<Digest, std::string> hidden;
  for (const Digest& blob : locked) {
    if (before->contains(blob)) continue;
    const std::string path = at_.blob(blob);
    std::string to = trash_name(kRemovedBlob, blob.hex());
    if (Status renamed = directory_.rename(path, to); renamed)
      hidden.emplace(blob, std::move(to));
    else if (lstat_path(path))
      return renamed.error();
  }

  // Put back what somebody linked to meanwhile, and everything if that cannot be known.
  const auto after = links();
  std::set<Digest> gone;
  for (const auto& [blob, path] : hidden) {
    const std::string home = at_.blob(blob);
    const bool wanted = !after || after->contains(blob);
    Status done = wanted && !lstat_path(home) ? directory_.rename(path, home) : destroy(path);
    if (!done) return done.error();
    if (!wanted) gone.insert(blob);
  }
  return after ? Result<std::set<Digest>>(std::move(gone)) : after.error();
}

Result<bool> Pruner::remove_leftover(const Leftover& left) const {
  const std::string path = at_.lock(left.blob);
  const auto lock = FileLock::try_acquire(repository_.lock_directory(), path);
  if (!lock) return lock.error();
  if (!*lock) return false;
  if (!left.old && !(*lock)->excludes(repository_.lock_directory(), path)) return false;

  // Written to since the plan was made: its writer lives.
  const auto there = lstat_path(left.path);
  if (there && there->mtime_ns != left.mtime_ns) return false;

  Status removed = directory_.remove(left.path);
  return removed ? Result<bool>(true) : removed.error();
}

/// A file, or a directory with everything in it, even what somebody who had the directory open is
/// adding meanwhile.
Status Pruner::destroy(const std::string& path) const {
  constexpr int kTries = 10;
  Status destroyed = destroy_once(path);
  for (int i = 1; !destroyed && i < kTries && destroyed.error().kind == ErrorKind::io; ++i)
    destroyed = destroy_once(path);
  return destroyed;
}

Status Pruner::destroy_once(const std::string& path) const {
  if (!is_directory(path)) return directory_.remove(path);

  std::error_code error;
  std::vector<std::string> inside;
  for (fs::recursive_directory_iterator entry(path, error), end; !error && entry != end;
       entry.increment(error))
    inside.push_back(entry->path().string());

  // The other way round: what is in a directory was listed after it.
  for (auto last = inside.rbegin(); last != inside.rend(); ++last)
    if (Status removed = directory_.remove(*last); !removed) return removed;
  return directory_.remove(path);
}

}  // namespace model_prep
