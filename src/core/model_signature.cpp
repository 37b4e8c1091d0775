// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/model_signature.h"

#include <algorithm>

#include <fmt/format.h>

#include "model_prep/base/base64.h"
#include "model_prep/base/text.h"
#include "model_prep/core/json_reader.h"

namespace model_prep {
namespace {

constexpr std::string_view kMediaType = "application/vnd.dev.sigstore.bundle.v0.3+json";
constexpr std::string_view kPayloadType = "application/vnd.in-toto+json";
constexpr std::string_view kStatementType = "https://in-toto.io/Statement/v1";
constexpr std::string_view kPredicateType = "https://model_signing/signature/v1.0";

using Path = std::span<const std::string>;
using Value = JsonFields::Value;

Error mismatch(std::string message, std::string hint = {}) {
  return {ErrorKind::signature_mismatch, std::move(message), std::move(hint)};
}

/// As `a.b..c`: the key in an array is empty. No name for a key that has a dot itself, which no
/// member has that is known.
std::optional<std::string> name_of(Path path) {
  std::string name;
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i].find('.') != std::string::npos) return std::nullopt;
    name += (i == 0 ? "" : ".") + path[i];
  }
  return name;
}

/// Keeps a text that must be there once.
Status keep(std::optional<std::string>& slot, std::string_view name, const Value& value) {
  const auto* text = std::get_if<std::string>(&value);
  if (text == nullptr) return mismatch(fmt::format("its {} is not a string", name));
  if (slot) return mismatch(fmt::format("its {} is there twice", name));
  slot = *text;
  return ok();
}

Status expect(const std::optional<std::string>& found, std::string_view name,
              std::string_view wanted) {
  if (!found) return mismatch(fmt::format("it has no {}", name));
  if (*found == wanted) return ok();
  return mismatch(fmt::format("its {} is '{}', not {}", name, truncated(*found), wanted));
}

constexpr std::string_view kKey = "verificationMaterial.publicKey";
constexpr std::string_view kCertificate =
    "verificationMaterial.x509CertificateChain.certificates..rawBytes";
constexpr std::string_view kSignature = "dsseEnvelope.signatures.";

/// Objects and arrays.
constexpr std::string_view kContainers[] = {
    "",
    "verificationMaterial",
    kKey,
    "verificationMaterial.x509CertificateChain",
    "verificationMaterial.x509CertificateChain.certificates",
    "verificationMaterial.x509CertificateChain.certificates.",
    "verificationMaterial.tlogEntries",
    "dsseEnvelope",
    "dsseEnvelope.signatures",
    kSignature};

/// Copies of the key, of old versions. Nobody may believe them.
constexpr std::string_view kIgnored[] = {"verificationMaterial.publicKey.rawBytes",
                                         "verificationMaterial.publicKey.keyDetails"};

/// What signatures have that were made without a key of the signer's own.
constexpr std::string_view kKeyless[] = {"verificationMaterial.certificate",
                                         "verificationMaterial.tlogEntries."};

