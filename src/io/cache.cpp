// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/cache.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <set>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "model_prep/io/staging.h"

namespace model_prep {
namespace {

constexpr std::size_t kLargestDocument = 256 * 1024 * 1024;  // a record of a million files

constexpr std::chrono::hours kLeftover{24};

bool is_real_folder(const std::string& path) {
  const auto found = lstat_path(path);
  return found && found->is_folder;
}

/// Folders of the paths in a snapshot, the snapshot's own included, deepest last.
std::set<std::string> folders_of(const ResolvedSnapshot& snapshot, const CacheLayout& layout) {
  std::set<std::string> folders;
  for (const RemoteFile& file : snapshot.files)
    folders.insert(parent_path(layout.link(snapshot.spec.repo, snapshot.commit, file.path)));
  return folders;
}

/// A real file in the link's place, where no blob is.
bool is_in_place(const CacheLayout& at, const ResolvedSnapshot& snapshot, const RemoteFile& file) {
  const RepoId& repo = snapshot.spec.repo;
  if (lstat_path(at.blob(repo, file.blob))) return false;
  const auto there = lstat_path(at.link(repo, snapshot.commit, file.path));
  return there && there->is_file && there->size == file.size;
}

/// The record is written after the listing: a listing that is older is what was written then, and
/// need not be read.
bool is_unchanged(const std::string& tree, const std::string& record) {
  const auto listing = lstat_path(tree);
  const auto later = lstat_path(record);
  return listing && later && listing->is_file && listing->size > 0 &&
         listing->mtime_ns < later->mtime_ns;
}

}  // namespace

Cache::Cache(const std::string& root, std::vector<std::string> legacy_dirs)
    : home_{CacheLayout(root), Directory(root)}, legacy_dirs_(std::move(legacy_dirs)) {}

const Cache::Home& Cache::home(const RepoId& repo) const {
  const auto found = elsewhere_.find(repo);
  return found == elsewhere_.end() ? home_ : found->second;
}

void Cache::adopt_existing(const RepoId& repo, Writing writing) {
  const CacheLayout& cache = home_.layout;
  const std::string here = cache.repo(repo);
  if (is_real_folder(here)) return;
  const bool leads_somewhere = stat_path(here).has_value();
  for (const std::string& view : legacy_dirs_) {
    const std::string there = CacheLayout(view).repo(repo);
    if (!is_real_folder(there) || (leads_somewhere && canonical_path(here) != there)) continue;
    // A link that cannot be made, by a dry run or on a read-only volume, is done without.
    if (!leads_somewhere && writing == Writing::allowed &&
        home_.folder.create_directories(cache.locks()))
      static_cast<void>(
          home_.folder.link_atomically(here, relative_path(there, cache.root()), cache.locks()));
    elsewhere_.emplace(repo, Home{CacheLayout(view, cache.root()), Directory(view)});
    return;
  }
}

Cache::Content Cache::content(const RepoId& repo, const CommitId& commit,
                              const RemoteFile& file) const {
  const CacheLayout& at = layout(repo);
  std::string blob = at.blob(repo, file.blob);
  if (const auto there = lstat_path(blob)) {
    const auto followed = there->is_file ? there : stat_path(blob);
    return {std::move(blob), followed};
  }
  std::string link = at.link(repo, commit, file.path);
  const auto there = lstat_path(link);
  if (there && there->is_file) return {std::move(link), there};
  return {std::move(blob), {}};
}

std::optional<SnapshotRecord> Cache::record(const RepoId& repo, const CommitId& commit) const {
  const auto text = read_file(layout(repo).record(repo, commit), kLargestDocument);
  return text ? parse_record(*text) : std::nullopt;
}

std::optional<std::vector<RemoteFile>> Cache::tree(const RepoId& repo,
                                                   const CommitId& commit) const {
  const auto text = read_file(layout(repo).tree(repo, commit), kLargestDocument);
  return text ? parse_tree(*text) : std::nullopt;
}

std::optional<CommitId> Cache::ref(const RepoId& repo, const std::string& name) const {
  const auto text = read_file(layout(repo).ref(repo, name), 64);
  const auto commit = text ? CommitId::parse(*text) : Result<CommitId>(Error{});
  return commit ? std::optional(*commit) : std::nullopt;
}

bool Cache::refs_correct(const ResolvedSnapshot& snapshot) const {
  const auto refs = refs_to_write(snapshot.spec, snapshot.commit);
  return std::all_of(refs.begin(), refs.end(), [&](const std::string& name) {
    return ref(snapshot.spec.repo, name) == snapshot.commit;
  });
}

SnapshotView Cache::inspect(const ResolvedSnapshot& snapshot,
                            const std::optional<SnapshotRecord>& known) const {
  const RepoId& repo = snapshot.spec.repo;
  const CacheLayout& at = layout(repo);
  SnapshotView view;
  for (const RemoteFile& file : snapshot.files) {
    FileView one;
    one.linked =
        read_link(at.link(repo, snapshot.commit, file.path)) == link_target(file.path, file.blob) ||
        is_in_place(at, snapshot, file);
    const auto found = content(repo, snapshot.commit, file).there;
    if (found && found->is_file && found->size == file.size) {
      one.state = BlobState::unverified;
      const auto verified =
          known ? known->blobs.find(file.blob) : std::map<Digest, VerifiedBlob>::const_iterator();
      if (known && verified != known->blobs.end() && verified->second.size == found->size &&
          verified->second.mtime_ns == found->mtime_ns) {
        one.state = BlobState::trusted;
        one.sha256 = verified->second.sha256;
      }
    } else if (!found) {
      one.staged = staged_bytes(at, repo, file.blob, file.size);
    }
    view.files.push_back(std::move(one));
  }
  view.refs_correct = refs_correct(snapshot);
  view.tree_correct =
      !snapshot.spec.whole_commit ||
      is_unchanged(at.tree(repo, snapshot.commit), at.record(repo, snapshot.commit)) ||
      tree(repo, snapshot.commit) || !serialize_tree(snapshot.listing);
  view.recorded = known && (snapshot.listing.empty() || !known->listing.empty());
  return view;
}

Status Cache::probe(const Directory& in, const std::string& folder) const {
  const auto write = [&]() -> Status {
    if (Status made = in.create_directories(folder); !made) return made;
    const std::string probe = temporary_name(folder, "probe");
    const auto fd = in.open_file(probe, O_WRONLY | O_CREAT | O_EXCL);
    return fd ? in.remove(probe) : Status(fd.error());
  };
  Status written = write();
  if (written) return ok();
  return Error{written.error().kind,
               fmt::format("the cache {} is not writable: {}", in.path(), written.error().message),
               written.error().hint};
}

Status Cache::probe_writing(const RepoId& repo) const {
  const CacheLayout& at = layout(repo);
  const std::string locks = stat_path(at.lock_folder(repo)) ? at.lock_folder(repo) : at.locks();
  if (Status probed = probe(lock_folder(), locks); !probed) return probed;
  if (lstat_path(at.repo(repo)))
    if (Status probed = probe(folder(repo), at.own_folder(repo)); !probed) return probed;
  return lstat_path(at.blobs(repo)) ? probe(folder(repo), at.blobs(repo)) : ok();
}

Status Cache::create_repo_dirs(const RepoId& repo) const {
  const CacheLayout& at = layout(repo);
  if (Status made = lock_folder().create_directories(at.lock_folder(repo)); !made) return made;
  if (!lstat_path(at.repo(repo))) {
    // A repository without `snapshots/` is reported as broken by scan_cache_dir: it appears with
    // it, by one rename.
    const std::string temporary = temporary_name(at.locks(), "repo");
    if (Status made = folder(repo).create_directories(temporary + "/snapshots"); !made) return made;
    if (!folder(repo).rename(temporary, at.repo(repo)))  // another process was faster
      for (const std::string& made : {temporary + "/snapshots", temporary})
        if (Status removed = folder(repo).remove(made); !removed) return removed;
  }
  for (const std::string& needed : {at.snapshots(repo), at.blobs(repo), at.own_folder(repo)})
    if (Status made = folder(repo).create_directories(needed); !made) return made;
  sweep(repo);
  return ok();
}

/// Temporary files that a SIGKILL left. Those of a living run are not a day old.
void Cache::sweep(const RepoId& repo) const {
  const CacheLayout& at = layout(repo);
  const auto old = std::filesystem::file_time_type::clock::now() - kLeftover;
  for (const std::string& in : {at.own_folder(repo), at.locks()}) {
    const Directory& owner = in == at.locks() ? lock_folder() : folder(repo);
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(in, error)) {
      const std::string path = entry.path().string();
      if (!path.ends_with(".tmp") || entry.last_write_time(error) > old || error) continue;
      static_cast<void>(
          owner.remove(path + "/snapshots"));  // of a repository that did not come to be
      static_cast<void>(owner.remove(path));   // another run's business if it cannot be done
    }
  }
}

