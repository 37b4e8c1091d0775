// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/cache_faults.h"

namespace model_prep {
namespace {

ErrorKind error_kind(CacheFaultKind kind) {
  using enum CacheFaultKind;
  switch (kind) {
    case missing:
    case dangling:
    case ref:
    case listing: return ErrorKind::offline_missing;
    case damaged: return ErrorKind::digest_mismatch;
    case mode: return ErrorKind::permission;
    case misdirected:
    case unreadable:
    case foreign: return ErrorKind::io;
  }
  return ErrorKind::io;
}

}  // namespace

CacheFault damaged_fault(const std::string& path, std::size_t index, const RemoteFile& file,
                         const HashResult& hashed, const Error& error) {
  const Digest& found =
      file.blob.kind() == DigestKind::git_sha1 ? *hashed.git_sha1 : *hashed.sha256;

  // The digest that names the blob may be right, and only the lock's second one differ.
  const bool second_differs = found == file.blob;
  return {.kind = CacheFaultKind::damaged,
          .remedy = Remedy::rehash,
          .path = path,
          .message = error.message,
          .expected = second_differs ? file.locked_sha256->hex() : file.blob.hex(),
          .found = second_differs ? hashed.sha256->hex() : found.hex(),
          .file = index,
          .error = error.kind};
}

Error error_of(const CacheFault& fault, Repair repair) {
  Error error{fault.error.value_or(error_kind(fault.kind)), fault.message, {}};

  // A ref or the like that this user may not read; its message says what to do.
  const bool is_of_others = fault.kind == CacheFaultKind::unreadable && !fault.file;
  if (!is_of_others)
    error.hint = repair == Repair::possible ? "model-prep verify --repair repairs it"
                                            : "the log says why it could not be repaired";
  return error;
}

}  // namespace model_prep
