// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/manifest.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "model_prep/base/suggestions.h"
#include "model_prep/base/text.h"
#include "model_prep/core/json_reader.h"

namespace model_prep {
namespace {

/// Members in the order of the file. nlohmann's own ordered map looks for every key that is added,
/// which takes quadratic time for the files of a large lock. Here one that is there twice would be
/// kept twice: such a text is refused before.
template <class Key, class Value, class Less, class Allocator>
struct AppendingMap : nlohmann::ordered_map<Key, Value, Less, Allocator> {
  Value& operator[](const Key& key) { return this->emplace_back(key, Value()).second; }
};

using ManifestJson = nlohmann::basic_json<AppendingMap>;

/// A defect may quote a key or a string of the file, which may be of any length.
constexpr std::size_t kMaxDefectLength = 400;

/// The first defect of a manifest. Reading goes on after it with empty values, so only
/// `parse_manifest` has to check.
using Defect = std::optional<std::string>;

/// Reads the members of one JSON object. Anything else reads as an object without members.
class ObjectReader {
 public:
  ObjectReader(const ManifestJson& json, std::string path, Defect& defect)
      : json_(json), path_(std::move(path)), defect_(defect) {
    if (!json_.is_object()) fail("", "should be an object");
  }

  /// About a member, or about the object itself if `name` is empty.
  void fail(const std::string& name, std::string_view what) {
    if (!defect_) defect_ = fmt::format("{}: {}", path_of(name), what);
  }

  const ManifestJson* find(const std::string& name) {
    known_.insert(name);
    const auto found = json_.find(name);
    return found == json_.end() ? nullptr : &*found;
  }

  void require(const std::string& name) {
    if (find(name) == nullptr) fail(name, "is missing");
  }

  std::optional<std::string> text(const std::string& name) {
    return read<std::string>(name, &ManifestJson::is_string, "should be a string");
  }

  Strings texts(const std::string& name) {
    const auto is_list = [](const ManifestJson& json) {
      return json.is_array() && std::ranges::all_of(json, &ManifestJson::is_string);
    };
    return read<Strings>(name, is_list, "should be a list of strings").value_or(Strings());
  }

  std::optional<bool> boolean(const std::string& name) {
    return read<bool>(name, &ManifestJson::is_boolean, "should be true or false");
  }

  /// An object whose members are strings.
  std::map<std::string, std::string> named_texts(const std::string& name) {
    std::map<std::string, std::string> texts;
    const ManifestJson* found = find(name);
    if (found == nullptr) return texts;
    if (!found->is_object()) fail(name, "should be an object");

    ObjectReader member(*found, path_of(name), defect_);
    for (const auto& [key, entry] : found->items())
      texts.emplace(key, member.text(key).value_or(""));
    return texts;
  }

  std::optional<Bytes> size(const std::string& name) {
    const auto is_size = [](const ManifestJson& json) {
      return json.is_number_unsigned() && json.get<std::uint64_t>() <= std::uint64_t{kMaxFileSize};
    };
    return read<Bytes>(name, is_size, "should be a size in bytes");
  }

  /// A text that `T::parse` reads.
  template <class T>
  std::optional<T> parsed(const std::string& name, std::optional<std::string> fallback = {}) {
    const auto found = text(name);
    if (!found && !fallback) return std::nullopt;

    const auto value = T::parse(found ? *found : *fallback);
    if (value) return *value;
    fail(name, value.error().message);
    return std::nullopt;
  }

  /// Calls `use(member)` if there is an object `name`.
  template <class Use>
  void object(const std::string& name, Use use) {
    const ManifestJson* found = find(name);
    if (found == nullptr) return;

    ObjectReader member(*found, path_of(name), defect_);
    use(member);
    member.refuse_unknown_members();
  }

  /// Calls `use(key, member)` for each member of the object `name`, whose keys are the user's.
  template <class Use>
  void each(const std::string& name, Use use) {
    const ManifestJson* found = find(name);
    if (found == nullptr) return;
    if (!found->is_object()) return fail(name, "should be an object");

    for (const auto& [key, entry] : found->items()) {
      ObjectReader member(entry, path_of(name) + "." + key, defect_);
      use(key, member);
      member.refuse_unknown_members();
    }
  }

  /// To be called when every known member has been read.
  void refuse_unknown_members() {
    if (!json_.is_object()) return;

    for (const auto& [name, entry] : json_.items()) {
      if (known_.contains(name)) continue;
      const auto meant = closest_word(name, {known_.begin(), known_.end()});
      fail(name, "unknown member" + (meant ? "; did you mean " + *meant + "?" : ""));
    }
  }

 private:
  std::string path_of(const std::string& name) const {
    return path_ + (path_.empty() || name.empty() ? "" : ".") + name;
  }

