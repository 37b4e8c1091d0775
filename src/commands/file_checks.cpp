// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/file_checks.h"

#include <functional>
#include <map>
#include <set>

#include <fmt/format.h>

#include "model_prep/base/text.h"
#include "model_prep/core/build_table.h"
#include "model_prep/core/deciding_files.h"
#include "model_prep/core/gguf.h"
#include "model_prep/core/pickle_files.h"
#include "model_prep/core/safetensors.h"
#include "model_prep/core/shard_index.h"
#include "model_prep/core/weight_checks.h"
#include "model_prep/core/weight_names.h"
#include "model_prep/io/file_range.h"

namespace model_prep {
namespace {

/// Looks into the headers of one model's files.
class Inspector {
 public:
  Inspector(const ResolvedSnapshot& snapshot, const Cache& cache, FileChecks& checks)
      : snapshot_(snapshot), cache_(cache), checks_(checks) {}

  void check_formats() {
    for (const RemoteFile& file : snapshot_.files) {
      const std::string& path = file.path.text();
      if (role_of(path) == FileRole::foreign) continue;
      const std::string extension = lower_case(extension_of(path));
      if (extension == kSafetensors) check_safetensors(file);
      if (extension == ".gguf") check(file, "GGUF", check_gguf);
      if (extension == ".onnx") check_onnx(file);
    }
    for (const RemoteFile& file : snapshot_.files)
      if (is_shard_index(file.path.text())) check_index(file);
  }

  /// Says which files are pickles, and what those import beyond PyTorch's list, as far as the
  /// policy wants to know.
  void check_pickles(Look look) {
    const PicklePolicy policy = snapshot_.spec.policy.pickle_policy();
    if (policy == PicklePolicy::allow) return;

    const bool is_strict = policy >= PicklePolicy::forbid_code && look != Look::first_bytes;
    const bool all = is_strict || look == Look::headers;
    const std::set<RepoPath> shards = all ? shards_for_pickles(is_strict) : std::set<RepoPath>();
    Pickles found;
    for (const RemoteFile& file : snapshot_.files) {
      if (!is_pickle_name(file.path.text()) && !shards.contains(file.path)) continue;
      auto findings = look_at_pickle(file, all ? PickleDepth::imports : PickleDepth::form);
      if (!findings && is_strict)
        findings = {.form = PickleForm::opaque, .why = "it cannot be read"};
      if (findings) found.emplace(file.path.text(), std::move(*findings));
    }

    if (is_strict)
      refuse_pickles(policy, found);
    else
      warn_of_pickles(found, shards, look);
  }

 private:
  using Pickles = std::map<std::string, PickleFindings>;  // by path

  /// The shards that an index gives to PyTorch's loader of pickles: for transformers, those are all
  /// that are not called .safetensors.
  std::set<RepoPath> shards_for_pickles(bool is_strict) {
    std::set<RepoPath> found;
    for (const RemoteFile& file : snapshot_.files) {
      const auto weights = parse_weights(name_of(file.path.text()));
      if (!weights || weights->part != Part::index) continue;

      const auto content = cache_.content(snapshot_.spec.repo, snapshot_.commit, file);
      const auto text = read_file(content.path, kMaxShardIndex);
      DecidingFacts facts;
      const bool is_read =
          text && read_deciding_file(facts, file.path, *text, {}, snapshot_.spec.repo.text());

      // transformers may understand an index that is not understood here, or one that names a file
      // outside of its directory.
      if (!is_read && is_strict)
        refuse(file.path.text(), "its shards cannot be told from it, and may be pickles");
      for (const RepoPath& shard : facts.shards[file.path])
        if (!shard.text().ends_with(kSafetensors)) found.insert(shard);
    }
    return found;
  }

  void check_safetensors(const RemoteFile& file) {
    check(file, "safetensors", [&](const FileRange& range) {
      Safetensors read = read_safetensors(range);
      FormatCheck found = read.check;
      if (found.format == Format::sound) shards_[file.path.text()] = std::move(read);
      return found;
    });
  }

  Result<UniqueFd> open(const RemoteFile& file) const {
    return open_for_reading(cache_.content(snapshot_.spec.repo, snapshot_.commit, file).path);
  }

