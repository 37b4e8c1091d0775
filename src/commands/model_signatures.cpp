// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/model_signatures.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "model_prep/base/text.h"
#include "model_prep/commands/imports.h"
#include "model_prep/commands/resolve_locally.h"
#include "model_prep/io/model_signature.h"
#include "model_prep/io/streams.h"

namespace model_prep {
namespace {

/// A file of keys or certificates is no larger. Bytes.
constexpr std::size_t kMaxSignerFile = 1024 * 1024;

std::string object_of(const ResolvedSnapshot& snapshot) {
  return fmt::format("{} {}", snapshot.spec.repo.text(), kSignatureFile);
}

Error missing_error(const ResolvedSnapshot& snapshot) {
  return {
      ErrorKind::signature_missing,
      fmt::format("{}: commit {} has no {}, but the model must be signed",
                  snapshot.spec.repo.text(), snapshot.commit.hex().substr(0, 12), kSignatureFile),
      "ask the model's author for a signed revision, or do not demand a signature of this model"};
}

/// Names the object, and says by whom it should have been signed.
Error about(const ResolvedSnapshot& snapshot, const Error& error) {
  const std::string hint = fmt::format(
      "{} may belong to another signer, or somebody changed the repository: ask the model's author",
      snapshot.spec.signer->file);
  return {error.kind, fmt::format("{}: {}", object_of(snapshot), error.message),
          error.hint.empty() ? hint : error.hint};
}

/// Reads each file once.
class SignerFiles {
 public:
  explicit SignerFiles(const Session& session) : session_(session) {}

  Status load(ModelSpec& spec) {
    if (spec.signer && !spec.signer->pem.empty()) return ok();  // a pipe can be read only once
    if (const auto& key = session_.options.signature_key)
      spec.signer = TrustedSigner{.kind = SignerKind::key, .in_manifest = {}, .file = *key};
    return spec.signer ? load(*spec.signer) : ok();
  }

 private:
  Status load(TrustedSigner& signer) {
    if (signer.file.empty()) signer.file = beside_manifest(signer.in_manifest);
    const auto known = read_.find({signer.kind, signer.file});
    if (known != read_.end()) {
      signer.pem = known->second.pem;
      signer.id = known->second.id;
      return ok();
    }

    auto pem = read_to_end(signer.file, kMaxSignerFile, session_.signals);
    if (!pem && pem.error().kind == ErrorKind::interrupted) return pem.error();
    if (!pem)
      return Error{ErrorKind::usage, "cannot read whose signature to trust: " + pem.error().message,
                   hint_of(signer)};
    if (Status set = set_signer(signer, std::move(*pem)); !set)
      return Error{
          ErrorKind::usage,
          fmt::format("cannot use {} to verify signatures: {}", signer.file, set.error().message),
          hint_of(signer)};
    read_.emplace(std::pair(signer.kind, signer.file), signer);
    return ok();
  }

  std::string beside_manifest(const std::string& file) const {
    const std::string& manifest = session_.options.manifest.value_or("-");
    if (file.starts_with('/') || manifest.find('/') == std::string::npos) return file;
    return parent_path(manifest) + "/" + file;
  }

  static std::string hint_of(const TrustedSigner& signer) {
    return signer.in_manifest.empty()
               ? "check the path given with --signature-key or MODEL_PREP_SIGNATURE_KEY"
               : "check the path after \"signature\" in the manifest, which is relative to it";
  }

  const Session& session_;
  std::map<std::pair<SignerKind, std::string>, TrustedSigner> read_;
};

/// One signature on its way.
struct Wanted {
  const ResolvedSnapshot* snapshot;
  std::optional<Result<ModelSignature>> result{};

  /// Endpoints whose signature was bad, and what was wrong with the first.
  std::set<std::size_t> bad_endpoints{};
  std::optional<Error> first_fault{};
  std::size_t faults{0};

  /// What the commit's listing says of the signature, if it is known.
  const RemoteFile* listed() const {
    const auto found = std::ranges::find(
        snapshot->listing, kSignatureFile,
        [](const RemoteFile& file) -> const std::string& { return file.path.text(); });
    return found == snapshot->listing.end() ? nullptr : &*found;
  }
};

class SignatureGetter {
 public:
  SignatureGetter(const std::vector<const ResolvedSnapshot*>& snapshots, const Cache& cache,
                  Fetcher* fetcher, const Imports* imports)
      : cache_(cache), fetcher_(fetcher), imports_(imports) {
    for (const ResolvedSnapshot* snapshot : snapshots) wanted_.push_back({snapshot});
  }