Result<Publication> Cache::publish(const ResolvedSnapshot& snapshot,
                                   const std::map<Digest, Digest>& sha256) const {
  Publication published;
  if (Status done = publish_links(snapshot, published.warnings); !done) return done.error();
  published.lost = !is_whole(snapshot);
  if (!published.lost)
    if (Status done = publish_tree(snapshot); !done) return done.error();
  // The record only saves the next run some hashing: a volume that cannot take it is still a good
  // cache.
  if (Status done = publish_record(snapshot, sha256); !done)
    published.warnings.push_back("the next run will have to hash this model again: " +
                                 done.error().message);
  if (published.lost) return published;
  if (Status done = publish_refs(snapshot); !done) return done.error();
  published.lost = !is_whole(snapshot) || !refs_correct(snapshot);
  return published;
}

bool Cache::is_whole(const ResolvedSnapshot& snapshot) const {
  return std::all_of(snapshot.files.begin(), snapshot.files.end(), [&](const RemoteFile& file) {
    return stat_path(
               layout(snapshot.spec.repo).link(snapshot.spec.repo, snapshot.commit, file.path))
        .has_value();
  });
}

Status Cache::publish_links(const ResolvedSnapshot& snapshot, Warnings& warnings) const {
  const RepoId& repo = snapshot.spec.repo;
  const CacheLayout& at = layout(repo);
  std::vector<const RemoteFile*> wanted;
  std::map<Digest, int> users;
  for (const RemoteFile& file : snapshot.files) {
    const bool linked =
        read_link(at.link(repo, snapshot.commit, file.path)) == link_target(file.path, file.blob);
    if (linked || is_in_place(at, snapshot, file)) continue;
    wanted.push_back(&file);
    ++users[file.blob];
  }
  if (wanted.empty()) return ok();
  bool moved = false;
  for (const RemoteFile* file : wanted) {
    const std::string link = at.link(repo, snapshot.commit, file->path);
    const std::string blob = at.blob(repo, file->blob);
    for (const std::string& needed : {parent_path(link), at.own_folder(repo)})
      if (Status made = folder(repo).create_directories(needed); !made) return made;
    const auto linked = folder(repo).link_atomically(link, link_target(file->path, file->blob),
                                                     at.own_folder(repo));
    if (!linked && !stat_path(parent_path(link))) return ok();  // removed meanwhile: see `publish`
    if (!linked) return linked.error();
    if (*linked) continue;
    const bool last = --users[file->blob] == 0;
    Status put = last ? folder(repo).rename(blob, link)
                      : folder(repo).copy_atomically(blob, link, at.own_folder(repo));
    if (!put && !(lstat_path(blob) && stat_path(parent_path(link)))) return ok();
    if (!put) return put;
    moved = true;
  }
  if (moved)
    warnings.push_back(
        "this file system has no symlinks: the files lie in the snapshot itself, so revisions share none");
  else if (Status right = check_names(snapshot); !right && is_whole(snapshot))
    return right;
  // The ref comes after this: it must not survive a power cut that the links did not.
  for (const std::string& made : folders_of(snapshot, at))
    if (Status synced = folder(repo).sync(made); !synced && stat_path(made)) return synced;
  return folder(repo).sync(at.snapshots(repo));
}

