// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/staging.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include <fmt/format.h>

namespace model_prep {
namespace {

constexpr std::size_t kLargestResume = 64 * 1024;
constexpr std::int64_t kCopyStep = 32 * 1024 * 1024;  // a signal waits for no more

/// What of a staging file can be gone on with. The record may be ahead of a file that was cut: then
/// it is worth nothing. A file with a second name could be anybody's.
RangeSet usable(const ResumeRecord& record, const std::string& staging, std::int64_t size) {
  const auto staged = lstat_path(staging);
  if (!staged || !staged->is_file || staged->link_count != 1 || record.size != size) return {};
  if (!record.have.contains({0, 0}) || staged->size > size) return {};
  RangeSet beyond = record.have;
  beyond.remove({0, staged->size});
  return beyond.empty() ? record.have : RangeSet{};
}

/// A full disk or quota is told before the first byte and not after the thirtieth gigabyte. The
/// file's size stays 0: only what was written counts. Where there is no fallocate(2) the writes
/// will tell. In memory it would cost as much as writing, before the first byte, and free space
/// needs no reserving to be known there.
Status reserve(int fd, std::int64_t size, const std::string& path) {
  struct statfs volume{};
  const bool in_memory = fstatfs(fd, &volume) == 0 && volume.f_type == TMPFS_MAGIC;
  if (in_memory || size < Staging::kClaimed || fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, size) == 0)
    return ok();
  const bool no_room = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
  return no_room ? Status(io_error("reserve space for", path, errno)) : ok();
}

}  // namespace

WriterIdentity WriterIdentity::make() {
  return {host_and_pid(), WriterTag::make(machine_name(), random_hex(8))};
}

Staging::Staging(Where where, const WriterIdentity& self)
    : where_(std::move(where)),
      resume_path_(where_.layout.resume(where_.repo, where_.blob)),
      blob_path_(where_.layout.blob(where_.repo, where_.blob)),
      tag_(self.tag),
      record_{self.name, self.tag, self.tag, 0, where_.size, {}} {
  path_ = staging_path();
}

Result<std::variant<Staging, Staging::OwnedByOther>> Staging::open(Where where,
                                                                   const WriterIdentity& self,
                                                                   const OpenRequest& asked) {
  using Opened = std::variant<Staging, OwnedByOther>;
  Staging staging(std::move(where), self);
  const auto text = read_file(staging.resume_path_, kLargestResume);
  auto record = text ? parse_resume(*text) : std::nullopt;
  if (record && asked.begin == Begin::fresh) record->have = {};
  if (record && record->writer == self.tag) {
    staging.claimed_ = true;
    staging.record_ = *record;
    staging.path_ = staging.staging_path();
    Status begun = staging.go_on(*record);
    if (!begun) return begun.error();
    return Opened(std::move(staging));
  }
  const bool torn = !record && lstat_path(staging.resume_path_);
  const ClaimDecision claim =
      decide_claim({record, torn, asked.lock_excludes, asked.writer_timed_out}, self.tag);
  const bool small = staging.where_.size < kClaimed;
  if (claim == ClaimDecision::wait && !small)
    return Opened(
        OwnedByOther{record ? "process " + record->owner : "another process", text.value_or("")});
  if (claim == ClaimDecision::begin && !small) {
    const auto claimed = staging.claim_new();
    if (!claimed) return claimed.error();
    if (!*claimed) return Opened(OwnedByOther{"another process", ""});  // it was faster: look again
  }
  Status begun = ok();
  if (claim == ClaimDecision::go_on)
    begun = staging.go_on(*record);
  else if (claim == ClaimDecision::copy)
    begun = staging.begin_copy(*record);
  else
    begun = staging.begin_fresh();
  if (!begun) return begun.error();
  return Opened(std::move(staging));
}

/// A new file always: the old one could be published by now, or somebody else's.
Status Staging::begin_fresh() {
  fd_ = UniqueFd();
  if (Status removed = where_.folder.remove(path_); !removed) return removed;
  record_.file = tag_;
  record_.have = {};
  path_ = staging_path();
  if (Status removed = where_.folder.remove(path_); !removed) return removed;
  auto fd = where_.folder.open_file(path_, O_RDWR | O_CREAT | O_EXCL);
  if (!fd) return fd.error();
  fd_ = std::move(*fd);
  if (Status reserved = reserve(fd_.get(), where_.size, path_); !reserved) return reserved;
  if (!claimed_) return ok();
  const auto saved =
      save({});  // the ranges of the file that was there before must not be read as this one's
  return saved ? ok() : Status(saved.error());
}

Status Staging::go_on(const ResumeRecord& theirs) {
  const std::string path = where_.layout.staging(where_.repo, where_.blob, theirs.file);
  const RangeSet have = usable(theirs, path, where_.size);
  record_.beat = theirs.beat;
  record_.file = theirs.file;
  record_.have = have;
  if (Status claimed = claim_over(record_); !claimed) return claimed;
  path_ = path;  // which begin_fresh removes
  auto fd = have.empty() ? Result<UniqueFd>(Error{}) : where_.folder.open_file(path, O_RDWR);
  if (!fd) return begin_fresh();
  fd_ = std::move(*fd);
  return ok();
}