  std::vector<Result<ModelSignature>> run() {
    for (Wanted& wanted : wanted_) look_here(wanted);
    while (fetcher_ != nullptr && ask()) continue;

    std::vector<Result<ModelSignature>> results;
    for (Wanted& wanted : wanted_) {
      if (!wanted.result)
        wanted.result = wanted.first_fault.value_or(offline_missing(object_of(*wanted.snapshot)));
      results.push_back(std::move(*wanted.result));
    }
    return results;
  }

 private:
  void look_here(Wanted& wanted) const {
    const ResolvedSnapshot& snapshot = *wanted.snapshot;
    const RemoteFile* const listed = wanted.listed();
    if (!snapshot.listing.empty() && listed == nullptr) {
      wanted.result = missing_error(snapshot);
      return;
    }

    const auto& layout = cache_.repository(snapshot.spec.repo).layout;
    const auto text = read_file(
        fmt::format("{}/{}", layout.snapshot(snapshot.commit), kSignatureFile), kMaxSignatureFile);
    Strings found;
    if (text) found.push_back(*text);
    if (imports_ != nullptr)
      std::ranges::copy(
          imports_->contents(snapshot, *RepoPath::parse(kSignatureFile), kMaxSignatureFile),
          std::back_inserter(found));
    for (const std::string& one : found)
      if (!wanted.result && (listed == nullptr || is_as_listed(wanted, one))) judge(wanted, one);
  }

  /// A bad one may be good elsewhere.
  void judge(Wanted& wanted, const std::string& text) const {
    auto verified = verify_model_signature(text, *wanted.snapshot->spec.signer);
    if (verified)
      wanted.result = std::move(verified);
    else if (!wanted.first_fault)
      wanted.first_fault = about(*wanted.snapshot, verified.error());
  }

  /// Requests those that are still missing. Returns false if there is nothing to request.
  bool ask() {
    std::vector<Query> queries;
    std::vector<Wanted*> asked;
    for (Wanted& wanted : wanted_) {
      if (wanted.result) continue;
      queries.push_back(query_for(wanted));
      asked.push_back(&wanted);
    }
    if (queries.empty()) return false;

    fetcher_->query(queries, [&](std::size_t i, const Reply& reply) {
      use(*asked[i], queries[i].sources[reply.source].endpoint, reply);
    });
    return true;
  }

  Query query_for(const Wanted& wanted) const {
    const ModelSpec& spec = wanted.snapshot->spec;
    const RepoPath path = *RepoPath::parse(kSignatureFile);
    auto sources = sources_at(
        fetcher_->endpoints,
        [&](const Hub& hub) { return hub.resolve(spec.repo, wanted.snapshot->commit, path); },
        wanted.bad_endpoints);
    return {{.object = object_of(*wanted.snapshot), .repo = spec.repo.text()}, std::move(sources)};
  }

  void use(Wanted& wanted, std::size_t endpoint, const Reply& reply) const {
    if (reply.error) return fail(wanted, *reply.error);

    judge(wanted, reply.body);
    if (wanted.result) return;

    // Another endpoint may have a better one. Bytes that are not those of the listing may have
    // changed on the way, so a single endpoint is asked twice.
    wanted.bad_endpoints.insert(endpoint);
    const bool is_first = wanted.faults++ == 0;
    if (wanted.bad_endpoints.size() == fetcher_->endpoints.size() &&
        (!is_first || is_as_listed(wanted, reply.body)))
      wanted.result = *wanted.first_fault;
  }

  /// A bad signature that was found before explains more, unless the run ends.
  static void fail(Wanted& wanted, const Error& error) {
    if (wanted.first_fault && disposition(error.kind) != Disposition::abort_run)
      wanted.result = *wanted.first_fault;
    else if (error.kind == ErrorKind::not_found)
      wanted.result = missing_error(*wanted.snapshot);
    else
      wanted.result = error;
  }

  static bool is_as_listed(const Wanted& wanted, const std::string& text) {
    const RemoteFile* const listed = wanted.listed();
    return listed != nullptr && is_content_of(*listed, text);
  }

