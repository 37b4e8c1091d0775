// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/staging.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include <fcntl.h>
#include <sys/vfs.h>

#include <linux/magic.h>

#include "model_prep/io/file_lock.h"

namespace model_prep {
namespace {

constexpr Bytes kCopyStep = 32 * 1024 * 1024;  // a signal waits no longer than this takes

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

/// Whether removing a file may help: a quota may be another user's, and a limit of file sizes
/// stays.
bool lacks_room(const Error& error, const std::string& path, Bytes needed) {
  if (error.kind != ErrorKind::disk_full) return false;
  const auto space = disk_space(path);
  return space && space->bytes < needed;
}

/// What the kernel has written to a file of these, it reads from the same pages.
bool has_page_cache(int fd) {
  struct statfs volume{};
  if (fstatfs(fd, &volume) != 0) return false;
  constexpr std::array<std::int64_t, 4> kLocal = {TMPFS_MAGIC, EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC,
                                                  BTRFS_SUPER_MAGIC};
  return std::ranges::find(kLocal, static_cast<std::int64_t>(volume.f_type)) != kLocal.end();
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
  ResumeContent found = read_resume(repository, blob);
  auto& [text, record, unreadable] = found;
  if (record && request.fresh) record->have = {};

  const bool had_it_open = record && record->writer == self.tag;
  const bool file_locked = record && staging.lock_file_of(*record);
  const ClaimDecision decision =
      had_it_open
          ? ClaimDecision::resume
          : decide_claim({record, unreadable, file_locked, request.writer_timed_out}, self.tag);

  // A small file is neither waited for nor claimed: it is fetched under our own tag.
  if (decision == ClaimDecision::wait && !staging.is_small()) return Opened(std::move(found));

  if (decision == ClaimDecision::create && !staging.is_small()) {
    const auto claimed = staging.claim(unreadable);
    if (!claimed) return claimed.error();
    if (*claimed != StagingOwner::us) return Opened(OwnedByOther{});
  }

  Status begun = decision == ClaimDecision::resume      ? staging.resume(*record)
                 : decision == ClaimDecision::take_over ? staging.take_over(*record)
                                                        : staging.begin_fresh();
  if (!begun) return begun.error();
  return Opened(std::move(staging));
}

Result<StagingOwner> Staging::claim(bool replace) {
  if (!replace) return resume_.create(record_);
  Status replaced = resume_.replace(record_);
  return replaced ? Result(StagingOwner::us) : replaced.error();
}

/// Opens and locks the staging file that the record names, if that proves that nobody else on this
/// machine writes to it.
bool Staging::lock_file_of(const ResumeRecord& record) {
  const std::string path = path_of(record.file);
  auto fd = repository_->directory->open_file(path, O_RDWR);
  if (!fd || !lock_file(*fd) || !is_still_at(*fd, path)) return false;
  if (!lock_excludes(*repository_->directory, path)) return false;

  fd_ = std::move(*fd);
  return true;
}

/// Always a new file: the old one could be published by now, or somebody else's. A file of another
/// name that this staging had is removed.
///
/// It is locked before it gets its name. Nobody else can have opened it by then, so nobody who
/// looks whether its writer is dead finds it without a lock, or holds the lock when we want it.
Status Staging::create_file() {
  const Directory& directory = *repository_->directory;
  record_.file = record_.writer;
  record_.have = {};
  if (std::string old = std::exchange(path_, path_of(record_.writer)); old != path_)
    if (Status removed = directory.remove(old); !removed) return removed;

  const std::string unnamed = temporary_name(repository_->layout.blobs, "staging");
  auto fd = directory.open_file(unnamed, O_RDWR | O_CREAT | O_EXCL);
  if (!fd) return fd.error();
  fd_ = std::move(*fd);
  static_cast<void>(lock_file(fd_));  // fails only where there are no locks
  if (Status named = directory.rename(unnamed, path_); !named) {
    static_cast<void>(directory.remove(unnamed));  // the first error is the one to report
    return named;
  }
  ours_alone_ = !is_small() && has_page_cache(fd_.get());
  return reserve(fd_.get(), record_.size, path_);
}

Status Staging::begin_fresh() {
  if (Status created = create_file(); !created) return created;
  if (!resume_.is_ours()) return ok();

  // The ranges of the file that was there before must not be read as this one's.
  const auto saved = save({});
  return saved ? ok() : Status(saved.error());
}

/// First the claim, with their file and ranges in it, so that a kill loses nothing. Continues in
/// what is open.
Status Staging::resume(const ResumeRecord& theirs) {
  path_ = path_of(theirs.file);  // which begin_fresh removes
  record_.sequence = theirs.sequence;
  record_.file = theirs.file;
  record_.have = fd_ ? usable(theirs, path_, record_.size) : RangeSet{};
  if (Status claimed = resume_.replace(record_); !claimed) return claimed;
  return record_.have.empty() ? begin_fresh() : ok();
}

Status Staging::take_over(const ResumeRecord& theirs) {
  auto source = repository_->directory->open_file(path_of(theirs.file), O_RDONLY);
  fd_ = source ? std::move(*source) : UniqueFd();
  if (Status claimed = resume(theirs); !claimed) return claimed;
  if (record_.have.empty()) return ok();  // nothing can be copied: it is a fresh file

  // Without saving: the record on disk stays as it is until everything is copied.
  std::string path = std::exchange(path_, path_of(record_.writer));
  source_ = Source{std::move(fd_), std::move(path), record_, record_.have};
  Status created = create_file();
  if (created || !lacks_room(created.error(), path_, record_.size)) return created;

  // No room for both files, and there never would be: each run would end here. Without its file, a
  // writer that was only asleep publishes nothing. What is open still takes its space; of the new
  // file too, since ext4 keeps what it found room for.
  path = source_->path;
  source_.reset();
  fd_ = UniqueFd();
  made_room_ = true;
  for (const std::string& old : {path, path_})
    if (Status removed = repository_->directory->remove(old); !removed) return removed;
  return begin_fresh();
}

Result<StagingOwner> Staging::copy_some() {
  if (auto range = source_->left.first()) {
    range->end = std::min(range->end, range->begin + kCopyStep);
    Status copied = copy_bytes(source_->fd, fd_, range->begin, range->end, {source_->path, path_});
    if (!copied && copied.error().kind != ErrorKind::io) {
      made_room_ = lacks_room(copied.error(), path_, record_.size - record_.have.total());
      if (!made_room_) return copied.error();
    }

    // A source that cannot be read, or a disk without room for both files, ends the copy; what was
    // copied so far is used. The source is removed below, which makes room.
    if (copied) record_.have.add(*range);
    source_->left.remove(copied ? *range : ByteRange{0, record_.size});

    const auto saved = resume_.save(source_->record);
    if (!saved || *saved != StagingOwner::us) source_.reset();
    if (!source_ || !source_->left.empty()) return saved;
  }

  const Source copied = *std::exchange(source_, std::nullopt);
  record_.sequence = copied.record.sequence;
  auto saved = save(record_.have);

  // Whoever has claimed the bytes meanwhile copies them from the same file.
  if (!saved || *saved != StagingOwner::us) return saved;
  Status removed = repository_->directory->remove(copied.path);
  return removed ? saved : removed.error();
}

Result<UniqueFd> Staging::reader() const {
  UniqueFd copy(fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0));
  if (!copy) return io_error("open", path_, errno);
  return copy;
}

Result<StagingOwner> Staging::publish() {
  if (!is_still_at(fd_, path_)) return StagingOwner::nobody;

  // The digest is of the first bytes, as many as the blob has. Others may have been appended.
  const auto staged = stat_fd(fd_);
  if (!staged || staged->size != record_.size) return StagingOwner::changed;

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

Bytes reserved_bytes(const Repository& repository, const Digest& blob, Bytes size) {
  const auto record = read_resume(repository, blob).record;
  if (!record) return 0;
  const std::string path = repository.layout.staging(blob, record->file);
  const auto staged = lstat_path(path);

  // The space of a file with a second name does not become free with this one.
  if (!staged || !staged->is_file || staged->link_count != 1) return 0;

  // A file system that compresses occupies less than what has arrived.
  return std::min(size, std::max(staged->occupied, usable(*record, path, size).total()));
}

}  // namespace model_prep
