// SPDX-License-Identifier: Apache-2.0
// The Hub's and its mirrors' different shapes, and locks: one job, many ways to be answered.
#include <set>

#include "support/catch.h"
#include "test_host.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;

HubOptions with_pages(std::size_t entries, const std::string& link_origin = {}) {
  HubOptions options;
  options.page_size = entries;
  options.link_origin = link_origin;
  return options;
}

/// The hub's own lock of org/small, with a change.
template <class Change>
std::string lock_with(const FakeHub& hub, Change change) {
  nlohmann::json manifest = nlohmann::json::parse(hub.manifest());
  change(manifest["models"]["small"]);
  return manifest.dump();
}

struct Locked {
  const char* name;
  std::string file;
  std::string member;
  nlohmann::json value;
};

}  // namespace

TEST_CASE("a paginated listing is read to its end") {
  FakeHub hub(with_pages(2));
  const HubRepo repo = small_repo();
  hub.add(repo);
  const TestHost machine(hub);
  CHECK(machine.run({"org/small"}).exit_code == 0);
  CHECK(hub.requests("tree").size() == 4);  // eight entries: six files and two folders
  CHECK(tree_of(machine.cache()) == published(repo));
}

TEST_CASE("a next-page link to another origin is requested from the endpoint") {
  FakeHub hub(with_pages(3, "https://huggingface.co"));
  const HubRepo repo = small_repo();
  hub.add(repo);
  const TestHost machine(hub);
  CHECK(machine.run({"org/small"}).exit_code == 0);
  CHECK(hub.requests("tree").size() == 3);
  CHECK(tree_of(machine.cache()) == published(repo));
}

TEST_CASE("an unusable next-page link is an error, not the end of the listing") {
  const std::string link = GENERATE("<https://elsewhere.example/listing?page=2>; rel=\"next\"",
                                    "<ftp://x/>; rel=\"next\"");
  FakeHub hub;
  hub.add(small_repo());
  hub.add(
      Fault{.on = Fault::On::tree, .times = -1, .what = ChangeHeaders{.set = {{"Link", link}}}});
  const TestHost machine(hub);
  const Run run = machine.run({"org/small"});
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("org/small") == "protocol");
}

TEST_CASE("a renamed repository is stored under the requested name") {
  FakeHub hub;
  HubRepo old = small_repo("org/old");
  old.renamed_to = "org/new";
  HubRepo renamed = small_repo("org/old");
  renamed.id = "org/new";
  hub.add(old);
  hub.add(renamed);
  const TestHost machine(hub);
  CHECK(machine.run({"org/old"}).exit_code == 0);
  CHECK(tree_of(machine.cache()) == published(old));
}

TEST_CASE("without a tree API, the listing is requested with blobs=true") {
  FakeHub hub;
  HubRepo repo = small_repo();
  repo.has_tree_api = false;
  hub.add(repo);
  const TestHost machine(hub);
  CHECK(machine.run({"org/small"}).exit_code == 0);
  CHECK(tree_of(machine.cache()) == published(repo));
}

TEST_CASE("a mirror that serves files without redirects works") {
  HubOptions options;
  options.style = HubOptions::Style::mirror;
  FakeHub hub(options);
  const HubRepo repo = large_repo(10'000'000);
  hub.add(repo);
  const TestHost machine(hub);
  CHECK(machine.run({"org/large"}).exit_code == 0);
  CHECK(hub.requests("payload").empty());
  CHECK(tree_of(machine.cache()) == published(repo));
}

TEST_CASE("a mirror below a path works, with pages and redirects") {
  HubOptions options = with_pages(2);
  options.path_prefix = "/hf/mirror";
  FakeHub hub(options);
  const HubRepo repo = small_repo();
  hub.add(repo);
  const TestHost machine(hub);
  CHECK(machine.run({"org/small"}).exit_code == 0);
  CHECK(machine.run({"org/small"}, {{"HF_ENDPOINT", hub.endpoint() + "/"}}).exit_code == 0);
  CHECK(tree_of(machine.cache()) == published(repo));
}

TEST_CASE("every request sends Accept-Encoding: identity") {
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  machine.run({"org/small"});
  for (const LoggedRequest& request : hub.requests())
    CHECK(request.headers.at("accept-encoding") == "identity");
}

TEST_CASE("connections are reused") {
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  machine.run({"org/small", "--jobs", "1"});
  std::set<std::int64_t> connections;
  for (const LoggedRequest& request : hub.requests()) connections.insert(request.connection);
  CHECK(connections.size() == 2);  // one to the hub, one to the payload host
}

