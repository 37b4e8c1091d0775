// SPDX-License-Identifier: Apache-2.0
// A blob on its way: the staging file, the record of what is in it and who writes it, and the
// rename that makes it a blob.
//
// Each writer writes into a file of its own (its tag is in the name), so that two of them, where
// locks lie, cannot spoil each other's bytes; the rules of `core/resume_record.h` keep that from
// happening in the first place, and let the next run go on where a dead one stopped. What a kill
// leaves at any line: a staging file and a record that is true of it or behind it, or a staging
// file without a record, which the next run sweeps away. One thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>

#include "model_prep/core/cache_layout.h"
#include "model_prep/core/resume_record.h"
#include "model_prep/io/directory.h"
#include "model_prep/io/file_lock.h"

namespace model_prep {

/// This process, to other processes.
struct WriterIdentity {
  std::string name;  ///< `host:pid`
  WriterTag tag;
  static WriterIdentity make();
};

class Staging {
 public:
  /// Smaller files are fetched again sooner than claimed: they get a record only if they take
  /// longer than a second.
  static constexpr std::int64_t kClaimed = 1024 * 1024;

  struct Where {
    const Directory& folder;  ///< where the repositories lie
    const CacheLayout& layout;
    RepoId repo;
    Digest blob;
    std::int64_t size;
  };
  enum class Begin : std::uint8_t { resume, fresh };
  struct OpenRequest {
    Begin begin{Begin::resume};
    bool lock_excludes{false};  ///< `FileLock::excludes`
    bool writer_timed_out{
        false};  ///< whoever the record names has been seen not to change it any more
  };
  /// Somebody else who lives, or may.
  struct OwnedByOther {
    std::string owner;
    std::string sign;  ///< changes as long as they live
  };
  /// The repository's folders must be there.
  static Result<std::variant<Staging, OwnedByOther>> open(Where where, const WriterIdentity& self,
                                                          const OpenRequest& asked);

  const RangeSet& have() const { return record_.have; }  ///< what was there when it was opened
  /// Bytes of a silent writer are still to be copied: `copy_some` until not.
  bool copying() const { return source_.has_value(); }
  Status copy_some();
  Status write(std::span<const char> bytes, std::int64_t offset) {
    return write_at(fd_.get(), bytes, offset, path_);
  }

  enum class Held : std::uint8_t {
    yes,
    pruned,  ///< somebody removed the staging file
    taken,   ///< another process has claimed it
  };
  /// One line, one pwrite, in the file that was just read: never over another's claim. A hint: if
  /// it is torn, the digest decides.
  Result<Held> save(const RangeSet& have);
  Result<UniqueFd> reader() const;
  /// The bytes are verified and synced: gives them the blob's name. False: somebody removed the
  /// staging file.
  Result<bool> publish();
  Status drop();

 private:
  Staging(Where where, const WriterIdentity& self);
  std::string staging_path() const {
    return where_.layout.staging(where_.repo, where_.blob, record_.file);
  }
  bool still_named() const;
  Status begin_fresh();
  Status go_on(const ResumeRecord& theirs);
  Status begin_copy(const ResumeRecord& theirs);
  Result<bool> claim_new();
  Result<Held> put(ResumeRecord& record);
  Status claim_over(const ResumeRecord& record);

  Where where_;
  std::string path_;
  std::string resume_path_;
  std::string blob_path_;
  WriterTag tag_;
  ResumeRecord record_;
  bool claimed_{false};  // the record on disk is ours
  UniqueFd fd_;
  struct Source {
    UniqueFd fd;
    std::string path;
    ResumeRecord record;  // what stands on disk until all is copied
    RangeSet left;
  };
  std::optional<Source> source_;
};

std::optional<ResumeRecord> read_resume(const CacheLayout& layout, const RepoId& repo,
                                        const Digest& blob);
/// Bytes of this blob that a run could go on with.
std::int64_t staged_bytes(const CacheLayout& layout, const RepoId& repo, const Digest& blob,
                          std::int64_t size);
/// Who is writing a blob, as its record says; for those who wait.
std::string staging_owner(const CacheLayout& layout, const RepoId& repo, const Digest& blob);

}  // namespace model_prep