/// Names that differ for the Hub can be one name here: where case or Unicode's forms of a letter do
/// not count.
Status Cache::check_names(const ResolvedSnapshot& snapshot) const {
  for (const RemoteFile& file : snapshot.files) {
    const std::string link =
        layout(snapshot.spec.repo).link(snapshot.spec.repo, snapshot.commit, file.path);
    if (read_link(link) == link_target(file.path, file.blob) ||
        is_in_place(layout(snapshot.spec.repo), snapshot, file))
      continue;
    return Error{
        ErrorKind::io,
        fmt::format("{} {}: on this file system its name is another file's of that model too",
                    snapshot.spec.repo.text(), file.path.text()),
        "use a volume that tells upper from lower case"};
  }
  return ok();
}

Status Cache::publish_tree(const ResolvedSnapshot& snapshot) const {
  const RepoId& repo = snapshot.spec.repo;
  if (!snapshot.spec.whole_commit || tree(repo, snapshot.commit)) return ok();
  const auto text = serialize_tree(snapshot.listing);
  if (!text) return ok();
  const std::string path = layout(repo).tree(repo, snapshot.commit);
  for (const std::string& needed : {parent_path(path), layout(repo).own_folder(repo)})
    if (Status made = folder(repo).create_directories(needed); !made) return made;
  return folder(repo).write_atomically(path, *text, layout(repo).own_folder(repo));
}