TEST_CASE("a file that differs from the lock is refused before its bytes are fetched") {
  const Locked locked =
      GENERATE(Locked{"an LFS file's digest", "model.safetensors", "sha256", std::string(64, 'b')},
               Locked{"an LFS file's size", "model.safetensors", "size", 299'999},
               Locked{"a plain file's digest", "config.json", "git_sha1", std::string(40, 'b')});
  INFO(locked.name);
  FakeHub hub;
  hub.add(small_repo());
  TestHost machine(hub);
  machine.use_manifest(lock_with(
      hub, [&](auto& model) { model["files"][locked.file][locked.member] = locked.value; }));
  const Run run = machine.run({});
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("small") == "lock_mismatch");
  CHECK(sent_of(hub, "model.safetensors") % 300'000 == 0);
  CHECK(sent_of(hub, locked.file) == 0);
  CHECK_FALSE(tree_of(machine.cache()).contains("models--org--small/refs"));
}

TEST_CASE("a plain file must match the lock's sha256 as well as its git id") {
  FakeHub hub;
  hub.add(small_repo());
  TestHost machine(hub);
  machine.use_manifest(lock_with(
      hub, [](auto& model) { model["files"]["config.json"]["sha256"] = std::string(64, 'b'); }));
  const Run run = machine.run({});
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("small") == "lock_mismatch");
  CHECK_FALSE(tree_of(machine.cache()).contains("models--org--small/refs"));
}

TEST_CASE("a listing that differs from the lock is refused before any file is requested") {
  FakeHub hub;
  hub.add(small_repo());
  TestHost machine(hub);
  machine.use_manifest(lock_with(hub, [](auto& model) {
    model.erase("locked");
    model["files"]["model.safetensors"]["sha256"] = std::string(64, 'b');
  }));
  const Run run = machine.run({});
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("small") == "lock_mismatch");
  CHECK(hub.requests("tree").size() == 1);
  CHECK(hub.requests("resolve").empty());
}

TEST_CASE("locked bytes that are wrong twice are a lock_mismatch and are not published") {
  FakeHub hub;
  hub.add(small_repo());
  hub.add(Fault{.on = Fault::On::payload, .times = -1, .what = FlipByte{3}});
  TestHost machine(hub);
  machine.use_manifest(hub.manifest());
  const Run run = machine.run({});
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("small") == "lock_mismatch");
  CHECK_FALSE(fs::exists(blob_of(machine, small_repo(), "model.safetensors")));
}

TEST_CASE("a variant that a model lacks falls back to fp32, and the summary has both") {
  FakeHub hub;
  hub.add(small_repo());
  TestHost machine(hub);
  machine.use_manifest(hub.manifest());
  const Run run = machine.run({}, {{"MODEL_VARIANT", "openvino-int8"}});
  CHECK(run.exit_code == 0);
  CHECK(run.model("small")["variant_requested"] == "openvino-int8");
  CHECK(run.model("small")["variant"] == "fp32");
  CHECK(run.summary["openvino"] == true);
}

TEST_CASE("safetensors are downloaded, and the same model's weights in other formats are not") {
  FakeHub hub;
  const HubRepo repo = make_repo("org/weights", {{"config.json", "{}"},
                                                 {"model.safetensors", MadeUpBytes{1000, 1}, true},
                                                 {"pytorch_model.bin", MadeUpBytes{1000, 2}, true},
                                                 {"tf_model.h5", MadeUpBytes{1000, 3}, true},
                                                 {"onnx/model.onnx", MadeUpBytes{1000, 4}, true}});
  hub.add(repo);
  const TestHost machine(hub);
  CHECK(machine.run({"org/weights"}).exit_code == 0);
  CHECK(tree_of(machine.cache()) ==
        published(repo, {.paths = {"config.json", "model.safetensors"}}));
}

TEST_CASE("a second variant of a model joins the first one's snapshot") {
  FakeHub hub;
  const HubRepo repo = small_repo();
  hub.add(repo);
  const TestHost machine(hub);
  REQUIRE(machine.run({"org/small"}).exit_code == 0);
  hub.clear_requests();
  CHECK(machine.run({"org/small", "--variant", "all"}).exit_code == 0);
  CHECK(hub.requests("payload").empty());
  CHECK(tree_of(machine.cache()) == published(repo, {.listed = Listed::yes}));
}

}  // namespace model_prep::testing
