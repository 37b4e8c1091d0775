// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/fetch_plan.h"

#include "core/builders.h"
#include "support/catch.h"

using namespace model_prep;
using namespace model_prep::testing;

namespace {

ResolvedSnapshot planned_snapshot(const std::string& repo_name, std::vector<RemoteFile> files,
                                  char at = 'c') {
  return {spec(repo_name, repo_name), commit(at), std::move(files), {}};
}

/// Every file of the snapshot in one state.
SnapshotView view(const ResolvedSnapshot& of, BlobState state) {
  SnapshotView view;
  view.files.assign(of.files.size(), FileView{state, std::nullopt, false, 0});
  return view;
}

SnapshotView satisfied_view() {
  return {
      {FileView{BlobState::trusted, VerifiedBlob{1, 2, sha256('a')}, true, 0}}, true, true, true};
}

}  // namespace

TEST_CASE("a ref that would be a file and a directory is refused, in either order") {
  std::vector<ModelSpec> specs = {spec("a", "org/x", "v1"), spec("b", "org/x", "v1/fix")};
  specs[0].ref = "one";
  specs[1].ref = "two";
  if (GENERATE(true, false)) std::swap(specs[0], specs[1]);
  const Status status = check_ref_conflicts(specs);
  REQUIRE_FALSE(status);
  CHECK(status.error().kind == ErrorKind::usage);
  CHECK(status.error().message.find("refs/v1/fix and refs/v1") != std::string::npos);
  specs[0].revision = *Revision::parse("v12");
  CHECK(check_ref_conflicts(specs));
}

TEST_CASE("jobs are ordered by size across all models, largest first") {
  const auto a =
      planned_snapshot("org/a", {plain_file("small", 1, '1'), lfs_file("large", 100, '2')});
  const auto b =
      planned_snapshot("org/b", {lfs_file("larger", 200, '3'), plain_file("middle", 50, '4')});
  const auto view_a = view(a, BlobState::missing);
  const auto view_b = view(b, BlobState::missing);
  const FetchPlan plan = make_plan(std::vector<PlannedModel>{{0, &a, &view_a}, {1, &b, &view_b}});
  std::vector<std::string> order;
  for (const FetchJob& job : plan.jobs) order.push_back(job.file.path.text());
  CHECK(order == std::vector<std::string>{"larger", "large", "middle", "small"});
  CHECK(plan.bytes == 351);
}

TEST_CASE("a blob that several files and models of a repository share is one job") {
  const auto first = planned_snapshot(
      "org/a", {lfs_file("onnx/arm64", 10, '1'), lfs_file("onnx/avx512", 10, '1')});
  const auto second = planned_snapshot("org/a", {lfs_file("onnx/arm64", 10, '1')}, 'd');
  const auto view_first = view(first, BlobState::missing);
  const auto view_second = view(second, BlobState::missing);
  const FetchPlan plan =
      make_plan(std::vector<PlannedModel>{{3, &first, &view_first}, {5, &second, &view_second}});
  REQUIRE(plan.jobs.size() == 1);
  CHECK(plan.jobs[0].models == std::vector<std::size_t>{3, 5});
  CHECK(plan.jobs[0].commit == commit('c'));
  CHECK(plan.bytes == 10);
}

TEST_CASE("a blob is held to the strictest lock of all files and models that share it") {
  RemoteFile locked = plain_file("b.json", 10, '1');
  locked.locked = true;
  locked.locked_sha256 = sha256('e');
  const auto open = planned_snapshot("org/a", {plain_file("a.json", 10, '1')});
  const auto strict = planned_snapshot("org/a", {plain_file("a.json", 10, '1'), locked});
  const auto view_open = view(open, GENERATE(BlobState::missing, BlobState::trusted));
  const auto view_strict = view(strict, BlobState::missing);
  std::vector<PlannedModel> wanted = {{0, &open, &view_open}, {1, &strict, &view_strict}};
  if (GENERATE(false, true)) std::swap(wanted[0], wanted[1]);
  const FetchPlan plan = make_plan(wanted);
  REQUIRE(plan.jobs.size() == 1);
  CHECK(plan.jobs[0].file.locked);
  CHECK(plan.jobs[0].file.locked_sha256 == sha256('e'));
  CHECK(plan.jobs[0].models.size() == 2);
  CHECK(lock_conflicts(wanted).empty());
}

