// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/builds.h"

#include <algorithm>
#include <map>
#include <optional>
#include <unordered_set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "model_prep/base/text.h"
#include "model_prep/core/build_table.h"
#include "model_prep/core/exported_builds.h"
#include "model_prep/core/torch_weights.h"
#include "model_prep/core/weight_checks.h"

namespace model_prep {
namespace {

constexpr std::string_view kModules = "modules.json";
constexpr std::string_view kPipeline = "model_index.json";
constexpr std::string_view kConfig = "config.json";
constexpr std::string_view kParams = "params.json";
constexpr std::string_view kGitAttributes = ".gitattributes";
constexpr std::size_t kMaxListedBuilds = 30;

/// A directory such as `2_Dense/`, if no modules.json says which directories are modules.
bool looks_like_later_module(std::string_view folder) {
  const std::size_t digits = folder.find_first_not_of("0123456789");
  return digits != std::string_view::npos && digits > 0 && folder[digits] == '_' &&
         folder.front() != '0';
}

bool is_mistral(std::string_view path) {
  return folder_of(path).empty() && path.starts_with("consolidated") &&
         path.find(kSafetensors) != std::string_view::npos;
}

class Repository {
 public:
  Repository(const std::vector<ListedFile>& all, const DecidingFacts& facts,
             std::string_view object)
      : all_(all),
        facts_(facts),
        object_(object),
        plain_(all, facts, Precision::plain),
        exports_(find_exported_builds(all, facts)) {
    for (const ListedFile& file : all) sizes_.emplace(file.path.text(), file.size);
  }

  Result<SelectedFiles> select(const Variant& wanted) const {
    const auto exports = find_exports(wanted);
    if (exports.size() > 1) return several(wanted, exports);

    auto selected = find(wanted);
    if (!selected && wanted.name.empty())  // what is named exactly has nothing in its place
      for (const Build other : fallbacks_of(wanted.build))
        if (!selected) selected = find(other);
    if (!selected) return missing(wanted);

    add_small_files(*selected);
    if (Status whole = add_named_files(*selected); !whole) return whole.error();
    if (Status whole = check_splits(*selected); !whole) return whole.error();
    add_git_attributes(*selected);
    return std::move(*selected);
  }

  std::vector<AvailableBuild> builds() const {
    std::vector<AvailableBuild> found;
    for (const Build build : {Build::fp32, Build::fp16, Build::mistral})
      if (const auto weights = find(build); weights && !weights->files.empty())
        found.push_back(describe(build, weights->files));
    for (const ExportedBuild& build : exports_)
      found.push_back(describe(shortest_name(build), build.files));
    std::ranges::stable_sort(found, {}, [](const AvailableBuild& build) {
      return std::pair(build.variant.build, !build.variant.name.empty());
    });
    return found;
  }

 private:
  /// The weights of one build; nothing if it is not there.
  std::optional<SelectedFiles> find(const Variant& wanted) const {
    switch (wanted.build) {
      case Build::fp32: return find_torch(Build::fp32, plain_, true);
      case Build::fp16: {
        const TorchWeights half(all_, facts_, Precision::fp16);
        return find_torch(Build::fp16, half, half.has_fp16());
      }
      case Build::mistral: return find_mistral();
      case Build::all: return everything();
      default: break;
    }

    const auto found = find_exports(wanted);
    if (found.size() != 1) return std::nullopt;

    const ExportedBuild& build = *found.front();
    SelectedFiles selected{.variant = wanted, .files = build.files, .deciding = build.unread};
    for (const auto& [model, data] : facts_.external_data)
      if (selected.files.contains(model)) selected.deciding.insert(model);
    return selected;
  }

  std::optional<SelectedFiles> find_torch(Build build, const TorchWeights& weights,
                                          bool is_there) const {
    const bool is_exported_only = !exports_.empty() && !weights.has_model();
    if (!is_there || is_exported_only) return std::nullopt;

    // A repository without any weights is fine: it may hold a tokenizer only. But one with those of
    // other frameworks is not for PyTorch.
    SelectedFiles selected{.variant = build};
    for (const ListedFile& file : all_) {
      if (weights.empty() && role_of(file.path.text()) == FileRole::unused) return std::nullopt;
      if (weights.keeps(file.path) || weights.needs_onnx(file.path))
        selected.files.insert(file.path);
      if (weights.is_kept_index(file.path)) selected.deciding.insert(file.path);
    }
    add_if_there(kPipeline, selected.deciding);
    if (weights.depends_on_config() || !facts_.named_weights.empty() || facts_.is_ctranslate2)
      add_if_there(kConfig, selected.deciding);
    return selected;
  }