  template <class T, class Check>
  std::optional<T> read(const std::string& name, Check is_right, std::string_view complaint) {
    const ManifestJson* found = find(name);
    if (found == nullptr) return std::nullopt;

    if (std::invoke(is_right, *found)) return found->get<T>();
    fail(name, complaint);
    return std::nullopt;
  }

  const ManifestJson& json_;
  std::string path_;
  Defect& defect_;
  std::set<std::string> known_;
};

/// A member that names a value of an enum.
template <class Enum>
std::optional<Enum> read_choice(ObjectReader& object, const std::string& name) {
  const auto text = object.text(name);
  const auto value = text ? value_of<Enum>(*text) : std::nullopt;
  if (text && !value)
    object.fail(name, fmt::format("should be one of {}", fmt::join(kNames<Enum>, ", ")));
  return value;
}

std::set<std::string> read_licenses(ObjectReader& object, const std::string& name) {
  std::set<std::string> licenses;
  for (const std::string& text : object.texts(name)) {
    if (auto license = license_id(text))
      licenses.insert(std::move(*license));
    else
      object.fail(name, "'" + truncated(text) + "' is no id of a license, such as apache-2.0");
  }
  return licenses;
}

/// The member `policy`, for what is in `outer`.
Policy read_policy(ObjectReader& parent, const Policy& outer) {
  Policy policy;
  parent.object("policy", [&](ObjectReader& object) {
    if (object.find("licenses") != nullptr) policy.licenses = read_licenses(object, "licenses");
    policy.pickles = read_choice<PicklePolicy>(object, "pickles");
    policy.scan = read_choice<ScanPolicy>(object, "scan");
    policy.signatures = read_choice<SignaturePolicy>(object, "signatures");

    // It would have no effect, and its author would think that it has.
    if (const auto member = loosened_member(outer, policy); !member.empty())
      object.fail(std::string(member),
                  "allows more than the policy of the manifest, which a model can only tighten");
  });
  return tightened(outer, policy);
}

/// The member `signature`.
std::optional<TrustedSigner> read_signer(ObjectReader& parent) {
  std::optional<TrustedSigner> signer;
  parent.object("signature", [&](ObjectReader& object) {
    for (const SignerKind kind : {SignerKind::key, SignerKind::certificate_chain}) {
      const std::string name(to_string(kind));
      const auto file = object.text(name);
      if (!file) continue;
      if (file->empty()) object.fail(name, "should be the path of a file");
      if (signer) object.fail("", "should have either a key or a certificate_chain, not both");
      signer = TrustedSigner{.kind = kind, .in_manifest = *file};
    }
    if (!signer) object.fail("", "needs a key or a certificate_chain");
  });
  return signer;
}

/// What a lock says of the license and the scan of the commit `revision`.
HubFacts read_facts(ObjectReader& object, const Revision& revision) {
  HubFacts facts;
  if (object.find("license") != nullptr) {
    const auto licenses = read_licenses(object, "license");
    facts.licenses = Strings(licenses.begin(), licenses.end());
  }
  object.object("scan", [&](ObjectReader& scan) {
    scan.require("complete");
    facts.scan = ScanVerdict{.complete = scan.boolean("complete").value_or(false),
                             .findings = scan.named_texts("findings")};
  });

  if ((facts.licenses || facts.scan) && !revision.commit())
    object.fail(facts.licenses ? "license" : "scan",
                "is known of a commit only, so `revision` must be one");
  return facts;
}

std::optional<Digest> read_digest(ObjectReader& object, const std::string& name, DigestKind kind) {
  const auto digest = object.parsed<Digest>(name);
  if (digest && digest->kind() != kind)
    object.fail(name,
                fmt::format("should have {} hex digits", kind == DigestKind::sha256 ? 64 : 40));
  return digest;
}

LockedFile read_locked_file(ObjectReader& object) {
  object.require("size");
  const LockedFile file{.size = object.size("size").value_or(0),
                        .sha256 = read_digest(object, "sha256", DigestKind::sha256),
                        .git_sha1 = read_digest(object, "git_sha1", DigestKind::git_sha1)};
  if (!file.sha256 && !file.git_sha1) object.fail("", "needs a sha256 or a git_sha1");
  return file;
}

ManifestVariant read_variant(const std::string& name, ObjectReader& object) {
  const auto known = Variant::parse(name);
  if (!known) object.fail("", known.error().message + "; " + known.error().hint);

  ManifestVariant variant{.name = known ? *known : Build::fp32, .size = object.size("size")};
  variant.filter.include = object.texts("include");
  variant.filter.exclude = object.texts("exclude");

  // An empty list of patterns selects nothing; no list selects everything.
  if (object.find("include") == nullptr) variant.filter.include = {"*"};

  variant.repo = object.parsed<RepoId>("repo");
  variant.revision = object.parsed<Revision>("revision");
  return variant;
}

void read_locked_variants(ObjectReader& object, ManifestModel& model) {
  for (const std::string& name : object.texts("locked")) {
    const auto parsed = Variant::parse(name);
    if (!parsed) {
      object.fail("locked", parsed.error().message);
      continue;
    }
    const Variant& variant = *parsed;
    const auto found = std::ranges::find(model.variants, variant, &ManifestVariant::name);
    const bool described = found != model.variants.end();

    // `all` needs no description: it is every file of the commit.
    if (!described && variant != Build::all)
      object.fail("locked", "the model has no variant " + name);
    else if (described && found->repo.value_or(model.repo) != model.repo)
      object.fail("locked", fmt::format("the variant {} is in the repository {}, but `files` lists "
                                        "those of {}: make it a model of its own",
                                        name, found->repo->text(), model.repo.text()));
    else
      model.locked.insert(variant);
  }
}

/// `refs/<commit>` always means that commit, also to whoever pins it.
void check_ref_of_commit(ObjectReader& object, const ManifestModel& model, const Revision& ref) {
  if (!ref.commit()) return;
  if (ref != model.revision)
    object.fail("ref", "is a commit, which may only be that of `revision`");
  for (const ManifestVariant& variant : model.variants)
    if (variant.revision && *variant.revision != ref)
      object.fail(fmt::format("variants.{}.revision", variant.name.text()),
                  "is another commit than `ref`");
}

std::optional<ManifestModel> read_model(const std::string& key, ObjectReader& object,
                                        const Policy& of_manifest) {
  object.require("repo");
  const auto repo = object.parsed<RepoId>("repo");
  const auto revision = object.parsed<Revision>("revision", "main");
  const auto ref = object.parsed<Revision>("ref", "main");
  if (!repo || !revision || !ref) return std::nullopt;

  ManifestModel model{.key = key, .repo = *repo, .revision = *revision, .ref = ref->text()};

  // For people only; what is checked is the type.
  object.text("purpose");
  object.texts("used_by");
  read_digest(object, "signed_by", DigestKind::sha256);
  model.policy = read_policy(object, of_manifest);
  model.signer = read_signer(object);
  model.facts = read_facts(object, *revision);

  object.each("variants", [&](const auto& name, ObjectReader& variant) {
    model.variants.push_back(read_variant(name, variant));
  });
  object.each("files", [&](const auto& name, ObjectReader& entry) {
    LockedFile file = read_locked_file(entry);
    if (const auto path = RepoPath::parse(name))
      model.files.emplace(*path, std::move(file));
    else
      entry.fail("", path.error().message);
  });

  std::map<Digest, Bytes> sizes;
  for (const auto& [path, file] : model.files)
    if ((file.sha256 || file.git_sha1) &&
        sizes.emplace(file.blob(), file.size).first->second != file.size)
      object.fail("files." + path.text(),
                  "has the same digest as another file, but a different size");

  for (const ManifestVariant& variant : model.variants)
    if (model.repo.kind() != RepoKind::model && variant.name != Build::all)
      object.fail(fmt::format("variants.{}", variant.name.text()),
                  "only models have variants; a dataset or space has only the variant all");

  check_ref_of_commit(object, model, *ref);
  read_locked_variants(object, model);
  return model;
}

Manifest read_manifest(const ManifestJson& json, Defect& defect) {
  ObjectReader object(json, "", defect);
  object.require("version");
  if (const ManifestJson* version = object.find("version"); version != nullptr && *version != 1)
    object.fail("version", "should be 1");

  Manifest manifest{.models = {}, .policy = read_policy(object, {})};
  object.require("models");
  object.each("models", [&](const auto& key, ObjectReader& member) {
    if (auto model = read_model(key, member, manifest.policy))
      manifest.models.push_back(std::move(*model));
  });
  object.refuse_unknown_members();
  return manifest;
}

}  // namespace

Result<Manifest> parse_manifest(std::string_view text, std::string_view name) {
  const auto refuse = [&](std::string_view defect) {
    return Error{ErrorKind::usage,
                 fmt::format("manifest {}: {}", name, truncated(defect, kMaxDefectLength)),
                 "docs/manifest-and-locks.md describes the format"};
  };

  // Before parsing: nlohmann's tree of a few deep megabytes would take gigabytes, and of a member
  // that is there twice it silently takes the last.
  if (const auto fault = json_tree_fault(text)) return refuse(*fault);

  ManifestJson json;
  try {
    constexpr bool kMayThrow = true;
    constexpr bool kIgnoreComments = true;
    json = ManifestJson::parse(text, nullptr, kMayThrow, kIgnoreComments);
  } catch (const nlohmann::json::exception& exception) {
    // Only the exception says at which line and column the text is not JSON.
    return refuse(exception.what());
  }

  Defect defect;
  Manifest manifest = read_manifest(json, defect);
  if (defect) return refuse(*defect);
  return manifest;
}

}  // namespace model_prep
