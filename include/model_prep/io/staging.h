// SPDX-License-Identifier: Apache-2.0
// A blob that is being fetched: the staging file, the record of what is in it and who writes it
// (`io/resume_file.h`), and the rename that makes it a blob.
//
// Each writer writes a file of its own (its tag is in the name), so that two of them cannot spoil
// each other's bytes where locks do not work. It keeps a flock(2) on that file, so that another one
// can tell whether it may continue there. The rules of `core/resume_record.h` keep two writers
// apart in the first place, and let the next run continue where a dead one stopped. A kill at any
// line leaves a staging file and a record that claims no byte the file does not hold, or a staging
// file without a record, which the next run removes. After a power cut the record may claim too
// much; the digest finds that. One thread.
#pragma once

#include "model_prep/core/resume_record.h"
#include "model_prep/io/repository.h"
#include "model_prep/io/resume_file.h"

namespace model_prep {

/// This process, as other processes see it.
struct WriterIdentity {
  std::string name;  ///< `host:pid`
  WriterTag tag;

  static WriterIdentity make() {
    return {host_and_pid(), WriterTag::make(machine_name(), random_hex(8))};
  }
};

class Staging {
 public:
  struct OpenRequest {
    bool fresh{false};             ///< does not use the bytes that are there
    bool writer_timed_out{false};  ///< the record was polled long enough and did not change
  };

  /// The record of another process, which is alive or may be.
  using OwnedByOther = ResumeContent;
  using Opened = std::variant<Staging, OwnedByOther>;

  /// The repository's directories must exist, and `repository` must outlive the staging.
  static Result<Opened> open(const Repository& repository, const Digest& blob, Bytes size,
                             const WriterIdentity& self, const OpenRequest& request);

  const RangeSet& have() const { return record_.have; }  ///< what it held when it was opened

  /// Bytes of a writer that timed out are still to be copied: call `copy_some` until they are not.
  /// Where the disk has no room for both files, theirs is removed, and `have` is what was copied.
  bool copying() const { return source_.has_value(); }

  /// Whether that has happened.
  bool has_made_room() const { return made_room_; }
  Result<StagingOwner> copy_some();
  Status write(std::span<const char> bytes, Bytes offset) {
    return write_at(fd_, bytes, offset, path_);
  }

  /// Records what the file holds. The record is a hint: if it is torn, the digest decides.
  Result<StagingOwner> save(const RangeSet& have) {
    if (!is_still_at(fd_, path_)) return StagingOwner::nobody;
    record_.have = have;
    return resume_.save(record_);
  }

  /// Whether a hash of the bytes given to `write` is one of the bytes in the file: this process
  /// made the file, so nobody else has reason to write to it, and the kernel keeps what was written
  /// in its page cache. The file system of a server, or of another program, may do other things.
  bool is_ours_alone() const { return ours_alone_; }

  /// For the hash thread: a duplicate of our descriptor. It shares our lock on the file, which
  /// stays locked until both are closed.
  Result<UniqueFd> reader() const;

  /// The bytes are verified and synced: gives them the blob's name, unless the staging file is not
  /// what was written. `Cache::publish` syncs the directory before anything links to the blob.
  Result<StagingOwner> publish();
  Status drop() {
    if (Status removed = resume_.remove(); !removed) return removed;
    return repository_->directory->remove(path_);
  }

 private:
  Staging(const Repository& repository, const Digest& blob, Bytes size, const WriterIdentity& self);
  std::string path_of(const WriterTag& file) const {
    return repository_->layout.staging(blob_, file);
  }
  bool is_small() const { return record_.size < kMinClaimedSize; }
  Result<StagingOwner> claim(bool replace);
  bool lock_file_of(const ResumeRecord& record);
  Status create_file();
  Status begin_fresh();
  Status resume(const ResumeRecord& theirs);
  Status take_over(const ResumeRecord& theirs);

  const Repository* repository_;
  Digest blob_;
  ResumeFile resume_;
  ResumeRecord record_;
  std::string path_;
  UniqueFd fd_;
  bool ours_alone_{false};
  bool made_room_{false};

  struct Source {
    UniqueFd fd;
    std::string path;
    ResumeRecord record;  // what the disk says until everything is copied
    RangeSet left;
  };
  std::optional<Source> source_;
};

/// How many bytes of this blob a run could continue with.
Bytes staged_bytes(const Repository& repository, const Digest& blob, Bytes size);

/// How much of this blob's space on the disk its staging file has already, whoever writes it: a
/// large one has all of it reserved from the beginning. At most `size`.
Bytes reserved_bytes(const Repository& repository, const Digest& blob, Bytes size);

}  // namespace model_prep
