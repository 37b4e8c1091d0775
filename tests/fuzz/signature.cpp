// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/model_signature.h"

#include "fuzz/targets.h"

namespace model_prep::fuzz {
namespace {

void statement(std::string_view text) {
  const auto says = parse_signed_statement(text);
  if (!says) {
    require(says.error().kind == ErrorKind::signature_mismatch, "the kind is that of a signature");
    return check_message(says.error());
  }

  require(says->subject.kind() == DigestKind::sha256, "a subject is a sha256");
  require(says->digests.size() == says->files.size() * 32, "each file has its digest");
  for (const auto& [name, sha256] : says->files) {
    require(sha256.kind() == DigestKind::sha256, "a file's digest is a sha256");
    const auto path = RepoPath::parse(name);
    if (!path) continue;
    require(check_signed_file(*path, sha256, *says).has_value(), "a listed file is accepted");
    const std::string other(64, sha256.hex().front() == '0' ? '1' : '0');
    require(!check_signed_file(*path, *Digest::parse(other), *says), "no other content is");
  }

  const auto stranger = RepoPath::parse("never/listed/by.anyone");
  require(check_signed_file(*stranger, std::nullopt, *says).has_value() ==
              (says->leaves_out("never/listed/by.anyone") ||
               says->files.contains("never/listed/by.anyone")),
          "a file is listed, left out or refused");
}

}  // namespace

void signature(std::string_view input) {
  statement(input);

  const auto bundle = parse_signature_bundle(input);
  if (!bundle) {
    require(bundle.error().kind == ErrorKind::signature_mismatch,
            "the kind is that of a signature");
    return check_message(bundle.error());
  }
  require(bundle->certificates.empty() || bundle->key_hint.empty(),
          "a key signed it, or a certificate");
  statement(bundle->payload);
}

}  // namespace model_prep::fuzz
