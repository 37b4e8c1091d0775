// SPDX-License-Identifier: Apache-2.0
#include "model_prep/effects/cache.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <set>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

namespace model_prep {
namespace {

constexpr std::string_view kResumeMark = "model-prep-1";
constexpr std::size_t kLargestResume = 64 * 1024;
constexpr std::size_t kLargestDocument = 256 * 1024 * 1024;  // a record of a million files

/// `model-prep-1 <owner> <size> <ranges>`
struct ResumeLine {
  std::string owner;
  std::int64_t size{0};
  RangeSet have;
};

std::optional<ResumeLine> read_resume(const std::string& path) {
  const auto content = read_file(path, kLargestResume);
  if (!content) return std::nullopt;
  std::string_view line = std::string_view(*content).substr(0, content->find('\n'));
  if (line.size() == content->size()) return std::nullopt;  // no end of line: torn
  std::vector<std::string_view> words;
  for (std::size_t space; (space = line.find(' ')) != std::string_view::npos; line.remove_prefix(space + 1))
    words.push_back(line.substr(0, space));
  words.push_back(line);
  if (words.size() != 4 || words[0] != kResumeMark) return std::nullopt;
  ResumeLine resume{.owner = std::string(words[1]), .size = 0, .have = {}};
  const auto [end, error] = std::from_chars(words[2].data(), words[2].data() + words[2].size(), resume.size);
  if (error != std::errc{} || end != words[2].data() + words[2].size()) return std::nullopt;
  const auto have = RangeSet::parse(words[3], resume.size);
  if (!have) return std::nullopt;
  resume.have = *have;
  return resume;
}

/// What of a staging file can be gone on with. The record may be ahead of a file that was cut: then it is worth
/// nothing.
RangeSet resumable(const std::string& staging, const std::string& resume_path, std::int64_t size) {
  const auto resume = read_resume(resume_path);
  const auto staged = own_facts(staging);
  if (!resume || !staged || staged->is_link || staged->is_folder || resume->size != size) return {};
  if (!resume->have.contains({0, 0}) || staged->size > size) return {};
  RangeSet beyond = resume->have;
  beyond.remove({0, staged->size});
  return beyond.empty() ? resume->have : RangeSet{};
}

bool is_real_folder(const std::string& path) {
  const auto found = own_facts(path);
  return found && found->is_folder;
}

/// Folders of the paths in a snapshot, the snapshot's own included, deepest last.
std::set<std::string> folders_of(const ResolvedSnapshot& snapshot, const CacheLayout& layout) {
  std::set<std::string> folders;
  for (const RemoteFile& file : snapshot.files)
    folders.insert(parent_of(layout.link(snapshot.spec.repo, snapshot.commit, file.path)));
  return folders;
}

Status probe_folder(const std::string& folder) {
  if (Status made = make_folders(folder); !made) return made;
  const std::string probe = temporary_name(folder, "probe");
  auto fd = open_file(probe, O_WRONLY | O_CREAT | O_EXCL);
  if (!fd) return fd.error();
  return remove_file(probe);
}

}  // namespace

Result<Staging> Staging::open(const CacheLayout& layout, const RepoId& repo, const Digest& blob, std::int64_t size,
                              const std::string& owner, Begin begin) {
  Staging staging;
  staging.path_ = layout.staging(repo, blob);
  staging.resume_path_ = layout.resume(repo, blob);
  staging.blob_path_ = layout.blob(repo, blob);
  staging.owner_ = owner;
  staging.size_ = size;
  if (begin == Begin::resume) staging.have_ = resumable(staging.path_, staging.resume_path_, size);
  if (Status made = make_folders(layout.blobs(repo)); !made) return made.error();
  const int restart = staging.have_.empty() ? O_TRUNC : 0;
  auto fd = open_file(staging.path_, O_RDWR | O_CREAT | O_NOFOLLOW | restart);
  if (!fd) return fd.error();
  staging.fd_ = std::move(*fd);
  if (restart != 0)
    if (Status removed = remove_file(staging.resume_path_); !removed) return removed.error();
  return staging;
}

Status Staging::save(const RangeSet& have) {
  const std::string line = fmt::format("{} {} {} {}\n", kResumeMark, owner_, size_, have.text());
  auto fd = open_file(resume_path_, O_WRONLY | O_CREAT | O_NOFOLLOW);
  if (!fd) return fd.error();
  return write_at(fd->get(), line, 0, resume_path_);
}

Result<UniqueFd> Staging::reader() const {
  UniqueFd copy(fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0));
  if (!copy) return io_error("open", path_, errno);
  return copy;
}

Result<bool> Staging::publish() {
  const auto named = own_facts(path_);
  const auto held = facts(fd_.get());
  if (!named || !held || named->inode != held->inode) return false;
  if (Status renamed = rename_path(path_, blob_path_); !renamed) {
    if (!own_facts(path_)) return false;
    return renamed.error();
  }
  // Without this a power cut could bring the staging name back: harmless, but the links would dangle.
  if (Status synced = sync_folder(parent_of(blob_path_)); !synced) return synced.error();
  if (Status removed = remove_file(resume_path_); !removed) return removed.error();
  return true;
}

