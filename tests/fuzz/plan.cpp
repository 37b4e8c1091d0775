// SPDX-License-Identifier: Apache-2.0
// Several models in one run. A line that begins with `=` is a model: key, repository, revision and
// ref. Any other is a file of the model above it: path, size, digest, and what the cache holds of
// it.
#include <algorithm>
#include <map>
#include <set>

#include "fuzz/targets.h"
#include "model_prep/base/listing.h"
#include "model_prep/base/text.h"
#include "model_prep/core/fetch_plan.h"

namespace model_prep::fuzz {
namespace {

struct Models {
  std::vector<ModelSpec> specs;
  std::vector<ResolvedSnapshot> snapshots;
  std::vector<SnapshotView> views;
};

std::string field(const std::vector<std::string_view>& fields, std::size_t i) {
  return i < fields.size() ? std::string(fields[i]) : std::string();
}

void add_model(Models& models, const std::vector<std::string_view>& fields) {
  const auto repo = RepoId::parse(field(fields, 1));
  const auto revision = Revision::parse(field(fields, 2));
  const auto ref = Revision::parse(field(fields, 3));
  if (!repo || !revision || !ref) return;

  const ModelSpec spec{.key = sanitize(field(fields, 0)),
                       .repo = *repo,
                       .revision = *revision,
                       .ref = ref->text(),
                       .filter = {},
                       .lock = {}};
  const CommitId commit = revision->commit().value_or(*CommitId::parse(std::string(40, 'c')));
  models.specs.push_back(spec);
  models.snapshots.push_back({spec, commit, {}, {}});
  models.views.emplace_back();
}

void add_file(Models& models, const std::vector<std::string_view>& fields) {
  const auto path = RepoPath::parse(field(fields, 0));
  const auto size = number(field(fields, 1));
  const auto blob = Digest::parse(field(fields, 2));
  if (models.specs.empty() || !path || !size || *size < 0 || *size > kMaxFileSize || !blob) return;

  RemoteFile file{
      .path = *path, .size = *size, .blob = *blob, .oid = {}, .locked_sha256 = {}, .xet_hash = {}};
  const std::string state = field(fields, 3);
  FileView view;
  if (state == "trusted") view.state = BlobState::trusted;
  if (state == "unverified") view.state = BlobState::unverified;
  view.staged = state == "staged" ? *size / 2 : 0;
  models.snapshots.back().files.push_back(std::move(file));
  models.views.back().files.push_back(view);
}

/// Without the models whose files no listing can have.
std::vector<PlannedModel> possible(Models& models) {
  std::vector<PlannedModel> planned;
  for (std::size_t i = 0; i < models.specs.size(); ++i) {
    Listing listing{models.snapshots[i].files, {}};
    if (check_listing(listing, "org/name"))
      planned.push_back({i, &models.snapshots[i], &models.views[i]});
  }
  return planned;
}

void check_refs(const std::vector<ModelSpec>& specs) {
  if (Status right = check_ref_conflicts(specs); !right) return check_message(right.error());

  std::map<std::pair<RepoId, std::string>, Revision> refs;
  for (const ModelSpec& spec : specs)
    for (const std::string& name : refs_to_write(spec, *CommitId::parse(std::string(40, 'c'))))
      if (name != std::string(40, 'c'))
        require(
            refs.emplace(std::pair{spec.repo, name}, spec.revision).first->second == spec.revision,
            "a ref has one revision");
  for (const auto& [ref, revision] : refs)
    for (const std::string& parent : parents_of_ref(ref.second))
      require(!refs.contains({ref.first, parent}), "no ref is a file and a directory");
}

void check_plan(const std::vector<PlannedModel>& models, const FetchPlan& plan) {
  std::map<std::pair<RepoId, Digest>, std::set<std::size_t>> users;
  std::set<std::pair<RepoId, Digest>> wanted;
  for (const PlannedModel& model : models)
    for (std::size_t i = 0; i < model.snapshot->files.size(); ++i) {
      const std::pair key(model.snapshot->spec.repo, model.snapshot->files[i].blob);
      users[key].insert(model.model);
      if (model.view->files[i].state != BlobState::trusted) wanted.insert(key);
    }

  Bytes bytes = 0;
  for (const FetchJob& job : plan.jobs) {
    const std::pair key(job.repo, job.file.blob);
    require(wanted.erase(key) == 1, "a blob is fetched once, and only if it is wanted");
    require(std::set(job.models.begin(), job.models.end()) == users.at(key) &&
                job.models.size() == users.at(key).size(),
            "a job knows each model that has its blob, once");
    bytes += job.check_existing ? 0 : job.file.size;
  }
  require(wanted.empty(), "every blob that is not trusted is fetched");
  require(bytes == plan.bytes && plan.staged >= 0 && plan.staged <= plan.bytes,
          "a plan has the bytes of its jobs");
  require(std::ranges::is_sorted(plan.jobs, std::ranges::greater{},
                                 [](const FetchJob& job) { return job.file.size; }),
          "the largest files come first");
}

}  // namespace

void plan(std::string_view input) {
  Models models;
  Lines lines(input);
  while (!lines.rest().empty() && models.specs.size() < 100) {
    const std::string line = lines.next();
    const bool is_model = line.starts_with('=');
    const auto fields = split(std::string_view(line).substr(is_model ? 1 : 0), ' ');
    is_model ? add_model(models, fields) : add_file(models, fields);
  }
  check_refs(models.specs);
  const std::vector<PlannedModel> planned = possible(models);
  check_plan(planned, make_plan(planned));
}

}  // namespace model_prep::fuzz
