// SPDX-License-Identifier: Apache-2.0
// The resume record: which bytes of a staging file are on disk, and who writes it.
//
//   model-prep-2 <host:pid> <writer> <file> <sequence> <size> <ranges>\n
//
// `writer` is the tag of the process that owns the staging, `file` the tag in the staging file's
// name, which is the process that created it. A living writer saves the record every two seconds
// with a higher `sequence`, whether bytes arrive or not. The line is only a hint: what is published
// is what the digest confirms.
//
// Who may write a staging file? Two writers in one file could change a blob after it was verified.
// So a writer keeps a flock(2) on its staging file: on that, not on a file beside it, because a
// lock file can be deleted and made again while its holder lives. But locks do not exclude
// everywhere (`io/file_lock.h`), some only on one machine. So:
//
//   the record names   and                               decision
//   nobody                                               create: a file with our own tag
//   this process                                         resume (`Staging::open` sees to it)
//   another process    it ran on this kernel, and we     resume: it is dead, or it would hold that
//                      have the lock of its file, which  lock; continue in its file
//                      excludes here
//   another process    anything else, record changes     wait: it lives
//   another process    anything else, no change in       take_over: claim the record and continue
//                      60 polls                          in a copy of its bytes, so that it spoils
//                                                        nothing if it comes back to life. Without
//                                                        room for both files, theirs is removed
//
// A record that cannot be read, because it is torn or empty or may not be, counts as another
// process's that is silent, and there is nothing to resume or to copy: the file is created after 60
// polls. A small file is neither waited for nor claimed (`kMinClaimedSize`).
//
// Polls are counted and not seconds: a file server that was away for a minute, for both of them,
// proves nothing. Pure.
#pragma once

#include "model_prep/base/byte_range.h"
#include "model_prep/core/writer_tag.h"

namespace model_prep {

/// Fetching a smaller file again is cheaper than waiting for its writer. It gets a record only if
/// it takes longer than a second.
inline constexpr Bytes kMinClaimedSize = 1024 * 1024;

struct ResumeRecord {
  std::string owner;  ///< `host:pid`, shown to those who wait
  WriterTag writer;
  WriterTag file;
  std::uint64_t sequence{0};
  Bytes size{0};
  RangeSet have;
};

/// Whose staging is what this process wrote, found when it saves or publishes.
enum class StagingOwner : std::uint8_t {
  us,
  nobody,   ///< the staging file was removed
  changed,  ///< somebody else writes to it: its size is wrong
  other,    ///< another process has claimed it
};

/// One line, with its newline. What an owner's name cannot have in it becomes `?`.
std::string serialize_resume(const ResumeRecord& record);

/// Nothing for a line that is torn, impossible or in another format.
std::optional<ResumeRecord> parse_resume(std::string_view text);

enum class ClaimDecision : std::uint8_t { create, resume, wait, take_over };
struct StagingClaim {
  const std::optional<ResumeRecord>& theirs;
  bool unreadable;   ///< there is a record, but it cannot be read: its writer may live
  bool file_locked;  ///< by us, the staging file that it names, in a way that excludes others
  bool writer_timed_out;
};

/// The table above.
ClaimDecision decide_claim(const StagingClaim& claim, const WriterTag& mine);

}  // namespace model_prep
