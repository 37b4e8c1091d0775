// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/pruner.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <map>
#include <utility>

#include "model_prep/io/file_lock.h"

namespace model_prep {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLocksAtOnce = 128;  // each is an open file
constexpr std::size_t kLongestRef = 64;

bool is_folder(const std::string& path) {
  const auto found = lstat_path(path);
  return found && found->is_folder;
}

/// The blob that a link leads to, wherever it thinks that the blobs are.
std::optional<Digest> blob_of(const std::string& link) {
  const auto text = read_link(link);
  const auto digest =
      text ? Digest::parse(text->substr(text->find_last_of('/') + 1)) : Result<Digest>(Error{});
  return digest ? std::optional(*digest) : std::nullopt;
}

/// `<kind><hex>.….tmp`
std::optional<std::string> hex_of(std::string_view name, std::string_view kind) {
  if (!name.starts_with(kind) || !name.ends_with(".tmp")) return std::nullopt;
  name.remove_prefix(kind.size());
  return std::string(name.substr(0, name.find('.')));
}

}  // namespace

Pruner::Pruner(const Cache& cache, const RepoId& repo)
    : repo_(repo),
      at_(cache.layout(repo)),
      folder_(cache.folder(repo)),
      lock_folder_(cache.lock_folder()),
      self_(WriterIdentity::make()) {}

Result<RepoContents> Pruner::look() const {
  RepoContents view;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(at_.snapshots(repo_), error)) {
    const std::string path = entry.path().string();
    const auto commit = CommitId::parse(entry.path().filename().string());
    RepoContents::Snapshot snapshot;
    if (Status read = read_links(path, snapshot); !read) return read.error();
    if (commit && is_folder(path))
      view.snapshots.emplace(*commit, std::move(snapshot));
    else
      view.other_links.insert(snapshot.links.begin(), snapshot.links.end());
  }
  if (error && error != std::errc::no_such_file_or_directory)
    return io_error("read", at_.snapshots(repo_), error.value());
  view.refs = refs();
  for (const auto& entry : fs::directory_iterator(at_.blobs(repo_), error)) {
    const auto blob = Digest::parse(entry.path().filename().string());
    const auto there = lstat_path(entry.path().string());
    if (blob && there && !there->is_folder)
      view.blobs.emplace(*blob, there->is_link ? 0 : there->size);
  }
  const Repository place{folder_, lock_folder_, at_, repo_};
  view.leftovers = leftovers_in(place, self_);
  view.writer = writer_in(place, view.leftovers);
  for (const PendingRemoval& left : pending_removals()) {
    RepoContents::Snapshot files;
    if (Status read = read_links(left.path, files); !read) return read.error();
    view.pending_bytes += files.bytes;
  }
  return view;
}

/// Of a folder, or of a file itself.
Status Pruner::read_links(const std::string& folder, RepoContents::Snapshot& into) const {
  const auto note = [&](const std::string& path) {
    const auto there = lstat_path(path);
    if (!there) return;
    if (there->is_file) into.bytes += there->size;
    if (const auto blob = there->is_link ? blob_of(path) : std::nullopt) into.links.insert(*blob);
  };
  if (!is_folder(folder)) {
    note(folder);
    return ok();
  }
  std::error_code error;
  for (fs::recursive_directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error))
    note(entry->path().string());
  return error && error != std::errc::no_such_file_or_directory
             ? Status(io_error("read", folder, error.value()))
             : ok();
}

Result<std::set<Digest>> Pruner::links() const {
  RepoContents::Snapshot all;
  if (Status read = read_links(at_.snapshots(repo_), all); !read) return read.error();
  return std::move(all.links);
}

/// Also those with a line end, which huggingface_hub reads as they stand.
std::map<std::string, CommitId> Pruner::refs() const {
  std::map<std::string, CommitId> refs;
  const std::string folder = at_.refs(repo_);
  std::error_code error;
  for (fs::recursive_directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string path = entry->path().string();
    const auto text = read_file(path, kLongestRef);
    if (!text) continue;
    const auto commit =
        CommitId::parse(std::string_view(*text).substr(0, text->find_last_not_of("\r\n ") + 1));
    if (commit) refs.emplace(path.substr(folder.size() + 1), *commit);
  }
  return refs;
}