Status Staging::drop() {
  if (Status removed = remove_file(resume_path_); !removed) return removed;
  return remove_file(path_);
}

std::string staging_owner(const CacheLayout& layout, const RepoId& repo, const Digest& blob) {
  const auto resume = read_resume(layout.resume(repo, blob));
  return resume ? "process " + resume->owner : "another process";
}

Cache::Cache(std::string root, std::vector<std::string> views) : layout_(std::move(root)), views_(std::move(views)) {}

const CacheLayout& Cache::layout(const RepoId& repo) const {
  const auto found = elsewhere_.find(repo);
  return found == elsewhere_.end() ? layout_ : found->second;
}

void Cache::adopt(const RepoId& repo, Writing writing) {
  const std::string here = layout_.repo(repo);
  if (facts(here)) return;
  for (const std::string& view : views_) {
    if (!is_real_folder(CacheLayout(view).repo(repo))) continue;
    const std::string text = relative_path(CacheLayout(view).repo(repo), layout_.root());
    const bool linked =
        writing == Writing::allowed && make_folders(layout_.locks()) && link_atomically(here, text, layout_.locks());
    if (!linked) elsewhere_.emplace(repo, CacheLayout(view));
    return;
  }
}

std::optional<Record> Cache::record(const RepoId& repo, const CommitId& commit) const {
  const auto text = read_file(layout(repo).record(repo, commit), kLargestDocument);
  return text ? parse_record(*text) : std::nullopt;
}

std::optional<std::vector<RemoteFile>> Cache::tree(const RepoId& repo, const CommitId& commit) const {
  const auto text = read_file(layout(repo).tree(repo, commit), kLargestDocument);
  return text ? parse_tree(*text) : std::nullopt;
}

std::optional<CommitId> Cache::ref(const RepoId& repo, const std::string& name) const {
  const auto text = read_file(layout(repo).ref(repo, name), 64);
  const auto commit = text ? CommitId::parse(*text) : Result<CommitId>(Error{});
  return commit ? std::optional(*commit) : std::nullopt;
}

bool Cache::refs_right(const ResolvedSnapshot& snapshot) const {
  const auto refs = refs_of(snapshot.spec, snapshot.commit);
  return std::all_of(refs.begin(), refs.end(),
                     [&](const std::string& name) { return ref(snapshot.spec.repo, name) == snapshot.commit; });
}

SnapshotView Cache::look(const ResolvedSnapshot& snapshot) const {
  const RepoId& repo = snapshot.spec.repo;
  const CacheLayout& at = layout(repo);
  const auto known = record(repo, snapshot.commit);
  SnapshotView view;
  for (const RemoteFile& file : snapshot.files) {
    FileView one;
    one.linked = link_text(at.link(repo, snapshot.commit, file.path)) == link_target(file.path, file.blob);
    const auto found = facts(at.blob(repo, file.blob));
    if (found && !found->is_folder && found->size == file.size) {
      one.state = BlobState::unverified;
      const auto verified = known ? known->blobs.find(file.blob) : std::map<Digest, VerifiedBlob>::const_iterator();
      if (known && verified != known->blobs.end() && verified->second.size == found->size &&
          verified->second.mtime_ns == found->mtime_ns) {
        one.state = BlobState::trusted;
        one.sha256 = verified->second.sha256;
      }
    } else if (!found) {
      one.staged = resumable(at.staging(repo, file.blob), at.resume(repo, file.blob), file.size).total();
    }
    view.files.push_back(std::move(one));
  }
  view.refs_right = refs_right(snapshot);
  view.tree_right = !snapshot.spec.whole_commit || tree(repo, snapshot.commit) || !tree_text(snapshot.listing);
  view.recorded = known && (snapshot.listing.empty() || !known->listing.empty());
  return view;
}

Status Cache::probe_writing(const RepoId& repo) const {
  const CacheLayout& at = layout(repo);
  std::vector<std::string> folders = {at.locks()};
  if (facts(at.lock_folder(repo))) folders = {at.lock_folder(repo)};
  if (facts(at.repo(repo))) folders.push_back(at.own_folder(repo));
  if (facts(at.blobs(repo))) folders.push_back(at.blobs(repo));
  for (const std::string& folder : folders)
    if (Status probed = probe_folder(folder); !probed)
      return Error{probed.error().kind,
                   fmt::format("the cache {} is not writable: {}", at.root(), probed.error().message),
                   probed.error().hint};
  return ok();
}

Status Cache::make_repo(const RepoId& repo) const {
  const CacheLayout& at = layout(repo);
  if (Status made = make_folders(at.lock_folder(repo)); !made) return made;
  if (!facts(at.snapshots(repo)) && !facts(at.repo(repo))) {
    // A repository without `snapshots/` is reported as broken by scan_cache_dir: it appears with it, by one rename.
    const std::string temporary = temporary_name(at.locks(), "repo");
    if (Status made = make_folders(temporary + "/snapshots"); !made) return made;
    if (rename(temporary.c_str(), at.repo(repo).c_str()) != 0) {
      rmdir((temporary + "/snapshots").c_str());  // another process was faster
      rmdir(temporary.c_str());
    }
  }
  for (const std::string& folder : {at.snapshots(repo), at.blobs(repo), at.own_folder(repo)})
    if (Status made = make_folders(folder); !made) return made;
  return ok();
}