  std::optional<SelectedFiles> find_mistral() const {
    SelectedFiles selected{.variant = Build::mistral};
    if (!has(kParams)) return std::nullopt;
    for (const ListedFile& file : all_) {
      if (!is_mistral(file.path.text())) continue;
      selected.files.insert(file.path);
      if (extension_of(file.path.text()) == ".json") selected.deciding.insert(file.path);
    }
    const bool is_there = std::ranges::any_of(selected.files, [](const RepoPath& path) {
      return extension_of(path.text()) == kSafetensors;
    });
    if (!is_there) return std::nullopt;
    return selected;
  }

  SelectedFiles everything() const {
    SelectedFiles selected{.variant = Build::all};
    for (const ListedFile& file : all_) selected.files.insert(file.path);
    return selected;
  }

  /// More than one if several could be meant.
  std::vector<const ExportedBuild*> find_exports(const Variant& wanted) const {
    const Build form = wanted.build == Build::openvino_int8 ? Build::openvino : wanted.build;
    std::vector<const ExportedBuild*> found;
    for (const ExportedBuild& build : exports_)
      if (build.variant.build == form && matches(build, wanted)) found.push_back(&build);
    if (found.size() < 2) return found;

    // `Q4_K_M` is that, and not `UD-Q4_K_M`.
    const auto is_exact = [&](const ExportedBuild* build) {
      return lower_case(build->variant.name) == lower_case(wanted.name);
    };
    if (!wanted.name.empty() && std::ranges::count_if(found, is_exact) == 1)
      return {*std::ranges::find_if(found, is_exact)};

    // Of the same name in `onnx/` and in the root, the first is what libraries look for.
    for (const bool in_folder_of_form : {true, false}) {
      const auto is_there = [&](const ExportedBuild* build) {
        return build->in_folder_of_form == in_folder_of_form &&
               (!wanted.name.empty() || is_meant(*build, wanted.build));
      };
      if (std::ranges::count_if(found, is_there) == 1)
        return {*std::ranges::find_if(found, is_there)};
    }

    // Without a name, one that is not the plain model is hardly what a service looks for.
    if (form == Build::openvino && wanted.name.empty()) return {};
    return found;
  }

  bool matches(const ExportedBuild& build, const Variant& wanted) const {
    if (!wanted.name.empty()) return build.names.contains(lower_case(wanted.name));
    if (wanted.build == Build::openvino) return !is_int8(build);
    return wanted.build != Build::openvino_int8 || is_meant(build, wanted.build);
  }

  /// What a build without a name means, if there are several of its form.
  bool is_meant(const ExportedBuild& build, Build wanted) const {
    // The precision of OpenVINO's own repositories is in their names.
    if (wanted == Build::openvino_int8)
      return is_int8(build) || (build.is_plain && !build.in_folder_of_form && plain_.empty());
    return build.is_plain;
  }

  static bool is_int8(const ExportedBuild& build) {
    return build.variant.name.find("int8") != std::string::npos;
  }

  /// Without a name, if that means this build.
  Variant shortest_name(const ExportedBuild& build) const {
    for (const Build form : {build.variant.build, Build::openvino_int8})
      if (find_exports(form) == std::vector{&build}) return form;
    if (find_exports(build.variant) == std::vector{&build}) return build.variant;

    // Of builds with the same name, the path tells which is meant.
    return {build.variant.build, build.path_name};
  }

  // ---- what goes with the weights ----

  void add_small_files(SelectedFiles& selected) const {
    if (selected.variant.build == Build::all) return;

    const bool is_torch =
        selected.variant.build == Build::fp32 || selected.variant.build == Build::fp16;
    std::unordered_set<std::string_view> folders;
    for (const RepoPath& path : selected.files) folders.insert(folder_of(path.text()));
    const bool has_weights = !selected.files.empty();

    std::set<RepoPath> more;
    for (const ListedFile& file : all_) {
      const std::string_view path = file.path.text();
      if (role_of(path) == FileRole::small) {
        const bool is_of_other_form =
            is_in_folder_of_form(path) || (has_weights && is_in_folder_of_vendor(path));
        if (name_of(path) != kGitAttributes &&
            (!is_of_other_form || folders.contains(folder_of(path))))
          more.insert(file.path);
      } else if (!is_torch && is_in_later_module(path) && plain_.keeps(file.path)) {
        more.insert(file.path);
        if (plain_.is_kept_index(file.path)) selected.deciding.insert(file.path);
      } else if (!is_torch && is_needed_by_every_build(path)) {
        more.insert(file.path);
      }
    }
    selected.files.merge(more);

    const bool could_have_modules = std::ranges::any_of(all_, [&](const ListedFile& file) {
      return !folder_of(file.path.text()).empty() && plain_.keeps(file.path);
    });
    if (!is_torch && could_have_modules) add_if_there(kModules, selected.deciding);
  }

