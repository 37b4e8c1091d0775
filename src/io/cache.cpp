// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/cache.h"

#include <algorithm>
#include <ranges>

#include <fcntl.h>

#include <fmt/format.h>

#include "model_prep/io/documents.h"
#include "model_prep/io/leftovers.h"
#include "model_prep/io/snapshot_links.h"
#include "model_prep/io/staging.h"

namespace model_prep {
namespace {

/// Whether huggingface_hub once noted that the commit has no such file: libraries read that marker
/// before they look into the snapshot (docs/developing/hub-protocol.md, section 1.6).
bool is_hidden(const CacheLayout& layout, const CommitId& commit, const RepoPath& path) {
  const auto marker = stat_path(layout.no_exist(commit, path));
  return marker && marker->is_file;
}

/// The refs of the snapshot that do not hold its commit. It is complete without refs/<commit>.
Strings wrong_refs(const Cache& cache, const ResolvedSnapshot& snapshot) {
  const Repository& in = cache.repository(snapshot.spec.repo);
  auto refs = refs_to_write(snapshot.spec, snapshot.commit);
  std::erase_if(refs, [&, &commit = snapshot.commit](const std::string& name) {
    return read_ref(in, name) == commit || is_missing_own_ref(in, name, commit);
  });
  return refs;
}

/// The record is written after the listing: a listing that is older need not be read again.
bool is_older(const std::string& listing, const std::string& record) {
  const auto first = lstat_path(listing);
  const auto second = lstat_path(record);
  return first && second && first->is_file && first->size > 0 && first->mtime_ns < second->mtime_ns;
}

/// Whether huggingface_hub's listing is the snapshot's: somebody else may have left another one.
bool has_right_tree(const Cache& cache, const ResolvedSnapshot& snapshot) {
  const auto tree = cache.tree(snapshot.spec.repo, snapshot.commit);
  return tree && std::ranges::equal(*tree, snapshot.listing, [](const auto& a, const auto& b) {
           return a.path == b.path && a.size == b.size && a.blob == b.blob;
         });
}

Status probe(const Directory& in, const std::string& directory) {
  const std::string file = temporary_name(directory, "probe");
  Status written = in.create_directories(directory);
  if (written) {
    const auto fd = in.open_file(file, O_WRONLY | O_CREAT | O_EXCL);
    written = fd ? in.remove(file) : fd.error();
  }

  if (written) return ok();
  return Error{written.error().kind,
               fmt::format("the cache {} is not writable: {}", in.path(), written.error().message),
               written.error().hint};
}

class Publisher {
 public:
  Publisher(const Cache& cache, const ResolvedSnapshot& snapshot, const VerifiedBlobs& verified,
            IfChanged if_changed)
      : cache_(cache), snapshot_(snapshot), verified_(verified), if_changed_(if_changed) {}

  Result<Publication> run() {
    if (Status done = publish_links(); !done) return done.error();
    if (Status done = remove_markers(); !done) return done.error();

    published_.files_vanished = !is_complete();
    if (!published_.files_vanished)
      if (Status done = publish_tree(); !done) return done.error();

    // The record only saves hashing in the next run: without it the cache is still a good one.
    if (Status done = publish_record(); !done)
      published_.warnings.push_back("the next run will have to hash this model again: " +
                                    done.error().message);
    if (published_.files_vanished) return std::move(published_);

    for (const std::string& name : refs_to_write(snapshot_.spec, commit_)) {
      const auto before = read_ref(repository_, name);
      if (before == commit_) continue;
      const Status done = write_ref(repository_, name, commit_);
      if (!done && !is_missing_own_ref(repository_, name, commit_)) return done.error();
      if (!done)
        published_.warnings.push_back(
            "old versions of the Rust hf-hub will not find this commit: " + done.error().message);
      if (before)
        published_.moved_refs.push_back(fmt::format("moved refs/{} from {} to {}", name,
                                                    before->hex().substr(0, 12),
                                                    commit_.hex().substr(0, 12)));
    }
    published_.files_vanished = !is_complete() || !wrong_refs(cache_, snapshot_).empty();
    return std::move(published_);
  }

 private:
  bool is_complete() const { return cache_.is_as_verified(snapshot_, verified_, if_changed_); }