bool contains(std::span<const std::string_view> names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

class BundleReader {
 public:
  Status add(Path path, const Value& value) {
    const auto named = name_of(path);
    if (!named) return mismatch("it has a member with a dot in its name");

    const std::string& name = *named;
    if (contains(kKeyless, name))
      return mismatch("it was made without a key of the signer's own (Sigstore's keyless signing)",
                      "only signatures with a key or a certificate are verified");
    if (name == kCertificate) return add_certificate(value);
    if (const auto slot = texts_.find(name); slot != texts_.end()) {
      const bool absent = may_be_null(name) && std::holds_alternative<std::nullptr_t>(value);
      return absent ? ok() : keep(slot->second, name, value);
    }

    has_key_ = has_key_ || name == kKey;
    if (name == kSignature && ++signatures_ > 1) return mismatch("it has more than one signature");
    const bool is_container = std::holds_alternative<JsonFields::Other>(value);
    if (contains(kIgnored, name) || (is_container && contains(kContainers, name))) return ok();
    return mismatch(fmt::format("its '{}' has no place in a bundle", truncated(name)));
  }

  Result<SignatureBundle> result() {
    if (Status right = expect(texts_["mediaType"], "mediaType", kMediaType); !right)
      return right.error();
    if (Status right = expect(texts_["dsseEnvelope.payloadType"], "payloadType", kPayloadType);
        !right)
      return right.error();
    if (has_key_ == !certificates_.empty())
      return mismatch("it must name either a key or a chain of certificates");

    auto payload = decode_base64(texts_["dsseEnvelope.payload"].value_or("?"));
    auto signature = decode_base64(texts_["dsseEnvelope.signatures..sig"].value_or("?"));
    if (!payload || !signature) return mismatch("its payload or its signature is not base64");
    return SignatureBundle{std::move(*payload), std::move(*signature),
                           texts_["verificationMaterial.publicKey.hint"].value_or(""),
                           std::move(certificates_)};
  }

 private:
  static bool may_be_null(std::string_view name) {
    return name.ends_with(".hint") || name.ends_with(".keyid");
  }

  Status add_certificate(const Value& value) {
    const auto* text = std::get_if<std::string>(&value);
    auto certificate = text == nullptr ? std::nullopt : decode_base64(*text);
    if (!certificate) return mismatch("a certificate is not base64");
    certificates_.push_back(std::move(*certificate));
    return ok();
  }

  std::map<std::string, std::optional<std::string>, std::less<>> texts_{
      {"mediaType", {}},
      {"verificationMaterial.publicKey.hint", {}},
      {"dsseEnvelope.payload", {}},
      {"dsseEnvelope.payloadType", {}},
      {"dsseEnvelope.signatures..sig", {}},
      {"dsseEnvelope.signatures..keyid", {}}};
  Strings certificates_;
  bool has_key_{false};
  int signatures_{0};
};

constexpr std::string_view kMethod = "predicate.serialization.method";
constexpr std::string_view kHash = "predicate.serialization.hash_type";
constexpr std::string_view kLeftOut = "predicate.serialization.ignore_paths.";
constexpr std::string_view kResource = "predicate.resources.";

class StatementReader {
 public:
  Status add(Path path, const Value& value) {
    const auto named = name_of(path);
    if (!named) return ok();

    const std::string& name = *named;
    if (const auto slot = texts_.find(name); slot != texts_.end())
      return keep(slot->second, name, value);
    if (name == "subject." && ++subjects_ > 1) return mismatch("it has more than one subject");
    if (name == kLeftOut) return leave_out(value);
    if (name == kResource) return next_resource();
    if (!name.starts_with(kResource)) return ok();

    const std::string_view member = std::string_view(name).substr(kResource.size() + 1);
    if (const auto slot = resource_.find(member); slot != resource_.end())
      return keep(slot->second, name, value);
    return ok();
  }

  Result<SignedFiles> result() {
    if (Status right = expect(texts_["_type"], "_type", kStatementType); !right)
      return right.error();
    if (Status right = expect(texts_["predicateType"], "predicateType", kPredicateType); !right)
      return right.error();
    if (Status right = expect(texts_[std::string(kMethod)], "serialization method", "files");
        !right)
      return right.error();
    if (Status right = expect(texts_[std::string(kHash)], "hash_type", "sha256"); !right)
      return right.error();
    if (Status last = next_resource(); !last) return last.error();
    if (other_kind_) return *other_kind_;

    const auto subject = Digest::parse(texts_["subject..digest.sha256"].value_or(""));
    if (!subject || subject->kind() != DigestKind::sha256)
      return mismatch("its subject has no sha256");
    return SignedFiles{std::move(files_), std::move(left_out_), *subject, std::move(digests_)};
  }

 private:
  using Texts = std::map<std::string, std::optional<std::string>, std::less<>>;

  /// Of the resource that was read until now.
  Status next_resource() {
    const auto name = std::exchange(resource_["name"], {});
    const auto algorithm = std::exchange(resource_["algorithm"], {});
    const auto hex = std::exchange(resource_["digest"], {});
    if (!std::exchange(in_resource_, true) && !name && !algorithm && !hex) return ok();
    if (!name || !hex) return mismatch("it lists a file without a name or a digest");

    const std::string shown = truncated(*name);
    if (algorithm != "sha256") {
      // The reason may be in a member that comes later: shards, or another hash of all files.
      if (!other_kind_)
        other_kind_ = mismatch(fmt::format("its digest of {} is no sha256, but of the kind '{}'",
                                           shown, truncated(algorithm.value_or(""))));
      return ok();
    }
    const auto digest = Digest::parse(*hex);
    if (!digest || digest->kind() != DigestKind::sha256)
      return mismatch(fmt::format("its digest of {} is not a sha256", shown));
    if (!files_.emplace(*name, *digest).second)
      return mismatch(fmt::format("it lists {} twice", shown));
    digests_.append(digest->bytes().begin(), digest->bytes().end());
    return ok();
  }

  Status leave_out(const Value& value) {
    const auto* text = std::get_if<std::string>(&value);
    if (text == nullptr) return mismatch("it leaves out something that is no path");
    left_out_.insert(*text);
    return ok();
  }

  Texts texts_{{"_type", {}},
               {"predicateType", {}},
               {"subject..digest.sha256", {}},
               {std::string(kMethod), {}},
               {std::string(kHash), {}}};
  Texts resource_{{"name", {}}, {"algorithm", {}}, {"digest", {}}};
  std::map<std::string, Digest, std::less<>> files_;
  std::set<std::string, std::less<>> left_out_;
  std::string digests_;
  std::optional<Error> other_kind_;
  bool in_resource_{false};
  int subjects_{0};
};

template <class Reader>
auto read_all(std::string_view text) -> decltype(Reader().result()) {
  Reader reader;
  const Status read = read_json_values(
      text, [&](Path path, const Value& value) { return reader.add(path, value); });
  if (read) return reader.result();
  return Error{ErrorKind::signature_mismatch, read.error().message, read.error().hint};
}

}  // namespace

