// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/manifest.h"

#include <algorithm>

#include "fuzz/targets.h"
#include "model_prep/core/fetch_plan.h"
#include "model_prep/core/file_selection.h"
#include "model_prep/core/model_selection.h"

namespace model_prep::fuzz {
namespace {

void check_spec(const ModelSpec& spec) {
  require(Revision::parse(spec.ref).has_value(), "a ref is one");
  require(!spec.fully_locked || !spec.lock.empty(), "a full lock names files");
  std::vector<RemoteFile> files = locked_files(spec);
  for (const RemoteFile& file : files) {
    check_path(file.path);
    require(file.locked && file.size >= 0 && file.size <= kMaxFileSize,
            "a lock has possible sizes");
  }
  // The files of a lock fit the lock.
  if (Status locked = apply_lock(files, spec); !locked) check_message(locked.error());
  require(
      std::none_of(files.begin(), files.end(), [](const RemoteFile& file) { return !file.locked; }),
      "all locked");
}

}  // namespace

void manifest(std::string_view input) {
  const auto found = parse_manifest(input, "m.json");
  if (!found) {
    require(found.error().kind == ErrorKind::usage, "a manifest is refused as usage");
    return check_message(found.error());
  }
  for (const ManifestModel& model : found->models) {
    for (const auto& [path, file] : model.files) {
      check_path(path);
      require(file.sha256 || file.git_sha1, "a locked file has a digest");
    }
    require(tightened(model.policy, found->policy) == model.policy,
            "a model is held to the policy of the manifest");
    require((!model.facts.licenses && !model.facts.scan) || model.revision.commit(),
            "license and scan are those of a commit");
  }
  for (const std::string_view build : kNames<Build>) {
    const auto specs = select_models(*found, {}, *value_of<Build>(build));
    if (!specs) continue;  // a key may be of any length, and is named
    for (const ModelSpec& spec : *specs) check_spec(spec);
    static_cast<void>(check_ref_conflicts(*specs).has_value());
  }
}

}  // namespace model_prep::fuzz
