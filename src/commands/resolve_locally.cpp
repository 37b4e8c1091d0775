// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/resolve_locally.h"

#include <algorithm>

#include <fmt/format.h>

#include "model_prep/core/hub_json.h"
#include "model_prep/core/weight_checks.h"
#include "model_prep/io/hasher.h"

namespace model_prep {
namespace {

Result<ResolvedSnapshot> locked_snapshot(const ModelSpec& spec, const CommitId& commit,
                                         Listing listing) {
  if (spec.lock.empty()) return nothing_selected_error(spec);
  ResolvedSnapshot snapshot{spec, commit, locked_files(spec), std::move(listing.files),
                            std::move(listing.unusable)};
  if (Status complete = check_openvino(snapshot.files, spec); !complete) return complete.error();
  if (!spec.whole_commit || !snapshot.listing.empty()) return snapshot;

  // A lock of the whole commit is its listing. What it lacks is the tree's id of an LFS file, which
  // is the hash of the pointer, whose text is known.
  snapshot.listing = snapshot.files;
  for (RemoteFile& file : snapshot.listing)
    if (!file.oid) file.oid = git_sha1_of(lfs_pointer_text(file.blob, file.size));
  return snapshot;
}

/// What is known without a request of the files that decide.
struct CachedFacts {
  DecidingFacts facts;

  /// Those that the cache does not have with the right content.
  std::vector<RepoPath> missing{};
};

CachedFacts read_cached(const ModelSpec& spec, const Listing& listing, const ReadFile& read) {
  CachedFacts cached;
  const auto deciding = deciding_files(listing, spec);
  const auto all = deciding.empty() ? std::vector<ListedFile>() : listed_files(listing);
  for (const RemoteFile& file : deciding) {
    const auto text = read(file);
    const bool is_right = text && is_content_of(file, *text);
    if (!is_right || !read_deciding_file(cached.facts, file.path, *text, all, spec.repo.text()))
      cached.missing.push_back(file.path);
  }
  return cached;
}

/// No library reads `.gitattributes`, so a volume that was filled without it is not incomplete.
void leave_git_attributes(ResolvedSnapshot& snapshot,
                          const std::function<bool(const RemoteFile&)>& is_there) {
  if (!snapshot.spec.filter.select_weights_automatically) return;

  std::erase_if(snapshot.files, [&](const RemoteFile& file) {
    return file.path.text() == ".gitattributes" && !is_there(file);
  });
}

ReadFile reader_of(const Cache& cache, const RepoId& repo, const CommitId& commit) {
  return [&](const RemoteFile& file) {
    return read_file(cache.content(repo, commit, file).path, kMaxDecidingFile);
  };
}

}  // namespace

Digest digest_of(std::string_view bytes, DigestKind kind) {
  return kind == DigestKind::git_sha1 ? git_sha1_of(bytes) : sha256_of(bytes);
}

bool is_content_of(const RemoteFile& file, std::string_view bytes) {
  return digest_of(bytes, file.blob.kind()) == file.blob;
}

Result<ResolvedSnapshot> select_snapshot(const ModelSpec& wanted, const CommitId& commit,
                                         Listing listing, const DecidingFacts& facts) {
  auto selection = select_files(listing, wanted, facts);
  if (!selection) return selection.error();

  ModelSpec spec = wanted;
  spec.variant = selection->variant;
  if (Status locked = apply_lock(selection->files, spec); !locked) return locked.error();

  // Without the digests of the masked files it is no listing of the whole commit.
  if (!listing.masked.empty()) listing = {};
  return ResolvedSnapshot{spec, commit, std::move(selection->files), std::move(listing.files),
                          std::move(listing.unusable)};
}

std::optional<Resolution> resolve_commit_locally(const ModelSpec& spec, const CommitId& commit,
                                                 const Cache& cache, Network network) {
  auto record = cache.record(spec.repo, commit);
  Listing listing;
  if (record) {
    listing.files = record->listing;
    listing.unusable = record->unusable;
  }
  if (spec.fully_locked)
    return Resolution{locked_snapshot(spec, commit, std::move(listing)), std::move(record)};

  if (network == Network::required) return std::nullopt;
  const bool unproven = listing.files.empty() && network == Network::forbidden;
  if (unproven && record) listing.files = record->claimed;
  if (auto tree = unproven && listing.files.empty() ? cache.tree(spec.repo, commit) : std::nullopt)
    listing.files = std::move(*tree);
  if (listing.files.empty()) return std::nullopt;

  // Offline, the names of the files have to do. A deciding file that is missing or damaged is
  // reported when the files are inspected.
  const CachedFacts cached = read_cached(spec, listing, reader_of(cache, spec.repo, commit));
  auto snapshot = select_snapshot(spec, commit, std::move(listing), cached.facts);

  // One that is not wanted after all was read before that was known, and is not kept.
  const auto is_wanted = [&](const RepoPath& path) {
    return !snapshot ||
           std::ranges::find(snapshot->files, path, &RemoteFile::path) != snapshot->files.end();
  };
  if (network == Network::allowed && std::ranges::any_of(cached.missing, is_wanted))
    return std::nullopt;
  if (snapshot && record)
    leave_git_attributes(*snapshot,
                         [&](const RemoteFile& file) { return record->blobs.contains(file.blob); });
  if (snapshot) snapshot->listing_unproven = unproven;
  if (snapshot) snapshot->listing_claimed = unproven && record && !record->claimed.empty();
  return Resolution{std::move(snapshot), std::move(record)};
}

Resolution resolve_listing(const ModelSpec& spec, const CommitId& commit, Listing listing,
                           const ReadFile& read) {
  const CachedFacts known = read_cached(spec, listing, read);
  auto snapshot = select_snapshot(spec, commit, std::move(listing), known.facts);
  if (snapshot) {
    snapshot->listing_unproven = snapshot->listing_claimed = true;
    leave_git_attributes(*snapshot, [&](const RemoteFile& file) { return read(file).has_value(); });
  }
  return Resolution{std::move(snapshot)};
}

std::optional<CommitId> cached_commit(const ModelSpec& spec, const Cache& cache) {
  const auto pinned = spec.revision.commit();
  return pinned ? pinned : cache.ref(spec.repo, spec.revision.text());
}

Error offline_missing(const std::string& object) {
  return {ErrorKind::offline_missing, object + " is not in the cache, and this run is offline",
          "run once online: without --offline, HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE"};
}

std::optional<Resolution> resolve_locally(const ModelSpec& spec, const Cache& cache,
                                          Network network) {
  // A ref in the cache may be outdated, so it counts only without a network.
  const bool offline = network == Network::forbidden;
  const auto commit = offline ? cached_commit(spec, cache) : spec.revision.commit();
  auto local = commit ? resolve_commit_locally(spec, *commit, cache, network) : std::nullopt;
  if (local || !offline) return local;

  const std::string missing =
      commit ? fmt::format("the file list of commit {}", commit->hex().substr(0, 12))
             : "revision " + spec.revision.text();
  return Resolution{offline_missing(spec.repo.text() + ": " + missing)};
}

}  // namespace model_prep