  const Cache& cache_;
  Fetcher* const fetcher_;
  const Imports* const imports_;
  std::vector<Wanted> wanted_;
};

}  // namespace

Status load_signers(const Session& session, std::vector<ModelSpec>& specs) {
  SignerFiles files(session);
  for (ModelSpec& spec : specs)
    if (Status loaded = files.load(spec); !loaded) return loaded;
  return ok();
}

Status load_signers(const Session& session, std::vector<ModelRun>& models) {
  SignerFiles files(session);
  for (ModelRun& model : models)
    if (Status loaded = files.load(model.spec); !loaded) return loaded;
  return ok();
}

std::vector<Result<ModelSignature>> get_signatures(
    const std::vector<const ResolvedSnapshot*>& snapshots, const Cache& cache, Fetcher* fetcher,
    const Imports* imports) {
  return SignatureGetter(snapshots, cache, fetcher, imports).run();
}

std::optional<Error> signer_missing(const ModelSpec& spec) {
  if (spec.signer || spec.policy.signature_policy() == SignaturePolicy::off) return std::nullopt;
  return Error{ErrorKind::signature_missing,
               spec.key + ": the policy demands a signature, but nothing says whose",
               "name the signer's key: \"signature\" in the manifest, or --signature-key"};
}

Status lock_signed(ResolvedSnapshot& snapshot, const ModelSignature& signature) {
  if (Status good = check_signed_files(snapshot.files, signature.says); !good)
    return about(snapshot, good.error());

  snapshot.signed_by = signature.by;
  for (RemoteFile& file : snapshot.files) {
    const auto says = signature.says.files.find(file.path.text());
    if (!file.sha256() && says != signature.says.files.end()) file.locked_sha256 = says->second;
  }
  return ok();
}

void check_signatures(std::vector<ModelRun>& models, const Session& session, Fetcher& fetcher,
                      const Imports& imports) {
  std::vector<ModelRun*> unsigned_models;
  std::vector<const ResolvedSnapshot*> snapshots;
  for (ModelRun& model : models) {
    if (!model.error) model.error = signer_missing(model.spec);
    if (!model.snapshot || model.error || model.view.is_signed) continue;
    unsigned_models.push_back(&model);
    snapshots.push_back(&*model.snapshot);
  }
  if (snapshots.empty()) return;

  auto found = get_signatures(snapshots, session.cache,
                              session.options.offline ? nullptr : &fetcher, &imports);
  for (std::size_t i = 0; i < found.size(); ++i) {
    ModelRun& model = *unsigned_models[i];
    if (!found[i]) {
      model.error = found[i].error();
      continue;
    }
    model.signature = std::move(*found[i]);
    if (Status good = check_signed_files(model.snapshot->files, model.signature->says); !good)
      model.error = about(*model.snapshot, good.error());
  }
}

void note_recorded_signature(ResolvedSnapshot& snapshot,
                             const std::optional<SnapshotRecord>& record) {
  const auto& signer = snapshot.spec.signer;
  if (signer && record && is_signed(*record, *signer, snapshot.files))
    snapshot.signed_by = record->signature->by;
}

std::optional<Error> check_signed(ModelRun& model, Log& log) {
  if (!model.signature) return std::nullopt;

  const ModelSignature& signature = *model.signature;
  ResolvedSnapshot& snapshot = *model.snapshot;
  for (std::size_t i = 0; i < snapshot.files.size(); ++i) {
    const RepoPath& path = snapshot.files[i].path;
    const auto sha256 = hashed_sha256(model, i);
    if (!sha256)
      return Error{ErrorKind::internal,
                   fmt::format("{} {}: was not hashed", snapshot.spec.repo.text(), path.text())};
    if (Status good = check_signed_file(path, sha256, signature.says); !good)
      return about(snapshot, good.error());
  }

  snapshot.signed_by = signature.by;
  const std::string left_out =
      fmt::format("{}", fmt::join(unsigned_files(snapshot.files, signature.says), ", "));
  log.info(fmt::format("{}: signed by the key {}{}", model.spec.key, signature.by.key.hex(),
                       left_out.empty() ? "" : ", which left out " + truncated(left_out)));
  return std::nullopt;
}

}  // namespace model_prep
