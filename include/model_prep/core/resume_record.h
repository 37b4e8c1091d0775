// SPDX-License-Identifier: Apache-2.0
// The resume record: which bytes of a staging file are on disk, and who is writing it.
//
//   model-prep-2 <host:pid> <writer> <file> <beat> <size> <ranges>\n
//
// `writer` is the tag of the process that owns the staging, `file` the tag in the staging file's
// name: the process that made it. A living writer saves the record every two seconds with a higher
// `beat`, whether bytes come or not. The line is a hint and nothing more: what is published is what
// the digest says.
//
// Who may write a staging file? The lock says so where locks work. They do not everywhere
// (`io/file_lock.h`), and two writers in one file could change a blob after it was verified. So:
//
//   the record names      and                                     then
//   nobody                                                        it is ours, under a tag of our
//   own another process       of this kernel, and locks exclude here  it is dead, else it would
//   hold the lock: go on in
//                                                                 its file
//   another process       anything else, and the record changes   it lives: wait
//   another process       anything else, and 60 looks show no     take over: claim the record, and
//   go on in a copy of
//                         change                                  its bytes, so that it can come
//                         back to life and
//                                                                 spoil nothing
//
// Looks are counted and not seconds, so that a file server that was away for a minute, for both of
// them, proves nothing. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "model_prep/base/byte_range.h"
#include "model_prep/core/writer_tag.h"

namespace model_prep {

struct ResumeRecord {
  std::string owner;  ///< `host:pid`, for those who wait
  WriterTag writer;
  WriterTag file;
  std::uint64_t beat{0};
  std::int64_t size{0};
  RangeSet have;
};

/// One line, its end included.
std::string serialize_resume(const ResumeRecord& record);
/// Nothing for a line that is torn, of another format or not possible.
std::optional<ResumeRecord> parse_resume(std::string_view text);

/// What the table above says. A record that cannot be read (`theirs` is nothing, `torn`) is
/// somebody's who may live.
enum class ClaimDecision : std::uint8_t { begin, go_on, wait, copy };
struct StagingClaim {
  const std::optional<ResumeRecord>& theirs;
  bool torn;
  bool lock_excludes;
  bool writer_timed_out;
};
ClaimDecision decide_claim(const StagingClaim& claimed, const WriterTag& mine);

}  // namespace model_prep
