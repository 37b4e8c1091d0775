// SPDX-License-Identifier: Apache-2.0
// What can be wrong with a model that is in the cache, and what mends it. Values; found by
// `io/inspection.h`.
//
//   fault        what it is                                              what mends it
//   missing      a file or its link is not there                         download
//   dangling     a link leads to a blob that is not there                download; a link that is
//   not ours: aside misdirected  something else is where a link into blobs/ should be    download
//   damaged      the bytes are not those of the digest                   forgotten by the record,
//   then download unreadable   this process may not read it, or the disk cannot        readable,
//   then download ref          holds no commit, or one that is not here                ours:
//   download; others': aside listing      trees/<commit>.json of a whole commit is missing download
//   mode         a reader whom the umask allows may not read it          readable
//   foreign      neither of this commit nor a link into blobs/           aside
//
// `aside` is a move into our own folder of that repository (core/cache_layout.h): no reader looks
// there, and nothing that somebody may want is destroyed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "model_prep/base/error.h"

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

/// As it stands in the summary.
std::string_view to_string(CacheFaultKind kind);

enum class Remedy : std::uint8_t { download, rehash, chmod, quarantine };

struct CacheFault {
  CacheFaultKind kind{CacheFaultKind::missing};
  Remedy remedy{Remedy::download};
  std::string path;     ///< on disk
  std::string message;  ///< names model and file
  std::string expected{};
  std::string found{};
  std::optional<std::size_t> file{};  ///< of the snapshot's, if it is about one
  std::optional<ErrorKind> error{};   ///< where the kind does not say it
};

/// A fault as the error of its file or model.
Error error_of(const CacheFault& fault);

}  // namespace model_prep