Status Cache::publish_record(const ResolvedSnapshot& snapshot,
                             const std::map<Digest, Digest>& sha256) const {
  const RepoId& repo = snapshot.spec.repo;
  const CacheLayout& at = layout(repo);
  const auto before = record(repo, snapshot.commit);
  SnapshotRecord record = before.value_or(SnapshotRecord{});
  if (!snapshot.listing.empty()) record.listing = snapshot.listing;
  for (const RemoteFile& file : snapshot.files) {
    const auto digest = sha256.find(file.blob);
    const auto found = content(repo, snapshot.commit, file).there;
    if (digest == sha256.end() || !found) continue;
    record.blobs.insert_or_assign(file.blob,
                                  VerifiedBlob{found->size, found->mtime_ns, digest->second});
  }
  const std::string text = serialize_record(record);
  if (before && serialize_record(*before) == text) return ok();
  if (Status made = folder(repo).create_directories(at.own_folder(repo)); !made) return made;
  return folder(repo).write_atomically(at.record(repo, snapshot.commit), text, at.own_folder(repo));
}

Status Cache::publish_refs(const ResolvedSnapshot& snapshot) const {
  const RepoId& repo = snapshot.spec.repo;
  for (const std::string& name : refs_to_write(snapshot.spec, snapshot.commit)) {
    if (ref(repo, name) == snapshot.commit) continue;
    const std::string path = layout(repo).ref(repo, name);
    for (const std::string& needed : {parent_path(path), layout(repo).own_folder(repo)})
      if (Status made = folder(repo).create_directories(needed); !made) return made;
    Status done =
        folder(repo).write_atomically(path, snapshot.commit.hex(), layout(repo).own_folder(repo));
    if (!done) return done;
  }
  return ok();
}

Status Cache::distrust(const RepoId& repo, const CommitId& commit,
                       const std::set<Digest>& blobs) const {
  auto known = record(repo, commit);
  if (!known) return ok();
  const auto forgotten =
      std::erase_if(known->blobs, [&](const auto& entry) { return blobs.contains(entry.first); });
  if (forgotten == 0) return ok();
  return folder(repo).write_atomically(layout(repo).record(repo, commit), serialize_record(*known),
                                       layout(repo).own_folder(repo));
}

Result<std::string> Cache::quarantine(const RepoId& repo, const std::string& path) const {
  const std::string to = layout(repo).aside(repo);
  if (Status made = folder(repo).create_directories(to); !made) return made.error();
  std::string name = to + "/" + random_hex(8) + "-" + path.substr(path.find_last_of('/') + 1);
  if (Status moved = folder(repo).rename(path, name); !moved) return moved.error();
  return name;
}

Warnings Cache::link_legacy_dirs(const RepoId& repo) const {
  Warnings warnings;
  const std::string real = canonical_path(layout(repo).repo(repo));
  std::vector<std::string> places = legacy_dirs_;
  if (elsewhere_.contains(repo)) places.push_back(home_.layout.root());
  for (const std::string& place : places) {
    const std::string link = CacheLayout(place).repo(repo);
    const auto there = lstat_path(link);
    if (there && canonical_path(link) == real && stat_path(link)) continue;
    if (there && !there->is_link) {
      warnings.push_back(fmt::format(
          "{} is a folder of its own beside {}: services that look there see an older copy", link,
          real));
      continue;
    }
    Status made = create_directories(place);
    const auto linked = made ? Directory(place).link_atomically(
                                   link, relative_path(real, canonical_path(place)), place)
                             : Result<bool>(made.error());
    if (!linked || !*linked)
      warnings.push_back(
          fmt::format("services that look in {} will not find {}: {}", place, repo.text(),
                      linked ? "this file system has no symlinks" : linked.error().message));
  }
  return warnings;
}

}  // namespace model_prep