  Status publish_links() {
    std::vector<const RemoteFile*> wanted;
    std::map<Digest, int> users;
    std::set<std::string> parents = {layout_.snapshots};
    SnapshotLinks links(layout_, commit_);
    for (const RemoteFile& file : snapshot_.files) {
      std::string parent = parent_path(layout_.link(commit_, file.path));
      while (parents.insert(parent).second) parent = parent_path(parent);
      if (links.is_linked(file)) continue;
      wanted.push_back(&file);
      ++users[file.blob];
    }

    // Otherwise a power cut could give a blob its staging name back, and the link would dangle.
    // Links that exist may be another program's, from a moment ago.
    if (Status synced = directory_.sync(layout_.blobs); !synced && stat_path(layout_.blobs))
      return synced;
    if (!wanted.empty())
      if (Status made = make_links(wanted, parents, std::move(users)); !made) return made;

    return sync_parents(parents);
  }

  /// The ref comes after this: it must not survive a power cut that the links did not. The deepest
  /// first, so that a directory never appears before what is in it.
  Status sync_parents(const std::set<std::string>& parents) const {
    for (const std::string& parent : std::views::reverse(parents))
      if (Status synced = directory_.sync(parent); !synced && stat_path(parent)) return synced;

    // These may be another user's, who does not let us read them; then they are not new.
    for (const std::string* parent : {&layout_.repo, &directory_.path()})
      if (Status synced = directory_.sync(*parent);
          !synced && synced.error().kind != ErrorKind::permission && stat_path(*parent))
        return synced;
    return ok();
  }

  Status make_links(const std::vector<const RemoteFile*>& wanted,
                    const std::set<std::string>& parents, std::map<Digest, int> users) {
    for (const std::string& parent : parents)
      if (Status made = directory_.create_directories(parent); !made) return made;
    if (Status made = directory_.create_directories(layout_.own_directory); !made) return made;

    bool moved = false;
    for (const RemoteFile* file : wanted) {
      const std::string link = layout_.link(commit_, file->path);
      const std::string blob = layout_.blob(file->blob);
      const auto linked = directory_.link_atomically(link, link_target(file->path, file->blob),
                                                     layout_.own_directory);
      if (!linked && !stat_path(parent_path(link))) return ok();  // removed meanwhile: see `run`
      if (!linked) return linked.error();
      if (*linked) continue;

      // No symlinks here: the last user of the blob gets the file itself.
      const bool last = --users[file->blob] == 0;
      Status put = last ? directory_.rename(blob, link)
                        : directory_.copy_atomically(blob, link, layout_.own_directory);
      if (!put && !(lstat_path(blob) && stat_path(parent_path(link)))) return ok();
      if (!put) return put;
      moved = true;
    }
    if (moved)
      published_.warnings.push_back(
          "this file system has no symlinks: files are stored in each snapshot, and revisions do not share them");
    else if (Status right = check_names(); !right && is_complete())
      return right;
    return ok();
  }

  Status remove_markers() const {
    if (!stat_path(layout_.no_exist(commit_))) return ok();
    for (const RemoteFile& file : snapshot_.files)
      if (is_hidden(layout_, commit_, file.path))
        if (Status removed = directory_.remove(layout_.no_exist(commit_, file.path)); !removed)
          return removed;
    return ok();
  }

  /// Two names that differ on the Hub can be one here: some file systems ignore case.
  Status check_names() const {
    SnapshotLinks links(layout_, commit_);
    for (const RemoteFile& file : snapshot_.files)
      if (!links.is_linked(file))
        return Error{
            ErrorKind::io,
            fmt::format(
                "{} {}: this file system cannot tell its name from another file's (case or Unicode form)",
                repository_.id.text(), file.path.text()),
            "use a case-sensitive volume"};
    return ok();
  }

  Status publish_tree() const {
    if (!is_whole_commit(snapshot_) || has_right_tree(cache_, snapshot_)) return ok();

    const auto text = serialize_tree(snapshot_.listing);
    if (!text) return ok();

    // If nobody asked for the whole commit, it may do without a listing, as any other selection.
    const Status written = write_document(repository_, layout_.tree(commit_), *text);
    return snapshot_.spec.whole_commit ? written : ok();
  }

  Status publish_record() const {
    return update_record(repository_, commit_, [&](SnapshotRecord& record) {
      add_snapshot(record, snapshot_);
      for (const auto& [blob, verified] : verified_) record.blobs.insert_or_assign(blob, verified);
    });
  }