Result<Warnings> Cache::publish(const ResolvedSnapshot& snapshot, const std::map<Digest, Digest>& sha256) const {
  if (Status done = publish_links(snapshot); !done) return done.error();
  if (Status done = publish_tree(snapshot); !done) return done.error();
  Warnings warnings;
  // The record only saves the next run some hashing: a volume that cannot take it is still a good cache.
  if (Status done = publish_record(snapshot, sha256); !done)
    warnings.push_back("the next run will have to hash this model again: " + done.error().message);
  if (Status done = publish_refs(snapshot); !done) return done.error();
  return warnings;
}

Status Cache::publish_links(const ResolvedSnapshot& snapshot) const {
  const RepoId& repo = snapshot.spec.repo;
  const CacheLayout& at = layout(repo);
  bool changed = false;
  for (const RemoteFile& file : snapshot.files) {
    const std::string link = at.link(repo, snapshot.commit, file.path);
    const std::string target = link_target(file.path, file.blob);
    if (link_text(link) == target) continue;
    changed = true;
    for (const std::string& folder : {parent_of(link), at.own_folder(repo)})
      if (Status made = make_folders(folder); !made) return made;
    if (Status linked = link_atomically(link, target, at.own_folder(repo)); !linked) return linked;
  }
  if (!changed) return ok();
  // The ref comes after this: it must not survive a power cut that the links did not.
  for (const std::string& folder : folders_of(snapshot, at))
    if (Status synced = sync_folder(folder); !synced) return synced;
  return sync_folder(at.snapshots(repo));
}

Status Cache::publish_tree(const ResolvedSnapshot& snapshot) const {
  const RepoId& repo = snapshot.spec.repo;
  if (!snapshot.spec.whole_commit || tree(repo, snapshot.commit)) return ok();
  const auto text = tree_text(snapshot.listing);
  if (!text) return ok();
  const std::string path = layout(repo).tree(repo, snapshot.commit);
  for (const std::string& folder : {parent_of(path), layout(repo).own_folder(repo)})
    if (Status made = make_folders(folder); !made) return made;
  return write_atomically(path, *text, layout(repo).own_folder(repo));
}

Status Cache::publish_record(const ResolvedSnapshot& snapshot, const std::map<Digest, Digest>& sha256) const {
  const RepoId& repo = snapshot.spec.repo;
  const CacheLayout& at = layout(repo);
  const auto before = record(repo, snapshot.commit);
  Record record = before.value_or(Record{});
  if (!snapshot.listing.empty()) record.listing = snapshot.listing;
  for (const RemoteFile& file : snapshot.files) {
    const auto digest = sha256.find(file.blob);
    const auto found = facts(at.blob(repo, file.blob));
    if (digest == sha256.end() || !found) continue;
    record.blobs.insert_or_assign(file.blob, VerifiedBlob{found->size, found->mtime_ns, digest->second});
  }
  const std::string text = record_text(record);
  if (before && record_text(*before) == text) return ok();
  if (Status made = make_folders(at.own_folder(repo)); !made) return made;
  return write_atomically(at.record(repo, snapshot.commit), text, at.own_folder(repo));
}

Status Cache::publish_refs(const ResolvedSnapshot& snapshot) const {
  const RepoId& repo = snapshot.spec.repo;
  for (const std::string& name : refs_of(snapshot.spec, snapshot.commit)) {
    if (ref(repo, name) == snapshot.commit) continue;
    const std::string path = layout(repo).ref(repo, name);
    for (const std::string& folder : {parent_of(path), layout(repo).own_folder(repo)})
      if (Status made = make_folders(folder); !made) return made;
    if (Status done = write_atomically(path, snapshot.commit.hex(), layout(repo).own_folder(repo)); !done) return done;
  }
  return ok();
}

Warnings Cache::link_views(const RepoId& repo) const {
  Warnings warnings;
  const std::string real = canonical_path(layout(repo).repo(repo));
  std::vector<std::string> places = views_;
  if (elsewhere_.contains(repo)) places.push_back(layout_.root());
  for (const std::string& place : places) {
    const std::string link = CacheLayout(place).repo(repo);
    const auto there = own_facts(link);
    if (there && canonical_path(link) == real && facts(link)) continue;
    if (there && !there->is_link) {
      warnings.push_back(
          fmt::format("{} is a folder of its own beside {}: services that look there see an older copy", link, real));
      continue;
    }
    Status linked = make_folders(place);
    if (linked) linked = link_atomically(link, relative_path(real, canonical_path(place)), place);
    if (!linked)
      warnings.push_back(
          fmt::format("services that look in {} will not find {}: {}", place, repo.text(), linked.error().message));
  }
  return warnings;
}

}  // namespace model_prep
