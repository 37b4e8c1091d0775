// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/kserve_arguments.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "model_prep/base/model_spec.h"
#include "model_prep/base/text.h"

namespace model_prep {
namespace {

constexpr std::string_view kHub = "hf://";
constexpr const char* kExample = "write: model-prep kserve-init hf://org/name:revision /mnt/models";

Error usage(std::string message, std::string hint = kExample) {
  return {ErrorKind::usage, std::move(message), std::move(hint)};
}

/// Of an address that is not the Hub's: who fetches that.
std::string who_takes(std::string_view scheme) {
  if (scheme == "pvc://") return "KServe mounts pvc:// itself and needs no storage initializer";
  if (scheme == "oci://") return "KServe takes oci:// itself; see enableOciImageSource there";
  return fmt::format(
      "leave {} to KServe's own storage initializer: name only hf:// in supportedUriFormats of this "
      "ClusterStorageContainer",
      scheme);
}

Result<std::string> parse_address(const std::string& uri) {
  const std::size_t scheme = uri.find("://");
  if (scheme == std::string::npos)
    return usage(fmt::format("'{}' is no address of a model", truncated(uri)));
  if (!uri.starts_with(kHub))
    return usage(fmt::format("kserve-init downloads from the Hub only, not '{}'", truncated(uri)),
                 who_takes(uri.substr(0, scheme + 3)));

  const std::string rest = uri.substr(kHub.size());
  const std::size_t colon = rest.find(':');
  const std::string name = rest.substr(0, colon);
  if (name.find('@') != std::string::npos)
    return usage(fmt::format("'{}' has a revision behind @", truncated(uri)),
                 "KServe writes it behind a colon: hf://org/name:revision");
  if (std::ranges::count(name, '/') != 1)
    return usage(
        fmt::format("'{}' is not hf://org/name[:revision]", truncated(uri)),
        "KServe serves models: a dataset, a space or a file of a repository has no address "
        "there");
  const auto repo = RepoId::parse(name);
  if (!repo) return repo.error();
  if (colon == std::string::npos) return name;

  // git allows no colon in a ref, so this can only be meant for a build.
  if (rest.find(':', colon + 1) != std::string::npos)
    return usage(fmt::format("'{}' has a second colon", truncated(uri)),
                 "an address cannot name a build: choose it with --variant BUILD");

  const auto revision = Revision::parse(rest.substr(colon + 1));
  if (!revision) return revision.error();
  return name + "@" + revision->text();
}

Result<std::string> parse_folder(const std::string& folder, const std::string& uri) {
  if (folder.find("://") != std::string::npos)
    return usage(fmt::format("the destination of {} is missing: '{}' follows it", truncated(uri),
                             truncated(folder)));
  if (!folder.starts_with('/'))
    return usage(fmt::format("the destination '{}' of {} is no absolute path", truncated(folder),
                             truncated(uri)));
  return folder;
}

}  // namespace

Result<std::vector<KserveModel>> parse_kserve_arguments(const Strings& arguments) {
  if (arguments.empty() || arguments.size() % 2 != 0)
    return usage(
        fmt::format("kserve-init takes an address and a destination for each model, and got {}",
                    format_count(arguments.size(), "argument")));

  std::vector<KserveModel> models;
  std::set<std::string> seen;
  for (std::size_t i = 0; i < arguments.size(); i += 2) {
    auto name = parse_address(arguments[i]);
    if (!name) return name.error();
    auto folder = parse_folder(arguments[i + 1], arguments[i]);
    if (!folder) return folder.error();

    for (const std::string& each : {*name, *folder})
      if (!seen.insert(each).second)
        return usage(fmt::format("'{}' is given twice", truncated(each)),
                     "every model has one destination of its own");
    models.push_back({std::move(*name), std::move(*folder)});
  }

  std::ranges::sort(models, {}, &KserveModel::folder);
  return models;
}

}  // namespace model_prep