bool SignedFiles::leaves_out(std::string_view path) const {
  for (std::size_t end = path.size(); end != std::string_view::npos && end > 0;
       end = path.rfind('/', end - 1))
    if (left_out.contains(path.substr(0, end))) return true;
  return false;
}

Result<SignatureBundle> parse_signature_bundle(std::string_view text) {
  return read_all<BundleReader>(text);
}

std::string signed_bytes(std::string_view payload) {
  return fmt::format("DSSEv1 {} {} {} {}", kPayloadType.size(), kPayloadType, payload.size(),
                     payload);
}

Result<SignedFiles> parse_signed_statement(std::string_view payload) {
  return read_all<StatementReader>(payload);
}

Status check_signed_file(const RepoPath& path, const std::optional<Digest>& sha256,
                         const SignedFiles& says) {
  const auto listed = says.files.find(path.text());
  if (listed != says.files.end()) {
    if (!sha256 || *sha256 == listed->second) return ok();
    return mismatch(fmt::format("{}: its sha256 is {}, but {} was signed", path.text(),
                                sha256->hex(), listed->second.hex()));
  }
  if (path.text() == kSignatureFile || says.leaves_out(path.text())) return ok();
  return mismatch(
      fmt::format("{}: the signature neither lists nor leaves out this file", path.text()));
}

Status check_signed_files(const std::vector<RemoteFile>& files, const SignedFiles& says) {
  for (const RemoteFile& file : files)
    if (Status good = check_signed_file(file.path, file.sha256(), says); !good) return good;
  return ok();
}

Strings unsigned_files(const std::vector<RemoteFile>& files, const SignedFiles& says) {
  Strings names;
  for (const RemoteFile& file : files)
    if (file.path.text() != kSignatureFile && !says.files.contains(file.path.text()))
      names.push_back(file.path.text());
  return names;
}

}  // namespace model_prep