TEST_CASE("two locks that give one blob another size or sha256 are conflicts of both models") {
  RemoteFile first = plain_file("a.json", 10, '1');
  first.locked = true;
  RemoteFile second = first;
  const bool by_size = GENERATE(false, true);
  if (by_size) {
    second.size = 11;
  } else {
    first.locked_sha256 = sha256('e');
    second.locked_sha256 = sha256('f');
  }
  const auto a = planned_snapshot("org/a", {first, plain_file("b.json", 1, '2')});
  const auto b = planned_snapshot("org/a", {second});
  const auto c = planned_snapshot("org/c", {second});
  const auto any = view(a, BlobState::missing);
  const auto conflicts =
      lock_conflicts(std::vector<PlannedModel>{{0, &a, &any}, {1, &b, &any}, {2, &c, &any}});
  REQUIRE(conflicts.size() == 2);
  CHECK(conflicts.at(0).kind == ErrorKind::lock_mismatch);
  CHECK(
      conflicts.at(1).message ==
      "org/a a.json: the lock gives it and a.json the same digest, but different sizes or sha256");
}

TEST_CASE("the same blob in two repositories is two jobs") {
  const auto a = planned_snapshot("org/a", {lfs_file("x", 10, '1')});
  const auto b = planned_snapshot("org/b", {lfs_file("x", 10, '1')});
  const auto view_a = view(a, BlobState::missing);
  const auto view_b = view(b, BlobState::missing);
  CHECK(make_plan(std::vector<PlannedModel>{{0, &a, &view_a}, {1, &b, &view_b}}).jobs.size() == 2);
}

TEST_CASE("a file that the record vouches for needs no job") {
  const auto a = planned_snapshot("org/a", {lfs_file("x", 10, '1'), lfs_file("y", 20, '2')});
  auto states = view(a, BlobState::missing);
  states.files[0].state = BlobState::trusted;
  const FetchPlan plan = make_plan(std::vector<PlannedModel>{{0, &a, &states}});
  REQUIRE(plan.jobs.size() == 1);
  CHECK(plan.jobs[0].file.path.text() == "y");
}

TEST_CASE("an unverified blob is a job that counts no bytes") {
  const auto a = planned_snapshot("org/a", {lfs_file("x", 10, '1'), lfs_file("y", 20, '2')});
  auto states = view(a, BlobState::missing);
  states.files[0] = {BlobState::unverified, std::nullopt, false, 4};
  const FetchPlan plan = make_plan(std::vector<PlannedModel>{{0, &a, &states}});
  REQUIRE(plan.jobs.size() == 2);
  CHECK(plan.jobs[1].check_existing);
  CHECK_FALSE(plan.jobs[0].check_existing);
  CHECK(plan.bytes == 20);
  CHECK(plan.staged == 0);
}

TEST_CASE("each copy of a blob is checked once, unless one is missing: then the blob is fetched") {
  const auto a = planned_snapshot("org/a", {lfs_file("x", 10, '1'), lfs_file("y", 10, '1')});
  const auto b = planned_snapshot("org/a", {lfs_file("x", 10, '1')}, 'd');
  SnapshotView view_a = view(a, BlobState::unverified);
  SnapshotView view_b = view(b, BlobState::unverified);
  for (SnapshotView* of : {&view_a, &view_b})
    for (FileView& file : of->files) file.is_copy = true;
  if (GENERATE(false, true)) view_a.files[1] = {};
  const FetchPlan plan =
      make_plan(std::vector<PlannedModel>{{0, &a, &view_a}, {1, &a, &view_a}, {2, &b, &view_b}});
  REQUIRE(plan.jobs.size() == 1);
  if (view_a.files[1].state == BlobState::missing) {
    CHECK_FALSE(plan.jobs[0].check_existing);
    CHECK(plan.bytes == 10);
    return;
  }
  CHECK(plan.jobs[0].check_existing);
  REQUIRE(plan.jobs[0].copies.size() == 2);
  CHECK(plan.jobs[0].copies[0].second.path.text() == "y");
  CHECK(plan.jobs[0].copies[1].first == commit('d'));
}