std::vector<Pruner::PendingRemoval> Pruner::pending_removals() const {
  std::vector<PendingRemoval> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(at_.own_folder(repo_), error)) {
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
  for (const std::string& needed : {at_.own_folder(repo_), at_.lock_folder(repo_)})
    if (Status made =
            (needed == at_.own_folder(repo_) ? folder_ : lock_folder_).create_directories(needed);
        !made)
      return made;
  const auto alone = FileLock::try_acquire(lock_folder_, at_.repo_lock(repo_));
  if (!alone) return alone.error();
  if (!*alone) return ok();
  if (Status finished = finish_pending(); !finished) return finished;
  plan.pending_bytes = 0;
  std::vector<SnapshotRemoval> snapshots = std::exchange(plan.revisions, {});
  for (std::size_t i = 0; i < snapshots.size(); ++i) {
    const auto removed = stop() ? Result<bool>(false) : remove_snapshot(snapshots[i]);
    if (!removed || !*removed) plan.revisions.push_back(snapshots[i]);
    if (removed) continue;
    plan.revisions.insert(plan.revisions.end(),
                          snapshots.begin() + static_cast<std::ptrdiff_t>(i) + 1, snapshots.end());
    return removed.error();
  }
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

/// What a killed run has taken out of sight. Nobody wants it any more, but for a blob that was
/// linked to in that moment.
Status Pruner::finish_pending() const {
  const auto linked = links();
  if (!linked) return linked.error();
  for (const PendingRemoval& left : pending_removals()) {
    if (left.blob && linked->contains(*left.blob) && !lstat_path(at_.blob(repo_, *left.blob))) {
      if (Status back = folder_.rename(left.path, at_.blob(repo_, *left.blob)); !back) return back;
      continue;
    }
    if (left.snapshot && !lstat_path(at_.snapshot(repo_, *left.snapshot)))
      if (Status removed = remove_metadata(*left.snapshot); !removed) return removed;
    if (Status destroyed = destroy(left.path); !destroyed) return destroyed;
  }
  return ok();
}

std::string Pruner::trash_name(std::string_view kind, const std::string& hex) const {
  return temporary_name(at_.own_folder(repo_), std::string(kind) + hex);
}

/// False: it is somebody's by now.
Result<bool> Pruner::remove_snapshot(const SnapshotRemoval& removal) const {
  const auto is_pointed_at = [&] {
    const auto now = refs();
    return std::any_of(now.begin(), now.end(),
                       [&](const auto& ref) { return ref.second == removal.commit; });
  };
  std::set<std::string> changed;
  for (const std::string& name : removal.refs) {
    const std::string path = at_.ref(repo_, name);
    if (const auto now = refs(); !now.contains(name) || now.at(name) != removal.commit) continue;
    if (Status removed = folder_.remove(path); !removed) return removed.error();
    changed.insert(parent_path(path));
  }
  for (const std::string& folder : changed)
    if (Status synced = folder_.sync(folder); !synced) return synced.error();
  if (is_pointed_at()) return false;
  const std::string snapshot = at_.snapshot(repo_, removal.commit);
  const std::string away = trash_name(kRemovedSnapshot, removal.commit.hex());
  if (Status renamed = folder_.rename(snapshot, away); !renamed)
    return lstat_path(snapshot) ? Result<bool>(renamed.error())
                                : true;  // another cleanup was faster
  if (is_pointed_at() && folder_.rename(away, snapshot)) return false;
  if (Status synced = folder_.sync(at_.snapshots(repo_)); !synced) return synced.error();
  if (Status removed = remove_metadata(removal.commit); !removed) return removed.error();
  if (Status destroyed = destroy(away); !destroyed) return destroyed.error();
  return true;
}

Status Pruner::remove_metadata(const CommitId& commit) const {
  for (const std::string& path :
       {at_.tree(repo_, commit), at_.no_exist(repo_, commit), at_.record(repo_, commit)})
    if (Status destroyed = destroy(path); !destroyed) return destroyed;
  return ok();
}

/// Those that are gone.
Result<std::set<Digest>> Pruner::remove_blobs(std::span<const Digest> blobs) const {
  std::vector<FileLock> locks;
  std::vector<Digest> ours;
  for (const Digest& blob : blobs) {
    auto lock = FileLock::try_acquire(lock_folder_, at_.lock(repo_, blob));
    if (!lock) return lock.error();
    if (!*lock) continue;  // somebody is at it
    locks.push_back(std::move(**lock));
    ours.push_back(blob);
  }
  const auto before = links();
  if (!before) return before.error();
  std::map<Digest, std::string> away;
  for (const Digest& blob : ours) {
    if (before->contains(blob)) continue;
    const std::string path = at_.blob(repo_, blob);
    std::string to = trash_name(kRemovedBlob, blob.hex());
    if (Status renamed = folder_.rename(path, to); renamed)
      away.emplace(blob, std::move(to));
    else if (lstat_path(path))
      return renamed.error();
  }
  const auto after = links();
  std::set<Digest> gone;
  for (const auto& [blob, path] : away) {
    const std::string home = at_.blob(repo_, blob);
    const bool wanted = !after || after->contains(blob);
    Status done = wanted && !lstat_path(home) ? folder_.rename(path, home) : destroy(path);
    if (!done) return done.error();
    if (!wanted) gone.insert(blob);
  }
  return after ? Result<std::set<Digest>>(std::move(gone)) : after.error();
}

Result<bool> Pruner::remove_leftover(const Leftover& left) const {
  const auto lock = FileLock::try_acquire(lock_folder_, at_.lock(repo_, left.blob));
  if (!lock) return lock.error();
  const auto there = lstat_path(left.path);
  const bool proven =
      left.old || (*lock && (*lock)->excludes(lock_folder_, at_.lock(repo_, left.blob)));
  if (!*lock || !proven || (there && there->mtime_ns != left.mtime_ns)) return false;
  Status removed = folder_.remove(left.path);
  return removed ? Result<bool>(true) : removed.error();
}

/// A file, or a folder with all that is in it: also what somebody who had the folder open has put
/// there meanwhile.
Status Pruner::destroy(const std::string& path) const {
  constexpr int kTries = 10;
  Status destroyed = destroy_once(path);
  for (int i = 1; !destroyed && i < kTries && destroyed.error().kind == ErrorKind::io; ++i)
    destroyed = destroy_once(path);
  return destroyed;
}

Status Pruner::destroy_once(const std::string& path) const {
  if (!is_folder(path)) return folder_.remove(path);
  std::error_code error;
  std::vector<std::string> inside;
  for (fs::recursive_directory_iterator entry(path, error), end; !error && entry != end;
       entry.increment(error))
    inside.push_back(entry->path().string());
  for (auto last = inside.rbegin(); last != inside.rend();
       ++last)  // what is in a folder came after it
    if (Status removed = folder_.remove(*last); !removed) return removed;
  return folder_.remove(path);
}

}  // namespace model_prep