  const Cache& cache_;
  const ResolvedSnapshot& snapshot_;
  const VerifiedBlobs& verified_;
  const IfChanged if_changed_;
  const CommitId& commit_ = snapshot_.commit;
  const Repository& repository_ = cache_.repository(snapshot_.spec.repo);
  const Directory& directory_ = *repository_.directory;
  const CacheLayout& layout_ = repository_.layout;
  Publication published_;
};

}  // namespace

const Repository& Cache::repository(const RepoId& repo) const {
  return repositories_.try_emplace(repo, root_, root_, repo).first->second;
}

void Cache::adopt_existing(const RepoId& repo, Writing writing) {
  const CacheLayout cache(root_.path(), repo);
  if (is_directory(cache.repo)) return;

  const bool leads_somewhere = stat_path(cache.repo).has_value();
  for (const Directory& legacy : legacy_dirs_) {
    const std::string there = CacheLayout(legacy.path(), repo).repo;
    if (!is_directory(there)) continue;
    if (leads_somewhere && canonical_path(cache.repo) != there) continue;

    // Services look in the cache: without the link a download has brought them nothing.
    const std::string target = relative_path(there, root_.path());
    if (!leads_somewhere && writing == Writing::allowed &&
        (!root_.create_directories(cache.locks) ||
         !root_.link_atomically(cache.repo, target, cache.locks)))
      return;
    repositories_.insert_or_assign(repo, Repository(legacy, root_, repo));
    return;
  }
}

Cache::Content Cache::content(const RepoId& repo, const CommitId& commit,
                              const RemoteFile& file) const {
  const CacheLayout& layout = repository(repo).layout;
  const std::string blob = layout.blob(file.blob);
  if (const auto there = lstat_path(blob)) return {blob, there->is_file ? there : stat_path(blob)};

  const std::string link = layout.link(commit, file.path);
  const auto there = lstat_path(link);
  return there && there->is_file ? Content{link, there} : Content{blob};
}

FirstBytes Cache::first_bytes_of(const ResolvedSnapshot& snapshot) const {
  return [&](const RemoteFile& file) {
    constexpr std::size_t kFirstBytes = 64;
    const auto fd = open_for_reading(content(snapshot.spec.repo, snapshot.commit, file).path);
    return fd ? std::optional(read_beginning(*fd, kFirstBytes)) : std::nullopt;
  };
}

std::optional<SnapshotRecord> Cache::record(const RepoId& repo, const CommitId& commit) const {
  return read_record(repository(repo), commit);
}

std::optional<std::vector<RemoteFile>> Cache::tree(const RepoId& repo,
                                                   const CommitId& commit) const {
  return read_tree(repository(repo), commit);
}

std::optional<CommitId> Cache::ref(const RepoId& repo, const std::string& name) const {
  return read_ref(repository(repo), name);
}

void Cache::settle_ref(ResolvedSnapshot& snapshot) const {
  ModelSpec& spec = snapshot.spec;
  if (!spec.ref_if_unset) return;

  const auto there = ref(spec.repo, spec.ref);
  if (there && *there != snapshot.commit &&
      is_directory(repository(spec.repo).layout.snapshot(*there)))
    spec.ref = spec.revision.text();
}

SnapshotView Cache::inspect(const ResolvedSnapshot& snapshot,
                            const std::optional<SnapshotRecord>& known) const {
  const CommitId& commit = snapshot.commit;
  const Repository& repository = this->repository(snapshot.spec.repo);
  const CacheLayout& layout = repository.layout;
  const SnapshotRecord nothing;
  const SnapshotRecord& record = known ? *known : nothing;
  const bool has_markers = stat_path(layout.no_exist(commit)).has_value();
  SnapshotLinks links(layout, commit);
  const FolderView blobs(layout.blobs);
  SnapshotView view;
  for (const RemoteFile& file : snapshot.files) {
    FileView& file_view = view.files.emplace_back();
    file_view.linked = links.is_linked(file);
    file_view.hidden = has_markers && is_hidden(layout, commit, file.path);
    const auto blob = blobs.lstat(file.blob.hex());
    const bool has_blob = blob && blob->is_file;
    const auto [path, found] = has_blob ? Content{{}, blob} : content(repository.id, commit, file);
    if (found && found->is_file && found->size == file.size) {
      file_view.state = BlobState::unverified;
      file_view.is_copy = !has_blob && path != layout.blob(file.blob);
      const auto verified = record.blobs.find(file.blob);
      if (verified != record.blobs.end() && verified->second.covers(found->stamp()) &&
          vouches_for(verified->second, file.blob_spec())) {
        file_view.state = BlobState::trusted;
        file_view.verified = verified->second;
      }
    } else if (!found) {
      file_view.staged = staged_bytes(repository, file.blob, file.size);
    }
  }

  view.refs_correct = wrong_refs(*this, snapshot).empty();
  view.tree_correct = !snapshot.spec.whole_commit ||
                      (known && is_older(layout.tree(commit), layout.record(commit))) ||
                      has_right_tree(*this, snapshot) || !can_serialize_tree(snapshot.listing);
  view.recorded =
      known && (snapshot.listing.empty() || snapshot.listing_unproven || !known->listing.empty());
  view.is_signed =
      !snapshot.spec.signer || is_signed(record, *snapshot.spec.signer, snapshot.files);
  return view;
}

Status Cache::probe_writing(const RepoId& repo) const {
  const auto& [id, layout, directory, lock_directory] = repository(repo);
  const bool has_locks = stat_path(layout.lock_directory).has_value();
  if (Status probed = probe(root_, has_locks ? layout.lock_directory : layout.locks); !probed) {
    Error error = probed.error();
    error.of_one_item = has_locks;
    return error;
  }

  for (const std::string& path : {layout.own_directory, layout.blobs}) {
    if (!lstat_path(parent_path(path))) continue;
    if (Status probed = probe(*directory, path); !probed) {
      Error error = probed.error();
      error.of_one_item = true;
      return error;
    }
  }
  return ok();
}

Status Cache::create_repo_dirs(const RepoId& repo) const {
  const Directory& directory = *repository(repo).directory;
  const CacheLayout& layout = repository(repo).layout;
  if (Status made = root_.create_directories(layout.lock_directory); !made) return made;

  if (!lstat_path(layout.repo)) {
    // scan_cache_dir reports a repository without `snapshots/` as broken, so that the directory
    // appears together with it, by one rename.
    const std::string temporary = temporary_name(layout.locks, "repo");
    if (Status made = directory.create_directories(temporary + "/snapshots"); !made) return made;
    if (!directory.rename(temporary, layout.repo))  // another process was faster
      remove_temporary(directory, temporary);
  }
  for (const std::string& needed : {layout.snapshots, layout.blobs, layout.own_directory})
    if (Status made = directory.create_directories(needed); !made) return made;

  for (const std::string& swept : {layout.own_directory, layout.blobs})
    sweep_temporary_files(directory, swept);
  for (const std::string& swept : {layout.locks, layout.lock_directory})
    sweep_temporary_files(root_, swept);
  return ok();
}

Result<Publication> Cache::publish(const ResolvedSnapshot& snapshot, const VerifiedBlobs& verified,
                                   IfChanged if_changed) const {
  return Publisher(*this, snapshot, verified, if_changed).run();
}

bool Cache::is_as_verified(const ResolvedSnapshot& snapshot, const VerifiedBlobs& verified,
                           IfChanged if_changed) const {
  const CacheLayout& layout = repository(snapshot.spec.repo).layout;
  return std::ranges::all_of(snapshot.files, [&](const RemoteFile& file) {
    const auto there = stat_path(layout.link(snapshot.commit, file.path));
    if (!there || there->size != file.size) return false;
    if (if_changed == IfChanged::ignore) return true;

    const auto hashed = verified.find(file.blob);
    return hashed != verified.end() && hashed->second.covers(there->stamp());
  });
}

Status Cache::distrust(const RepoId& repo, const CommitId& commit,
                       const std::set<Digest>& blobs) const {
  if (!record(repo, commit)) return ok();
  return update_record(repository(repo), commit, [&](SnapshotRecord& record) {
    std::erase_if(record.blobs, [&](const auto& entry) { return blobs.contains(entry.first); });
  });
}

Result<std::string> Cache::quarantine(const RepoId& repo, const std::string& path) const {
  const Directory& directory = *repository(repo).directory;
  const std::string& quarantine = repository(repo).layout.quarantine;
  if (Status made = directory.create_directories(quarantine); !made) return made.error();

  const std::string to = quarantine + "/" + random_hex(8) + "-" + file_name(path);
  if (Status moved = directory.rename(path, to); !moved) return moved.error();
  return to;
}

Warnings Cache::link_legacy_dirs(const RepoId& repo) const {
  const std::string real = canonical_path(repository(repo).layout.repo);
  std::vector<const Directory*> places;
  for (const Directory& legacy : legacy_dirs_) places.push_back(&legacy);
  if (repository(repo).directory != &root_) places.push_back(&root_);

  Warnings warnings;
  for (const Directory* place : places) {
    const std::string link = CacheLayout(place->path(), repo).repo;
    const auto there = lstat_path(link);
    if (there && canonical_path(link) == real && stat_path(link)) continue;
    if (there && !there->is_link) {
      warnings.push_back(fmt::format(
          "{} is a separate directory, not a link to {}: services that read it see an older copy",
          link, real));
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
