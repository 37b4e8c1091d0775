// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/repository.h"

#include "model_prep/core/fetch_plan.h"
#include "model_prep/io/posix.h"

namespace model_prep {

Status check_refs(const Repository& repository, const ModelSpec& spec) {
  const CacheLayout& layout = repository.layout;
  const auto refuse = [&](const std::string& ref, const std::string& parent) {
    Error error = nested_refs_error(spec.repo, ref, parent);
    error.message += "; there is " + layout.ref(parent);
    return error;
  };

  for (const std::string& name : {spec.ref, spec.revision.text()}) {
    for (const std::string& parent : parents_of_ref(name))
      if (const auto found = lstat_path(layout.ref(parent)); found && !found->is_folder)
        return refuse(name, parent);

    // Directories that hold no ref are replaced when the ref is written.
    if (!is_directory(layout.ref(name))) continue;
    for (const std::string& inside : list_recursively(layout.ref(name)))
      if (!is_directory(inside)) return refuse(inside.substr(layout.refs.size() + 1), name);
  }
  return ok();
}

}  // namespace model_prep
