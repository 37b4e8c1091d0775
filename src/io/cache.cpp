// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/cache.h"

#include <algorithm>
#include <set>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "model_prep/io/staging.h"

namespace model_prep {
namespace {

constexpr std::size_t kMaxDocument = 256 * 1024 * 1024;  // a record of a million files
constexpr std::chrono::hours kTemporaryFileLife{24};

bool is_real_directory(const std::string& path) {
  const auto found = lstat_path(path);
  return found && found->is_folder;
}

/// A regular file in place of the link, where no blob exists.
bool is_in_place(const CacheLayout& at, const CommitId& commit, const RemoteFile& file) {
  const auto there = lstat_path(at.link(commit, file.path));
  return there && there->is_file && there->size == file.size && !lstat_path(at.blob(file.blob));
}

/// The record is written after the listing. A listing older than the record is the one that was
/// written then, so it need not be read.
bool is_older(const std::string& listing, const std::string& record) {
  const auto first = lstat_path(listing);
  const auto second = lstat_path(record);
  return first && second && first->is_file && first->size > 0 && first->mtime_ns < second->mtime_ns;
}

/// Writes a small file by way of a temporary name in our own directory.
Status write_document(const Repository& repository, const std::string& path,
                      std::string_view text) {
  const std::string& temporary = repository.layout().own_directory();
  for (const std::string& needed : {parent_path(path), temporary})
    if (Status made = repository.directory().create_directories(needed); !made) return made;

  return repository.directory().write_atomically(path, text, temporary);
}

/// Removes temporary files that a SIGKILL left. Those of a running process are not a day old.
void sweep_temporary_files(const Directory& owner, const std::string& directory) {
  for (const std::string& path : list_directory(directory)) {
    if (!path.ends_with(".tmp") || !is_older_than(path, kTemporaryFileLife)) continue;

    // What cannot be removed is left to another run. `snapshots`: see `create_repo_dirs`.
    static_cast<void>(owner.remove(path + "/snapshots"));
    static_cast<void>(owner.remove(path));
  }
}

}  // namespace

Cache::Cache(const std::string& root, const std::vector<std::string>& legacy_dirs)
    : root_(root), legacy_dirs_(legacy_dirs.begin(), legacy_dirs.end()) {}

const Repository& Cache::repository(const RepoId& repo) const {
  const auto known = repositories_.find(repo);
  return known != repositories_.end()
             ? known->second
             : repositories_.emplace(repo, Repository(root_, root_, repo)).first->second;
}

void Cache::adopt_existing(const RepoId& repo, Writing writing) {
  const CacheLayout cache(root_.path(), repo);
  if (is_real_directory(cache.repo())) return;

  const bool leads_somewhere = stat_path(cache.repo()).has_value();
  for (const Directory& legacy : legacy_dirs_) {
    const std::string there = CacheLayout(legacy.path(), repo).repo();
    if (!is_real_directory(there)) continue;
    if (leads_somewhere && canonical_path(cache.repo()) != there) continue;

    // The link is optional: a dry run or a read-only volume does without it.
    if (!leads_somewhere && writing == Writing::allowed && root_.create_directories(cache.locks()))
      static_cast<void>(
          root_.link_atomically(cache.repo(), relative_path(there, root_.path()), cache.locks()));
    repositories_.insert_or_assign(repo, Repository(legacy, root_, repo));
    return;
  }
}

Cache::Content Cache::content(const RepoId& repo, const CommitId& commit,
                              const RemoteFile& file) const {
  const CacheLayout& at = repository(repo).layout();
  std::string blob = at.blob(file.blob);
  if (const auto there = lstat_path(blob)) {
    const auto followed = there->is_file ? there : stat_path(blob);
    return {std::move(blob), followed};
  }

  std::string link = at.link(commit, file.path);
  const auto there = lstat_path(link);
  if (there && there->is_file) return {std::move(link), there};
  return {std::move(blob), {}};
}

std::optional<SnapshotRecord> Cache::record(const RepoId& repo, const CommitId& commit) const {
  const auto text = read_file(repository(repo).layout().record(commit), kMaxDocument);
  return text ? parse_record(*text) : std::nullopt;
}

std::optional<std::vector<RemoteFile>> Cache::tree(const RepoId& repo,
                                                   const CommitId& commit) const {
  const auto text = read_file(repository(repo).layout().tree(commit), kMaxDocument);
  return text ? parse_tree(*text) : std::nullopt;
}

std::optional<CommitId> Cache::ref(const RepoId& repo, const std::string& name) const {
  const auto text = read_file(repository(repo).layout().ref(name), 64);
  const auto commit = text ? CommitId::parse(*text) : Result<CommitId>(Error{});
  return commit ? std::optional(*commit) : std::nullopt;
}

bool Cache::refs_correct(const ResolvedSnapshot& snapshot) const {
  const auto refs = refs_to_write(snapshot.spec, snapshot.commit);
  return std::all_of(refs.begin(), refs.end(), [&](const std::string& name) {
    return ref(snapshot.spec.repo, name) == snapshot.commit;
  });
}

bool Cache::is_linked(const ResolvedSnapshot& snapshot, const RemoteFile& file) const {
  const CacheLayout& at = repository(snapshot.spec.repo).layout();
  return read_link(at.link(snapshot.commit, file.path)) == link_target(file.path, file.blob) ||
         is_in_place(at, snapshot.commit, file);
}

SnapshotView Cache::inspect(const ResolvedSnapshot& snapshot,
                            const std::optional<SnapshotRecord>& known) const {
  const RepoId& repo = snapshot.spec.repo;
  const Repository& at = repository(repo);
  SnapshotView view;
  for (const RemoteFile& file : snapshot.files) {
    FileView one;
    one.linked = is_linked(snapshot, file);
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
      one.staged = staged_bytes(at, file.blob, file.size);
    }
    view.files.push_back(std::move(one));
  }