  std::optional<PickleFindings> look_at_pickle(const RemoteFile& file, PickleDepth depth) const {
    const auto fd = open(file);
    const auto range = fd ? range_of(*fd) : std::nullopt;
    return range ? std::optional(look_for_pickle(*range, depth)) : std::nullopt;
  }

  void check(const RemoteFile& file, std::string_view format,
             const std::function<FormatCheck(const FileRange&)>& look) {
    const auto fd = open(file);
    const auto range = fd ? range_of(*fd) : std::nullopt;
    const FormatCheck found =
        range ? look(*range) : FormatCheck{Format::unknown, "it cannot be read"};
    if (found.format == Format::sound) return;

    const std::string& path = file.path.text();
    if (found.format == Format::unknown)
      return warn(fmt::format("{} was not looked into: {}", truncated(path), found.why));
    fail(path,
         {ErrorKind::malformed,
          fmt::format("{} {}: it is no {} file that can be loaded: {}", snapshot_.spec.repo.text(),
                      path, format, found.why),
          fmt::format(
              "its digest is right, so it was published like this: choose another revision, or {}",
              how_to_leave_out(snapshot_.spec))});
  }

  void refuse_pickles(PicklePolicy policy, const Pickles& found) {
    for (const auto& [path, findings] : found)
      if (const auto refusal = pickle_refusal(policy, path, findings)) refuse(path, *refusal);
  }

  void refuse(const std::string& path, std::string_view why) {
    fail(path,
         {ErrorKind::pickle_forbidden,
          fmt::format("{} {}: {}, which the policy forbids", snapshot_.spec.repo.text(), path, why),
          fmt::format("choose a revision with safetensors, or {}",
                      how_to_leave_out(snapshot_.spec))});
  }

  void warn_of_pickles(const Pickles& found, const std::set<RepoPath>& shards, Look look) {
    const auto known = [&](const RemoteFile& file) -> std::optional<PickleFindings> {
      const auto at = found.find(file.path.text());
      return at == found.end() ? std::nullopt : std::optional(at->second);
    };
    if (const auto warning = pickle_warning(snapshot_, known, shards))
      checks_.warnings.push_back(*warning);
    if (snapshot_.spec.repo.kind() != RepoKind::model || look != Look::headers) return;

    for (const auto& [path, findings] : found)
      if (const auto imports = import_warning(truncated(path), findings)) warn(*imports);
  }

  /// The first reason counts.
  void fail(const std::string& path, Error error) {
    if (checks_.error) return;
    checks_.error = std::move(error);
    checks_.file = path;
  }

  void check_onnx(const RemoteFile& file) {
    const auto fd = open(file);
    const auto range = fd ? range_of(*fd) : std::nullopt;
    const std::string& path = file.path.text();
    const auto data = range ? external_data_of(*range) : std::nullopt;
    if (!data) return warn(truncated(path) + " cannot be read as an ONNX model");
    if (by_path_.empty()) by_path_ = by_path(snapshot_.files);
    if (const auto fault = external_data_fault(path, *data, by_path_)) warn(*fault);
  }

  void check_index(const RemoteFile& file) {
    const auto content = cache_.content(snapshot_.spec.repo, snapshot_.commit, file);
    const auto text = read_file(content.path, kMaxShardIndex);
    const auto fault = text ? shard_index_fault(*text, file.path.text(), shards_) : std::nullopt;
    if (fault) warn(fmt::format("{}: {}", truncated(file.path.text()), *fault));
  }

  void warn(const std::string& what) {
    checks_.warnings.push_back(fmt::format("{}: {}", snapshot_.spec.key, what));
  }

  const ResolvedSnapshot& snapshot_;
  const Cache& cache_;
  FileChecks& checks_;
  Shards shards_;
  FilesByPath by_path_;  // once there is an ONNX model
};

}  // namespace

FileChecks check_files(const ResolvedSnapshot& snapshot, const Cache& cache, Look look) {
  FileChecks checks;
  if (Status whole = check_pointers(snapshot, cache.first_bytes_of(snapshot)); !whole)
    checks.error = whole.error();

  Inspector inspector(snapshot, cache, checks);
  inspector.check_pickles(look);
  if (look == Look::headers && snapshot.spec.repo.kind() == RepoKind::model)
    inspector.check_formats();
  return checks;
}

}  // namespace model_prep
