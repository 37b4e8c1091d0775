// SPDX-License-Identifier: Apache-2.0
// What can be wrong with a model in the cache, and what repairs it. Values; found by
// `io/inspection.h`.
//
//   fault        meaning                                            repaired by
//   missing      a file or its link does not exist                  download
//   dangling     a link leads to a blob that does not exist         download; quarantine if the
//                                                                   link is not ours
//   misdirected  something else is where a link into blobs/ should  download; quarantine if it is a
//                be                                                 directory
//   damaged      the bytes are not those of the digest              rehash (the record no longer
//                                                                   vouches for it), then download
//   unreadable   this process may not read it, or the disk cannot   chmod, then download
//   ref          holds no commit, or one that is not here           download; quarantine if the ref
//                                                                   is not ours
//   listing      trees/<commit>.json of a whole commit is missing   download
//   mode         a reader whom the umask allows may not read it     chmod
//   foreign      not of this commit, as far as its listing is       quarantine
//                known, and not a link into blobs/
//                a marker in .no_exist/ that hides a file           download
//
// Quarantine is a directory of ours in that repository (`core/cache_layout.h`). No reader looks
// there, and nothing that somebody may want is destroyed.
#pragma once

#include <optional>

#include "model_prep/base/error.h"
#include "model_prep/base/model_spec.h"
#include "model_prep/core/digest_check.h"

namespace model_prep {

enum class CacheFaultKind : std::uint8_t {
  missing,
  dangling,
  misdirected,
  damaged,
  unreadable,
  ref,
  listing,
  mode,
  foreign
};

/// As written in the summary.
template <>
inline constexpr std::string_view kNames<CacheFaultKind>[] = {
    "missing", "dangling", "misdirected", "damaged", "unreadable",
    "ref",     "listing",  "mode",        "foreign"};

enum class Remedy : std::uint8_t { download, rehash, chmod, quarantine };

struct CacheFault {
  CacheFaultKind kind{CacheFaultKind::missing};
  Remedy remedy{Remedy::download};
  std::string path;     ///< on disk
  std::string message;  ///< names the model and the file
  std::string expected{};
  std::string found{};
  std::optional<std::size_t> file{};  ///< index into the snapshot's files, if it is about one
  std::optional<ErrorKind> error{};   ///< if the kind of fault does not imply it
};

/// Of a file of these bytes, which is number `index` of its snapshot; `error`: of `check_digests`.
CacheFault damaged_fault(const std::string& path, std::size_t index, const RemoteFile& file,
                         const HashResult& hashed, const Error& error);

enum class Repair : std::uint8_t { possible, done };

/// The fault as the error of its file or model; `done`: it is there after a repair.
Error error_of(const CacheFault& fault, Repair repair = Repair::possible);

}  // namespace model_prep
