// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/prune_plan.h"

#include "core/builders.h"
#include "support/catch.h"

using namespace model_prep;
using namespace model_prep::testing;

namespace {

constexpr std::int64_t kSize = 100;

/// Snapshots a, b and c with a blob of their own each (1, 2, 3) and one that all have (f); blob 9
/// has no link.
RepoContents three() {
  RepoContents view;
  char own = '1';
  for (const char name : {'a', 'b', 'c'})
    view.snapshots[commit(name)].links = {sha256(own++), sha256('f')};
  for (const char blob : {'1', '2', '3', '9', 'f'}) view.blobs[sha256(blob)] = kSize;
  return view;
}

struct Case {
  std::string name;
  std::map<std::string, CommitId> refs;
  std::string pins;               ///< commits
  std::set<std::string> names{};  ///< refs that the manifest names
  bool of_manifest{true};
  std::string gone;  ///< snapshots
  std::string blobs;
};

std::string digits(const std::vector<Digest>& blobs) {
  std::string text;
  for (const Digest& blob : blobs) text += blob.hex().front();
  return text;
}

}  // namespace

TEST_CASE("a plan keeps pinned and referenced revisions and removes the others") {
  const CommitId a = commit('a');
  const CommitId b = commit('b');
  const std::vector<Case> cases = {
      {"a pin", {}, "b", {}, true, "ac", "139"},
      {"two pins", {}, "bc", {}, true, "a", "19"},
      {"all", {}, "abc", {}, true, "", "9"},
      {"a pin that is not there beside one that is", {}, "bd", {}, true, "ac", "139"},
      {"nothing of what is pinned is there", {}, "d", {}, true, "", "9"},
      {"no pin is there, and the manifest's ref is", {{"main", a}}, "d", {"main"}, true, "", "9"},
      {"no pin is there in a repository without a manifest",
       {{"x", a}},
       "d",
       {"main"},
       false,
       "",
       "9"},
      {"no pin at all", {}, "", {}, true, "", "9"},
      {"a ref that the manifest names", {{"main", a}}, "b", {"main"}, true, "c", "39"},
      {"a ref that it does not name",
       {{"refs/pr/1", a}, {a.hex(), a}},
       "b",
       {"main"},
       true,
       "ac",
       "139"},
      {"a name for a revision", {{"v1", a}, {"main", b}}, "", {"v1"}, true, "bc", "239"},
      {"a name that is not known here", {{"main", b}}, "", {"v1"}, true, "", "9"},
      {"a ref of a repository without a manifest",
       {{"x", a}, {"y", b}},
       "",
       {"main"},
       false,
       "c",
       "39"},
      {"a repository without a manifest that has no refs", {}, "", {"main"}, false, "", "9"},
      {"a pin in a repository without a manifest", {{"x", a}}, "c", {"main"}, false, "b", "29"},
  };
  for (const Case& one : cases) {
    CAPTURE(one.name);
    RepoContents view = three();
    view.refs = one.refs;
    Pins pins{{}, one.names, one.of_manifest};
    for (const char pin : one.pins) pins.commits.insert(commit(pin));
    const PrunePlan cleanup = make_prune_plan(view, pins);
    std::string gone;
    for (const SnapshotRemoval& removal : cleanup.revisions) gone += removal.commit.hex().front();
    CHECK(gone == one.gone);
    CHECK(digits(cleanup.blobs).size() == one.blobs.size());
    for (const char blob : one.blobs) CHECK(digits(cleanup.blobs).find(blob) != std::string::npos);
    CHECK(bytes_of(cleanup, view) == static_cast<std::int64_t>(one.blobs.size()) * kSize);
  }
}

TEST_CASE("all refs to a removed revision are removed with it") {
  RepoContents view = three();
  view.refs = {
      {"main", commit('b')}, {"v1", commit('a')}, {"refs/pr/1", commit('a')}, {"v0", commit('d')}};
  const PrunePlan cleanup = make_prune_plan(view, {{commit('b')}, {"main"}, true});
  REQUIRE(cleanup.revisions.size() == 2);
  CHECK(cleanup.revisions[0].refs == std::vector<std::string>{"refs/pr/1", "v1"});
  CHECK(cleanup.revisions[1].refs.empty());
}

TEST_CASE("bytes that two removed revisions share are counted once") {
  const PrunePlan cleanup = make_prune_plan(three(), {{commit('c')}, {}, true});
  RepoContents shared = three();
  shared.snapshots[commit('a')].links.insert(sha256('2'));
  const PrunePlan both = make_prune_plan(shared, {{commit('c')}, {}, true});
  REQUIRE(both.revisions.size() == 2);
  CHECK(both.revisions[0].bytes + both.revisions[1].bytes == 2 * kSize);
  CHECK(bytes_of(both, shared) == bytes_of(cleanup, shared));
}

TEST_CASE("a snapshot's real files count, and a blob in the shared store does not") {
  RepoContents view = three();
  view.snapshots[commit('a')].bytes = 7;
  view.blobs[sha256('1')] = 0;
  const PrunePlan cleanup = make_prune_plan(view, {{commit('b'), commit('c')}, {}, true});
  CHECK(bytes_of(cleanup, view) == 7 + kSize);
}

TEST_CASE("a link from something that is not a snapshot keeps its blob") {
  RepoContents view = three();
  view.other_links = {sha256('9')};
  CHECK(make_prune_plan(view, {{commit('a'), commit('b'), commit('c')}, {}, true}).empty());
}

TEST_CASE("what another model needs is kept, but stands in for no pinned revision") {
  const RepoContents view = three();
  const Pins pins{{commit('b')}, {}, true, {commit('c')}};
  const PrunePlan cleanup = make_prune_plan(view, pins);
  REQUIRE(cleanup.revisions.size() == 1);
  CHECK(cleanup.revisions[0].commit == commit('a'));

  const PrunePlan none = make_prune_plan(view, {{commit('e')}, {}, true, {commit('c')}});
  CHECK(none.revisions.empty());
  CHECK(none.kept_because == "no pinned revision is in the cache");
}

TEST_CASE("leftovers are removed only if their writer is dead") {
  RepoContents view = three();
  view.leftovers = {{"/x", sha256('1'), 5, 0, true, false},
                    {"/y", sha256('2'), 6, 0, false, false}};
  const PrunePlan cleanup = make_prune_plan(view, {{commit('b')}, {}, true});
  REQUIRE(cleanup.leftovers.size() == 1);
  CHECK(cleanup.leftovers[0].path == "/x");
}

TEST_CASE("nothing is removed while a process fills the repository") {
  RepoContents view = three();
  view.writer = "process host:1";
  const PrunePlan cleanup = make_prune_plan(view, {{commit('b')}, {}, true});
  CHECK(cleanup.empty());
  CHECK(cleanup.kept_because == "in use by process host:1");
}

TEST_CASE("the remains of a killed cleanup are an item with their bytes") {
  RepoContents view = three();
  view.blobs.erase(sha256('9'));  // nothing links to it, so it would count too
  view.pending_bytes = 3;
  const PrunePlan plan = make_prune_plan(view, {{commit('a'), commit('b'), commit('c')}, {}, true});
  CHECK(plan.items() == 1);
  CHECK(bytes_of(plan, view) == 3);
}