  bool is_in_later_module(std::string_view path) const {
    const std::string_view folder = folder_of(path);
    if (!has(kModules) || folder.empty()) return false;
    if (!facts_.later_modules) return looks_like_later_module(folder);

    // Both may be many, so the modules are not compared one by one.
    for (std::size_t slash = path.find('/'); slash != path.npos; slash = path.find('/', slash + 1))
      if (facts_.later_modules->contains(path.substr(0, slash + 1))) return true;
    return false;
  }

  /// What an index or a model names must be there.
  Status add_named_files(SelectedFiles& selected) const {
    for (const auto* named : {&facts_.shards, &facts_.external_data}) {
      for (const auto& [by, files] : *named) {
        if (!selected.files.contains(by)) continue;
        for (const RepoPath& file : files)
          if (!has(file.text()))
            return incomplete_error(
                object_, fmt::format("{} lists {}, which does not exist", sanitize(by.text()),
                                     sanitize(file.text())));
        selected.files.insert(files.begin(), files.end());
      }
    }
    return ok();
  }

  /// Of a model in GGUF that is split, all splits must be there.
  Status check_splits(const SelectedFiles& selected) const {
    if (selected.variant.build != Build::gguf) return ok();
    for (const RepoPath& path : selected.files)
      for (const std::string& other : all_shards(path.text()))
        if (!has(other))
          return incomplete_error(object_,
                                  fmt::format("{} is a part of a model, but {} does not exist",
                                              sanitize(path.text()), sanitize(other)));
    return ok();
  }

  /// With this small file the selection is the whole commit, for which huggingface_hub wants a
  /// listing (docs/developing/hub-protocol.md, section 1.9).
  void add_git_attributes(SelectedFiles& selected) const {
    if (selected.files.size() + 1 == all_.size()) add_if_there(kGitAttributes, selected.files);
  }

  bool has(std::string_view path) const { return sizes_.contains(path); }

  void add_if_there(std::string_view path, std::set<RepoPath>& paths) const {
    if (has(path)) paths.insert(*RepoPath::parse(path));
  }

  // ---- what there is ----

  AvailableBuild describe(Variant variant, const std::set<RepoPath>& files) const {
    AvailableBuild build{.variant = std::move(variant)};
    for (const RepoPath& path : files) {
      const auto size = sizes_.find(path.text());
      build.size += size == sizes_.end() ? 0 : size->second;
      build.files.push_back(path.text());
    }
    return build;
  }

  std::string list_builds(const std::vector<AvailableBuild>& builds) const {
    Strings texts;
    for (const AvailableBuild& build : builds) {
      if (texts.size() == kMaxListedBuilds) {
        texts.push_back(fmt::format("{} more", builds.size() - kMaxListedBuilds));
        break;
      }
      texts.push_back(
          fmt::format("{} ({})", sanitize(build.variant.text()), format_bytes(build.size)));
    }
    return fmt::format("{}", fmt::join(texts, ", "));
  }

  Error missing(const Variant& wanted) const {
    const auto there = builds();
    std::string what = fmt::format("there is no build {}", wanted.text());
    if (wanted.build == Build::fp32 || !fallbacks_of(wanted.build).empty()) {
      const auto other = std::ranges::find_if(all_, [](const ListedFile& file) {
        const FileRole role = role_of(file.path.text());
        return role != FileRole::small && role != FileRole::torch && role != FileRole::foreign;
      });
      if (wanted.name.empty() && other != all_.end())
        what = fmt::format("there are no weights for PyTorch, only files such as {}",
                           sanitize(other->path.text()));
    }
    return {ErrorKind::not_found, fmt::format("{}: {}", object_, what),
            there.empty() ? "select files with --include, or use --variant all"
                          : fmt::format("choose one of its builds with --variant or {}:BUILD: {}; "
                                        "or select files with --include",
                                        object_, list_builds(there))};
  }

  Error several(const Variant& wanted, const std::vector<const ExportedBuild*>& found) const {
    std::vector<AvailableBuild> builds;
    for (const ExportedBuild* build : found)
      builds.push_back(describe(shortest_name(*build), build->files));
    return {ErrorKind::not_found,
            fmt::format("{}: there are {} builds that {} could mean", object_, found.size(),
                        wanted.text()),
            fmt::format("choose one with --variant or {}:BUILD: {}", object_, list_builds(builds))};
  }

  const std::vector<ListedFile>& all_;
  const DecidingFacts& facts_;
  const std::string_view object_;
  const TorchWeights plain_;
  const std::vector<ExportedBuild> exports_;
  std::map<std::string_view, Bytes> sizes_;
};

}  // namespace

Result<SelectedFiles> select_build(const std::vector<ListedFile>& all, const Variant& wanted,
                                   const DecidingFacts& facts, std::string_view object) {
  return Repository(all, facts, object).select(wanted);
}

std::vector<AvailableBuild> available_builds(const std::vector<ListedFile>& all,
                                             const DecidingFacts& facts) {
  return Repository(all, facts, {}).builds();
}

}  // namespace model_prep
