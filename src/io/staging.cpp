// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/staging.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <sys/vfs.h>

#include <linux/magic.h>

namespace model_prep {
namespace {

constexpr Bytes kCopyStep = 32 * 1024 * 1024;  // a signal waits no longer than this takes

std::string owner_name(const std::optional<ResumeRecord>& record) {
  return record ? "process " + record->owner : "another process";
}

/// Which bytes of a staging file can be used. A record that claims more than the file holds,
/// because somebody truncated it, is worth nothing. A file with a second name could be anybody's.
RangeSet usable(const ResumeRecord& record, const std::string& staging, Bytes size) {
  const auto staged = lstat_path(staging);
  if (!staged || !staged->is_file || staged->link_count != 1 || record.size != size) return {};
  if (staged->size > size) return {};

  RangeSet beyond = record.have;
  beyond.remove({0, staged->size});
  return beyond.empty() ? record.have : RangeSet{};
}

/// Reports a full disk or quota before the first byte and not after the thirtieth gigabyte. The
/// file's size stays 0: only what was written counts. Where fallocate(2) is not supported, the
/// writes will report it.
Status reserve(int fd, Bytes size, const std::string& path) {
  if (size < kMinClaimedSize) return ok();

  // In memory it would cost as much as writing, and free space is certain there anyway.
  struct statfs volume{};
  if (fstatfs(fd, &volume) == 0 && volume.f_type == TMPFS_MAGIC) return ok();

  if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, size) == 0) return ok();
  const bool no_room = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
  return no_room ? Status(io_error("reserve space for", path, errno)) : ok();
}

}  // namespace

Staging::Staging(const Repository& repository, const Digest& blob, Bytes size,
                 const WriterIdentity& self)
    : repository_(&repository),
      blob_(blob),
      resume_(repository, blob, self.tag),
      record_{self.name, self.tag, self.tag, 0, size, {}},
      path_(path_of(self.tag)) {}

Result<Staging::Opened> Staging::open(const Repository& repository, const Digest& blob, Bytes size,
                                      const WriterIdentity& self, const OpenRequest& request) {
  Staging staging(repository, blob, size, self);
  auto [text, record, torn] = read_resume(repository, blob);
  if (record && request.fresh) record->have = {};

  const bool had_it_open = record && record->writer == self.tag;
  const bool lock_excludes = (record || torn) && !had_it_open && request.lock_excludes();
  const ClaimDecision decision =
      had_it_open ? ClaimDecision::resume
                  : decide_claim({record, torn, lock_excludes, request.writer_timed_out}, self.tag);

  // A small file is neither waited for nor claimed: it is fetched under our own tag.
  if (decision == ClaimDecision::wait && !staging.is_small())
    return Opened(OwnedByOther{owner_name(record), std::move(text)});

  if (decision == ClaimDecision::create && !staging.is_small()) {
    const auto claimed = staging.resume_.create(staging.record_);
    if (!claimed) return claimed.error();
    if (*claimed != StagingOwner::us) return Opened(OwnedByOther{owner_name({}), ""});
  }

  Status begun = decision == ClaimDecision::resume      ? staging.resume(*record, O_RDWR)
                 : decision == ClaimDecision::take_over ? staging.take_over(*record)
                                                        : staging.begin_fresh();
  if (!begun) return begun.error();
  return Opened(std::move(staging));
}

/// Always a new file: the old one could be published by now, or somebody else's. A file of another
/// name that this staging had is removed.
Status Staging::create_file() {
  const Directory& directory = *repository_->directory;
  record_.file = record_.writer;
  record_.have = {};
  if (std::string old = std::exchange(path_, path_of(record_.writer)); old != path_)
    if (Status removed = directory.remove(old); !removed) return removed;

  auto fd = directory.open_file(path_, O_RDWR | O_CREAT | O_EXCL);
  if (!fd && lstat_path(path_)) {
    if (Status removed = directory.remove(path_); !removed) return removed;
    fd = directory.open_file(path_, O_RDWR | O_CREAT | O_EXCL);
  }
  if (!fd) return fd.error();
  fd_ = std::move(*fd);
  return reserve(fd_.get(), record_.size, path_);
}

Status Staging::begin_fresh() {
  if (Status created = create_file(); !created) return created;
  if (!resume_.is_ours()) return ok();

  // The ranges of the file that was there before must not be read as this one's.
  const auto saved = save({});
  return saved ? ok() : Status(saved.error());
}

/// First the claim, with their file and ranges in it, so that a kill loses nothing.
Status Staging::resume(const ResumeRecord& theirs, int flags) {
  path_ = path_of(theirs.file);  // which begin_fresh removes
  record_.sequence = theirs.sequence;
  record_.file = theirs.file;
  record_.have = usable(theirs, path_, record_.size);
  if (Status claimed = resume_.replace(record_); !claimed) return claimed;

  if (record_.have.empty()) return begin_fresh();
  auto fd = repository_->directory->open_file(path_, flags);
  if (!fd) return begin_fresh();
  fd_ = std::move(*fd);
  return ok();
}

Status Staging::take_over(const ResumeRecord& theirs) {
  if (Status claimed = resume(theirs, O_RDONLY); !claimed) return claimed;
  if (record_.have.empty()) return ok();  // nothing can be copied: it is a fresh file

  // Without saving: the record on disk stays as it is until everything is copied.
  std::string path = std::exchange(path_, path_of(record_.writer));
  source_ = Source{std::move(fd_), std::move(path), record_, record_.have};
  return create_file();
}

Status Staging::copy_some() {
  if (auto range = source_->left.first()) {
    range->end = std::min(range->end, range->begin + kCopyStep);
    Status copied = copy_bytes(source_->fd, fd_, range->begin, range->end, path_);
    if (!copied && copied.error().kind != ErrorKind::io) return copied;

    // A source that cannot be read ends the copy; what was copied so far is used.
    if (copied) record_.have.add(*range);
    source_->left.remove(copied ? *range : ByteRange{0, record_.size});

    const auto saved = resume_.save(source_->record);
    if (!saved) return saved.error();
    if (*saved == StagingOwner::us && !source_->left.empty()) return ok();
  }

  const std::string copied = source_->path;
  record_.sequence = source_->record.sequence;
  source_.reset();
  const auto saved = save(record_.have);
  return saved ? repository_->directory->remove(copied) : Status(saved.error());
}

Result<UniqueFd> Staging::reader() const {
  UniqueFd copy(fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0));
  if (!copy) return io_error("open", path_, errno);
  return copy;
}

Result<StagingOwner> Staging::publish() {
  if (!is_still_at(fd_, path_)) return StagingOwner::nobody;
  if (Status renamed = repository_->directory->rename(path_, repository_->layout.blob(blob_));
      !renamed) {
    if (!lstat_path(path_)) return StagingOwner::nobody;
    return renamed.error();
  }
  if (!resume_.is_ours()) return StagingOwner::us;

  // The record must not be gone after a power cut that gives the bytes their staging name back.
  if (Status synced = repository_->directory->sync(repository_->layout.blobs); !synced)
    return synced.error();
  Status removed = resume_.remove();
  return removed ? Result(StagingOwner::us) : removed.error();
}

Bytes staged_bytes(const Repository& repository, const Digest& blob, Bytes size) {
  const auto record = read_resume(repository, blob).record;
  if (!record) return 0;
  return usable(*record, repository.layout.staging(blob, record->file), size).total();
}

std::string staging_owner(const Repository& repository, const Digest& blob) {
  return owner_name(read_resume(repository, blob).record);
}

}  // namespace model_prep