TEST_CASE("staged bytes are summed separately") {
  const auto a = planned_snapshot("org/a", {lfs_file("x", 10, '1'), lfs_file("y", 20, '2')});
  auto states = view(a, BlobState::missing);
  states.files[0].staged = 4;
  states.files[1].staged = 15;
  const FetchPlan plan = make_plan(std::vector<PlannedModel>{{0, &a, &states}});
  CHECK(plan.bytes == 30);
  CHECK(plan.staged == 19);
}

TEST_CASE("a plan without files is empty") {
  const FetchPlan plan = make_plan({});
  CHECK(plan.jobs.empty());
  CHECK(plan.bytes == 0);
}

TEST_CASE("a snapshot is satisfied only if every part of it is right") {
  CHECK(satisfied_view().satisfied());
  auto without = satisfied_view();
  SECTION("its refs are needed") { without.refs_correct = false; }
  SECTION("its tree listing is needed") { without.tree_correct = false; }
  SECTION("its record is needed") { without.recorded = false; }
  SECTION("its links are needed") { without.files[0].linked = false; }
  SECTION("verified blobs are needed") { without.files[0].state = BlobState::unverified; }
  SECTION("its blobs are needed") { without.files[0].state = BlobState::missing; }
  if (without.refs_correct && without.tree_correct && without.recorded && without.files[0].linked &&
      without.files[0].state == BlobState::trusted)
    return;  // Catch's pass without a section
  CHECK_FALSE(without.satisfied());
}

TEST_CASE("a snapshot's refs are the commit, the revision and the manifest's ref, each once") {
  ModelSpec model = spec("m", "org/a", "v1");
  CHECK(refs_to_write(model, commit('c')) ==
        std::vector<std::string>{std::string(40, 'c'), "v1", "main"});
  model.ref = "v1";
  CHECK(refs_to_write(model, commit('c')) == std::vector<std::string>{std::string(40, 'c'), "v1"});
  CHECK(refs_to_write(spec("m", "org/a", std::string(40, 'c')), commit('c')) ==
        std::vector<std::string>{std::string(40, 'c'), "main"});
}

TEST_CASE("two models may share a ref at the same revision, or have refs of their own") {
  ModelSpec other = spec("c", "org/a", "v2");
  other.ref = "v2";
  const std::vector<ModelSpec> specs = {spec("a", "org/a", "v1"), spec("b", "org/a", "v1"), other,
                                        spec("d", "org/d", "v9")};
  CHECK(check_ref_conflicts(specs));
}

TEST_CASE("two models that claim one ref at different revisions are an error of the manifest") {
  const Status status = check_ref_conflicts(
      std::vector<ModelSpec>{spec("a", "org/a", "v1"), spec("b", "org/a", "v2")});
  REQUIRE_FALSE(status);
  CHECK(status.error().kind == ErrorKind::usage);
  CHECK(status.error().message ==
        "a and b would both set refs/main of org/a, to different revisions");
  CHECK_FALSE(status.error().hint.empty());
}

TEST_CASE("a model that takes a ref only if it is unset conflicts with no other") {
  ModelSpec first = spec("org/a@v1", "org/a", "v1");
  ModelSpec second = spec("org/a@v2", "org/a", "v2");
  first.ref_if_unset = second.ref_if_unset = true;
  CHECK(check_ref_conflicts(std::vector<ModelSpec>{first, second, spec("a", "org/a")}));
}

TEST_CASE("a model at a branch conflicts with a pin that sets the same ref") {
  ModelSpec branch = spec("a", "org/a", "main");  // sets refs/main and refs/stable
  branch.ref = "stable";
  const ModelSpec pinned =
      spec("b", "org/a", std::string(40, 'c'));  // sets refs/main to its own commit
  CHECK_FALSE(check_ref_conflicts(std::vector<ModelSpec>{branch, pinned}));
  CHECK_FALSE(check_ref_conflicts(std::vector<ModelSpec>{pinned, branch}));
}