/// First the claim, with their file and ranges still in it, so that a kill in the middle of the
/// copy loses nothing.
Status Staging::begin_copy(const ResumeRecord& theirs) {
  Source source{{}, where_.layout.staging(where_.repo, where_.blob, theirs.file), record_, {}};
  source.left = usable(theirs, source.path, where_.size);
  source.record.file = theirs.file;
  source.record.beat = theirs.beat;
  source.record.have = source.left;
  if (Status claimed = claim_over(source.record); !claimed) return claimed;
  auto fd = source.left.empty() ? Result<UniqueFd>(Error{})
                                : where_.folder.open_file(source.path, O_RDONLY);
  if (!fd) {
    if (Status removed = where_.folder.remove(source.path); !removed) return removed;
    return begin_fresh();
  }
  claimed_ = false;  // the record on disk stays as it is until all is copied
  if (Status begun = begin_fresh(); !begun) return begun;
  claimed_ = true;
  source.fd = std::move(*fd);
  source_ = std::move(source);
  return ok();
}

Status Staging::copy_some() {
  if (auto range = source_->left.first()) {
    range->end = std::min(range->end, range->begin + kCopyStep);
    Status copied = copy_bytes(source_->fd.get(), fd_.get(), range->begin, range->end, path_);
    if (!copied && copied.error().kind != ErrorKind::io) return copied;
    if (copied) record_.have.add(*range);
    source_->left.remove(
        copied ? *range : ByteRange{0, where_.size});  // else what was copied so far will do
    const auto beaten = put(source_->record);
    if (!beaten) return beaten.error();
    if (*beaten == Held::yes && !source_->left.empty()) return ok();
  }
  const std::string done = source_->path;
  record_.beat = source_->record.beat;
  source_.reset();
  const auto saved = save(record_.have);
  if (!saved) return saved.error();
  return where_.folder.remove(done);
}

/// False: somebody else has made one meanwhile.
Result<bool> Staging::claim_new() {
  if (lstat_path(resume_path_)) {  // unreadable
    Status over = claim_over(record_);
    return over ? Result<bool>(true) : over.error();
  }
  const auto fd = where_.folder.open_file(resume_path_, O_WRONLY | O_CREAT | O_EXCL);
  if (!fd && lstat_path(resume_path_)) return false;
  if (!fd) return fd.error();
  if (Status written = write_at(fd->get(), serialize_resume(record_), 0, resume_path_); !written)
    return written.error();
  claimed_ = true;
  return true;
}

/// By a rename: whoever has the old record open writes into a file without a name.
Status Staging::claim_over(const ResumeRecord& record) {
  claimed_ = true;
  return where_.folder.write_atomically(resume_path_, serialize_resume(record),
                                        where_.layout.own_folder(where_.repo));
}

bool Staging::still_named() const {
  const auto named = lstat_path(path_);
  const auto held = stat_path(fd_.get());
  return named && held && held->is_same_file(*named);
}

Result<Staging::Held> Staging::save(const RangeSet& have) {
  if (!still_named()) return Held::pruned;
  record_.have = have;
  return put(record_);
}

Result<Staging::Held> Staging::put(ResumeRecord& record) {
  ++record.beat;
  const auto fd = where_.folder.open_file(resume_path_, O_RDWR);
  if (!fd) {
    if (lstat_path(resume_path_)) return fd.error();
    const auto claimed = claim_new();
    if (!claimed) return claimed.error();
    return *claimed || where_.size < kClaimed ? Held::yes : Held::taken;
  }
  const auto text = read_file(fd->get(), kLargestResume);
  const auto there = text ? parse_resume(*text) : std::nullopt;
  if (there && there->writer != tag_) return claimed_ ? Held::taken : Held::yes;
  if (Status written = write_at(fd->get(), serialize_resume(record), 0, resume_path_); !written)
    return written.error();
  claimed_ = true;
  return Held::yes;
}

Result<UniqueFd> Staging::reader() const {
  UniqueFd copy(fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0));
  if (!copy) return io_error("open", path_, errno);
  return copy;
}

Result<bool> Staging::publish() {
  if (!still_named()) return false;
  if (Status renamed = where_.folder.rename(path_, blob_path_); !renamed) {
    if (!lstat_path(path_)) return false;
    return renamed.error();
  }
  // Without this a power cut could bring the staging name back: harmless, but the links would
  // dangle.
  if (Status synced = where_.folder.sync(parent_path(blob_path_)); !synced) return synced.error();
  if (claimed_)
    if (Status removed = where_.folder.remove(resume_path_); !removed) return removed.error();
  return true;
}

Status Staging::drop() {
  if (claimed_)
    if (Status removed = where_.folder.remove(resume_path_); !removed) return removed;
  return where_.folder.remove(path_);
}

std::optional<ResumeRecord> read_resume(const CacheLayout& layout, const RepoId& repo,
                                        const Digest& blob) {
  const auto text = read_file(layout.resume(repo, blob), kLargestResume);
  return text ? parse_resume(*text) : std::nullopt;
}

std::int64_t staged_bytes(const CacheLayout& layout, const RepoId& repo, const Digest& blob,
                          std::int64_t size) {
  const auto record = read_resume(layout, repo, blob);
  return record ? usable(*record, layout.staging(repo, blob, record->file), size).total() : 0;
}

std::string staging_owner(const CacheLayout& layout, const RepoId& repo, const Digest& blob) {
  const auto record = read_resume(layout, repo, blob);
  return record ? "process " + record->owner : "another process";
}

}  // namespace model_prep
