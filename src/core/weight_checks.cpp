// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/weight_checks.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "model_prep/base/text.h"
#include "model_prep/core/build_table.h"
#include "model_prep/core/weight_names.h"

namespace model_prep {

Error incomplete_error(std::string_view object, std::string_view what) {
  return {
      ErrorKind::not_found, fmt::format("{}: {}", object, what),
      "the repository is incomplete at this revision: choose another one, or select files with --include"};
}

std::string how_to_leave_out(const ModelSpec& spec, std::string_view pattern) {
  const Strings& include = spec.filter.include;
  const bool takes_the_rest =
      spec.filter.from_command_line || std::ranges::find(include, "*") != include.end();
  if (!takes_the_rest) return "select the files that you need with --include";
  return pattern.empty() ? "leave the file out with --exclude"
                         : fmt::format("leave the file out with --exclude '{}'", pattern);
}

Status check_openvino(const std::vector<RemoteFile>& files, const ModelSpec& spec) {
  const Build build = spec.variant.build;
  if ((build != Build::openvino && build != Build::openvino_int8) || spec.filter.from_command_line)
    return ok();

  std::set<std::string_view> names;
  for (const RemoteFile& file : files) names.insert(file.path.text());

  for (const std::string_view name : names) {
    const std::string_view extension = extension_of(name);
    const bool is_half = extension == ".xml" || extension == ".bin";
    const bool is_export =
        role_of(name) == FileRole::openvino || (extension == ".xml" && is_in_folder_of_form(name));
    const bool needs_other = is_half && is_export;
    const std::string other = other_half_of(name);
    if (needs_other && !names.contains(other))
      return incomplete_error(
          spec.repo.text(),
          fmt::format("{} is selected without {}, but an OpenVINO model needs both", sanitize(name),
                      sanitize(other)));
  }
  return ok();
}

Status check_pointers(const ResolvedSnapshot& snapshot, const FirstBytes& first_bytes) {
  constexpr Bytes kMaxPointerSize = 1024;
  constexpr std::string_view kPointer = "version https://git-lfs.github.com/spec/";
  for (const RemoteFile& file : snapshot.files) {
    const std::string& path = file.path.text();
    if (file.blob.kind() != DigestKind::git_sha1 || file.size > kMaxPointerSize ||
        role_of(path) == FileRole::small)
      continue;
    if (first_bytes(file).value_or("").starts_with(kPointer))
      return Error{
          ErrorKind::not_found,
          fmt::format(
              "{} {}: the repository has a Git LFS pointer of {} bytes instead of the weights",
              snapshot.spec.repo.text(), path, file.size),
          fmt::format("it was uploaded without Git LFS: choose another revision, or {}",
                      how_to_leave_out(snapshot.spec))};
  }
  return ok();
}

std::optional<std::string> pickle_warning(const ResolvedSnapshot& snapshot,
                                          const LookForPickle& look,
                                          const std::set<RepoPath>& shards) {
  if (snapshot.spec.repo.kind() != RepoKind::model) return std::nullopt;

  std::vector<const RemoteFile*> candidates;
  for (const RemoteFile& file : snapshot.files)
    if ((is_pickle_name(file.path.text()) && role_of(file.path.text()) == FileRole::torch) ||
        shards.contains(file.path))
      candidates.push_back(&file);
  if (candidates.empty()) return std::nullopt;

  const std::vector<RemoteFile>& all = snapshot.listing.empty() ? snapshot.files : snapshot.listing;
  std::set<std::string_view> names;
  std::set<std::string_view> safetensors_folders;
  for (const RemoteFile& file : all) {
    names.insert(file.path.text());
    if (extension_of(file.path.text()) == kSafetensors)
      safetensors_folders.insert(folder_of(file.path.text()));
  }

  std::vector<std::string_view> pickles;
  bool replaceable = false;
  bool certain = true;
  for (const RemoteFile* file : candidates) {
    const std::string_view path = file->path.text();

    // OpenVINO's .bin is plain data.
    if (names.contains(std::string(stem_of(path)) + ".xml")) continue;

    const auto findings = look(*file);
    if (findings && findings->form == PickleForm::none && !is_only_pickle_name(path)) continue;
    const bool is_certain = findings && findings->form == PickleForm::pickle;
    certain = certain && is_certain;
    pickles.push_back(path);
    replaceable = replaceable || safetensors_folders.contains(folder_of(path));
  }

  // Somebody who takes the whole commit gets the safetensors too.
  if (pickles.empty() || (replaceable && snapshot.spec.whole_commit)) return std::nullopt;

  const bool one = pickles.size() == 1;
  std::string text = fmt::format("{}: {}{} {}, which can run code when loaded", snapshot.spec.key,
                                 truncated(pickles.front()),
                                 one ? "" : fmt::format(" and {} more", pickles.size() - 1),
                                 certain ? (one ? "is a pickle" : "are pickles")
                                         : (one ? "may be a pickle" : "may be pickles"));
  if (replaceable) return text + "; there are safetensors in the same directory";

  // Without the listing it is not known whether the repository has safetensors.
  if (!safetensors_folders.empty() || snapshot.listing.empty()) return text;
  return text +
         ", and this revision has no safetensors; the Hub may have a conversion of it, as refs/pr/N";
}

FilesByPath by_path(const std::vector<RemoteFile>& files) {
  FilesByPath found;
  for (const RemoteFile& file : files) found.emplace(file.path.text(), &file);
  return found;
}

std::optional<std::string> external_data_fault(std::string_view path, const ExternalData& data,
                                               const FilesByPath& files) {
  for (const auto& [location, needed] : data) {
    const std::size_t start = location.starts_with("./") ? 2 : 0;
    const std::string wanted = std::string(folder_of(path)) + location.substr(start);
    const auto found = files.find(wanted);
    if (found == files.end())
      return fmt::format("{} keeps data in {}, which is not one of the files", truncated(path),
                         truncated(wanted));
    const Bytes size = found->second->size;
    if (static_cast<std::uint64_t>(size) < needed)
      return fmt::format("{} keeps data up to byte {} of {}, which has {}", truncated(path), needed,
                         truncated(wanted), size);
  }
  return std::nullopt;
}

std::optional<std::string> pickle_refusal(PicklePolicy policy, std::string_view path,
                                          const PickleFindings& findings) {
  // A name that only pickles have, but none of the forms that are known here: a compressed one.
  const bool is_unknown = findings.form == PickleForm::none && is_only_pickle_name(path);
  if (policy < PicklePolicy::forbid_code || (findings.form == PickleForm::none && !is_unknown))
    return std::nullopt;

  const std::set<std::string>& imports = findings.imports;
  if (!imports.empty())
    return fmt::format("it is a pickle that imports {}{}", truncated(*imports.begin()),
                       imports.size() == 1 ? "" : fmt::format(" and {} more", imports.size() - 1));
  if (is_unknown) return "it may be a pickle, in a form that cannot be looked into";
  if (findings.form == PickleForm::opaque)
    return "it may be a pickle, and it cannot be looked into: " + findings.why;
  if (policy == PicklePolicy::forbid) return "it is a pickle";
  return std::nullopt;
}

std::optional<std::string> import_warning(std::string_view object, const PickleFindings& findings) {
  const std::set<std::string>& imports = findings.imports;
  if (imports.empty() && findings.form != PickleForm::opaque) return std::nullopt;
  if (imports.empty()) return fmt::format("{} was not looked into: {}", object, findings.why);

  return fmt::format("{} imports {}{}, which PyTorch's weights_only loading refuses", object,
                     truncated(*imports.begin()),
                     imports.size() == 1 ? "" : fmt::format(" and {} more", imports.size() - 1));
}

}  // namespace model_prep
