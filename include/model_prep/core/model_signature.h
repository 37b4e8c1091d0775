// SPDX-License-Identifier: Apache-2.0
// A model's signature, `model.sig`, as OpenSSF model signing 1.0 and later writes it: what it says,
// and whether files are what it says. Whether the signature is good is io/model_signature's matter.
//
// The file is a Sigstore bundle v0.3 (JSON) with a DSSE envelope, whose payload is an in-toto
// statement v1 with the predicate `https://model_signing/signature/v1.0`. The statement lists each
// file under `predicate.resources`, and under `predicate.serialization` how it was made and what it
// leaves out (`ignore_paths`, each with all that is below it). Its subject is the sha256 of the
// digests of all resources, in the order of the statement. The order and the checks are those of
// the PyPI package model-signing 1.1.1 (`signing.py`, `sign_sigstore_pb.py`); the envelope is that
// of DSSE 1.0.
//
// Only `method: files` with `hash_type: sha256` is accepted, which is what its command line writes:
// shards and other hashes would need every byte to be read again. Signatures without a key of the
// signer's own (Fulcio, Rekor) are refused, and so are those of model-signing 0.x.
//
// A bundle is read strictly: a member that is not known, is there twice or is of another type is
// refused, and so is base64 that no encoder writes, so that no byte of it can be changed without
// notice. In a statement, which is signed, members that version 1.0 does not define are ignored.
//
// Memory: a few times the size of the text, which the caller limits (`kMaxSignatureFile`). All
// errors are `signature_mismatch`; the message has no object. Pure.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "model_prep/base/error.h"
#include "model_prep/base/model_spec.h"
#include "model_prep/base/trusted_signer.h"

namespace model_prep {

/// Its path in the repository.
inline constexpr std::string_view kSignatureFile = "model.sig";

/// A larger signature is refused: it would name some 30,000 files. Bytes.
inline constexpr std::size_t kMaxSignatureFile = std::size_t{8} * 1024 * 1024;

struct SignatureBundle {
  std::string payload;     ///< the statement, as it was signed
  std::string signature;   ///< in DER
  std::string key_hint;    ///< of the key that signed, or empty: no proof of anything
  Strings certificates{};  ///< in DER, the signer's own first; none if a bare key signed
};

Result<SignatureBundle> parse_signature_bundle(std::string_view text);

/// The bytes that are signed: DSSE's pre-authentication encoding of the payload.
std::string signed_bytes(std::string_view payload);

/// What a statement says.
struct SignedFiles {
  std::map<std::string, Digest, std::less<>> files;  ///< the sha256 of each, by its path
  std::set<std::string, std::less<>> left_out;       ///< with all that is below them

  /// The statement's subject, and the bytes whose sha256 it must be.
  Digest subject;
  std::string digests;

  /// Whether a path is left out. One that is listed too counts as listed.
  bool leaves_out(std::string_view path) const;
};

Result<SignedFiles> parse_signed_statement(std::string_view payload);

/// A good signature: what it says, and whose it is.
struct ModelSignature {
  SignedFiles says;
  SignedBy by;
};

/// Whether a file is what was signed: listed with this sha256, or left out. The signature itself is
/// always left out. Without a digest, which may not be known yet, only the name counts.
Status check_signed_file(const RepoPath& path, const std::optional<Digest>& sha256,
                         const SignedFiles& says);

/// The same of each file, before its bytes are here.
Status check_signed_files(const std::vector<RemoteFile>& files, const SignedFiles& says);

/// Which of these files the signature leaves out, without itself.
Strings unsigned_files(const std::vector<RemoteFile>& files, const SignedFiles& says);

}  // namespace model_prep