  view.refs_correct = refs_correct(snapshot);
  view.tree_correct =
      !snapshot.spec.whole_commit ||
      is_older(at.layout().tree(snapshot.commit), at.layout().record(snapshot.commit)) ||
      tree(repo, snapshot.commit) || !serialize_tree(snapshot.listing);
  view.recorded = known && (snapshot.listing.empty() || !known->listing.empty());
  return view;
}

Status Cache::probe(const Directory& in, const std::string& directory) const {
  const auto write = [&]() -> Status {
    if (Status made = in.create_directories(directory); !made) return made;
    const std::string probe = temporary_name(directory, "probe");
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
  const Repository& repository = this->repository(repo);
  const CacheLayout& at = repository.layout();
  const bool has_locks = stat_path(at.lock_directory()).has_value();
  if (Status probed = probe(root_, has_locks ? at.lock_directory() : at.locks()); !probed)
    return probed;

  if (lstat_path(at.repo()))
    if (Status probed = probe(repository.directory(), at.own_directory()); !probed) return probed;
  return lstat_path(at.blobs()) ? probe(repository.directory(), at.blobs()) : ok();
}

Status Cache::create_repo_dirs(const RepoId& repo) const {
  const Directory& directory = repository(repo).directory();
  const CacheLayout& at = repository(repo).layout();
  if (Status made = root_.create_directories(at.lock_directory()); !made) return made;

  if (!lstat_path(at.repo())) {
    // scan_cache_dir reports a repository without `snapshots/` as broken, so that the directory
    // appears together with it, by one rename.
    const std::string temporary = temporary_name(at.locks(), "repo");
    if (Status made = directory.create_directories(temporary + "/snapshots"); !made) return made;
    if (!directory.rename(temporary, at.repo()))  // another process was faster
      for (const std::string& made : {temporary + "/snapshots", temporary})
        if (Status removed = directory.remove(made); !removed) return removed;
  }
  for (const std::string& needed : {at.snapshots(), at.blobs(), at.own_directory()})
    if (Status made = directory.create_directories(needed); !made) return made;

  sweep_temporary_files(directory, at.own_directory());
  sweep_temporary_files(root_, at.locks());
  return ok();
}

Result<Publication> Cache::publish(const ResolvedSnapshot& snapshot,
                                   const std::map<Digest, Digest>& sha256) const {
  Publication published;
  if (Status done = publish_links(snapshot, published.warnings); !done) return done.error();

  published.lost = !is_complete(snapshot);
  if (!published.lost)
    if (Status done = publish_tree(snapshot); !done) return done.error();

  // The record only saves hashing in the next run: without it the cache is still a good one.
  if (Status done = publish_record(snapshot, sha256); !done)
    published.warnings.push_back("the next run will have to hash this model again: " +
                                 done.error().message);
  if (published.lost) return published;

  if (Status done = publish_refs(snapshot); !done) return done.error();
  published.lost = !is_complete(snapshot) || !refs_correct(snapshot);
  return published;
}

bool Cache::is_complete(const ResolvedSnapshot& snapshot) const {
  const CacheLayout& at = repository(snapshot.spec.repo).layout();
  return std::all_of(snapshot.files.begin(), snapshot.files.end(), [&](const RemoteFile& file) {
    return stat_path(at.link(snapshot.commit, file.path)).has_value();
  });
}

Status Cache::publish_links(const ResolvedSnapshot& snapshot, Warnings& warnings) const {
  const Directory& directory = repository(snapshot.spec.repo).directory();
  const CacheLayout& at = repository(snapshot.spec.repo).layout();
  std::vector<const RemoteFile*> wanted;
  std::map<Digest, int> users;
  std::set<std::string> parents;
  for (const RemoteFile& file : snapshot.files) {
    parents.insert(parent_path(at.link(snapshot.commit, file.path)));
    if (is_linked(snapshot, file)) continue;
    wanted.push_back(&file);
    ++users[file.blob];
  }
  if (wanted.empty()) return ok();

  // Otherwise a power cut could give a blob its staging name back, and the link would dangle.
  if (Status synced = directory.sync(at.blobs()); !synced && stat_path(at.blobs())) return synced;

  for (const std::string& parent : parents)
    if (Status made = directory.create_directories(parent); !made) return made;
  if (Status made = directory.create_directories(at.own_directory()); !made) return made;

  bool moved = false;
  for (const RemoteFile* file : wanted) {
    const std::string link = at.link(snapshot.commit, file->path);
    const std::string blob = at.blob(file->blob);
    const auto linked =
        directory.link_atomically(link, link_target(file->path, file->blob), at.own_directory());
    if (!linked && !stat_path(parent_path(link))) return ok();  // removed meanwhile: see `publish`
    if (!linked) return linked.error();
    if (*linked) continue;

    // No symlinks here: the last user of the blob gets the file itself.
    const bool last = --users[file->blob] == 0;
    Status put = last ? directory.rename(blob, link)
                      : directory.copy_atomically(blob, link, at.own_directory());
    if (!put && !(lstat_path(blob) && stat_path(parent_path(link)))) return ok();
    if (!put) return put;
    moved = true;
  }
  if (moved)
    warnings.push_back(
        "this file system has no symlinks: the files lie in the snapshot itself, so revisions share none");
  else if (Status right = check_names(snapshot); !right && is_complete(snapshot))
    return right;

  // The ref comes after this: it must not survive a power cut that the links did not.
  for (const std::string& parent : parents)
    if (Status synced = directory.sync(parent); !synced && stat_path(parent)) return synced;
  return directory.sync(at.snapshots());
}

/// Two names that differ on the Hub can be one here, on a file system that ignores case or the
/// Unicode form of a letter.
Status Cache::check_names(const ResolvedSnapshot& snapshot) const {
  for (const RemoteFile& file : snapshot.files) {
    if (is_linked(snapshot, file)) continue;
    return Error{
        ErrorKind::io,
        fmt::format("{} {}: on this file system its name is another file's of that model too",
                    snapshot.spec.repo.text(), file.path.text()),
        "use a volume that tells upper from lower case"};
  }
  return ok();
}

Status Cache::publish_tree(const ResolvedSnapshot& snapshot) const {
  const Repository& at = repository(snapshot.spec.repo);
  if (!snapshot.spec.whole_commit || tree(at.id(), snapshot.commit)) return ok();

  const auto text = serialize_tree(snapshot.listing);
  return text ? write_document(at, at.layout().tree(snapshot.commit), *text) : ok();
}

Status Cache::publish_record(const ResolvedSnapshot& snapshot,
                             const std::map<Digest, Digest>& sha256) const {
  const Repository& at = repository(snapshot.spec.repo);
  const auto before = record(at.id(), snapshot.commit);
  SnapshotRecord record = before.value_or(SnapshotRecord{});
  if (!snapshot.listing.empty()) record.listing = snapshot.listing;
  for (const RemoteFile& file : snapshot.files) {
    const auto digest = sha256.find(file.blob);
    const auto found = content(at.id(), snapshot.commit, file).there;
    if (digest == sha256.end() || !found) continue;
    record.blobs.insert_or_assign(file.blob,
                                  VerifiedBlob{found->size, found->mtime_ns, digest->second});
  }

  const std::string text = serialize_record(record);
  if (before && serialize_record(*before) == text) return ok();
  return write_document(at, at.layout().record(snapshot.commit), text);
}

Status Cache::publish_refs(const ResolvedSnapshot& snapshot) const {
  const Repository& at = repository(snapshot.spec.repo);
  for (const std::string& name : refs_to_write(snapshot.spec, snapshot.commit)) {
    if (ref(at.id(), name) == snapshot.commit) continue;
    Status done = write_document(at, at.layout().ref(name), snapshot.commit.hex());
    if (!done) return done;
  }
  return ok();
}

Status Cache::distrust(const RepoId& repo, const CommitId& commit,
                       const std::set<Digest>& blobs) const {
  auto known = record(repo, commit);
  if (!known) return ok();

  const auto dropped =
      std::erase_if(known->blobs, [&](const auto& entry) { return blobs.contains(entry.first); });
  if (dropped == 0) return ok();
  const Repository& at = repository(repo);
  return write_document(at, at.layout().record(commit), serialize_record(*known));
}

Result<std::string> Cache::quarantine(const RepoId& repo, const std::string& path) const {
  const Repository& at = repository(repo);
  const std::string to = at.layout().quarantine();
  if (Status made = at.directory().create_directories(to); !made) return made.error();

  std::string name = to + "/" + random_hex(8) + "-" + file_name(path);
  if (Status moved = at.directory().rename(path, name); !moved) return moved.error();
  return name;
}

Warnings Cache::link_legacy_dirs(const RepoId& repo) const {
  const Repository& at = repository(repo);
  const std::string real = canonical_path(at.layout().repo());
  std::vector<const Directory*> places;
  for (const Directory& legacy : legacy_dirs_) places.push_back(&legacy);
  if (&at.directory() != &root_) places.push_back(&root_);

  Warnings warnings;
  for (const Directory* place : places) {
    const std::string link = CacheLayout(place->path(), repo).repo();
    const auto there = lstat_path(link);
    if (there && canonical_path(link) == real && stat_path(link)) continue;
    if (there && !there->is_link) {
      warnings.push_back(fmt::format(
          "{} is a folder of its own beside {}: services that look there see an older copy", link,
          real));
      continue;
    }

    Status made = create_directories(place->path());
    const auto linked =
        made ? place->link_atomically(link, relative_path(real, canonical_path(place->path())),
                                      place->path())
             : Result<bool>(made.error());
    if (!linked || !*linked)
      warnings.push_back(
          fmt::format("services that look in {} will not find {}: {}", place->path(), repo.text(),
                      linked ? "this file system has no symlinks" : linked.error().message));
  }
  return warnings;
}

}  // namespace model_prep
