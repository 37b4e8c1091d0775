// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/dependencies.h"

#include "fuzz/targets.h"
#include "model_prep/base/text.h"

namespace model_prep::fuzz {
namespace {

void check(const Dependency& dependency, const ModelSpec& model, const RepoPath& file) {
  require(RepoId::parse(dependency.repo.text()).has_value(),
          "a dependency has a repository's name");
  require(dependency.repo != model.repo, "a model does not need itself");
  require(dependency.repo.kind() == RepoKind::model, "what a model needs is a model's repository");
  require(dependency.file == file, "a dependency comes from the file that was read");
  require(is_utf8(dependency.reason), "a reason can be printed");
  for (const RepoPath& needed : dependency.needed) check_path(needed);

  const ModelSpec spec = dependency_spec(dependency, model);
  require(spec.repo == dependency.repo && spec.revision == dependency.revision,
          "it becomes a model of the run");
  require(spec.key == dependency.key() && spec.key.starts_with(spec.repo.text()),
          "under the name of its repository");
}

}  // namespace

void dependencies(std::string_view input) {
  Lines lines(input);
  const auto file = RepoPath::parse(lines.next());
  if (!file) return;

  const ModelSpec model{.key = "org/name",
                        .repo = *RepoId::parse("org/name"),
                        .revision = *Revision::parse("main"),
                        .ref = "main",
                        .filter = {}};
  const auto found = find_dependencies({{*file, std::string(lines.rest())}}, model, {});
  require(found.size() <= kMaxDependencies, "a file names a bounded number of dependencies");
  require(found.empty() || may_name_dependencies(*file, model), "only known files are read");
  for (const Dependency& dependency : found) check(dependency, model, *file);
}

}  // namespace model_prep::fuzz
