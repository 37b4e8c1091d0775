// SPDX-License-Identifier: Apache-2.0
// What the program finds in the files themselves, before it publishes a model.
#include <filesystem>

#include "black_box/test_host.h"
#include "support/catch.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;

/// The first bytes of a made-up file, whose tensors are said to go on.
std::string cut_file(const std::string& path, std::size_t size) {
  return content_text(content_for(path, MadeUpBytes{3000, 1}), 0, static_cast<std::int64_t>(size));
}

HubRepo repo_with(const std::string& id, const std::string& path, const std::string& bytes) {
  return make_repo(id, {{"config.json", "{}"}, {path, bytes, true}});
}

/// What `posix.system` would get from a pickle of protocol 2.
const std::string kPickle(
    "\x80\x02"
    "cposix\nsystem\nX\x02\x00\x00\x00ls\x85R.",
    26);

}  // namespace

TEST_CASE("a file that its format's library would refuse fails its model, and only that") {
  const std::string path = GENERATE(as<std::string>{}, "model.safetensors", "q-Q8_0.gguf");
  FakeHub hub;
  hub.add(repo_with("org/cut", path, cut_file(path, 2000)));
  hub.add(small_repo());
  const TestHost machine(hub);

  const Run run = machine.run({"org/cut", "org/small", "--include", "*"});
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("org/cut") == "malformed");
  CHECK(run.model("org/small")["success"] == true);
  CHECK(contains(run.err, "org/cut " + path + ": "));
  CHECK(contains(run.err, "its digest is right"));
  CHECK_FALSE(fs::exists(machine.cache() / "models--org--cut/refs"));
  CHECK_FALSE(fs::exists(machine.cache() / "models--org--cut/snapshots" /
                         main_of(repo_with("org/cut", path, ""))));

  // Its bytes are here, so they are hashed and looked into again.
  hub.clear_requests();
  const Run again = machine.run({"org/cut", "--include", "*"});
  CHECK(again.error_kind("org/cut") == "malformed");
  CHECK(sent_of(hub, path) == 0);
}

TEST_CASE("of a model with a malformed file, verify still says which files it has verified") {
  FakeHub hub;
  const HubRepo repo = repo_with("org/cut", kWeights, cut_file(kWeights, 2000));
  hub.add(repo);
  TestHost machine(hub);
  REQUIRE(machine.run({"org/cut"}).error_kind("org/cut") == "malformed");
  machine.use_manifest(machine.run({"lock", "org/cut"}).out);

  // As another program published it.
  const fs::path folder = machine.cache() / "models--org--cut";
  const fs::path snapshot = folder / "snapshots" / main_of(repo);
  fs::create_directories(snapshot);
  for (const std::string path : {"config.json", "model.safetensors"})
    fs::create_symlink("../../blobs/" + blob_of(machine, repo, path).filename().string(),
                       snapshot / path);
  write_text(folder / "refs/main", main_of(repo));

  const Run run = machine.run({"verify", "org/cut"});
  CAPTURE(run.err);
  CHECK(run.error_kind("org/cut") == "malformed");
  const auto files = run.model("org/cut")["files"];
  REQUIRE(files.size() == 2);
  CHECK(files[0]["path"] == "config.json");
  CHECK(files[0]["status"] == "verified");
  CHECK(files[0]["error"].is_null());
  CHECK(files[1]["status"] == "failed");
  CHECK(files[1]["error"]["kind"] == "malformed");
}

TEST_CASE("a shard that lacks a tensor of the index is a warning, once") {
  FakeHub hub;
  const std::string index =
      R"({"weight_map":{"w":"model-00001-of-00001.safetensors","v":"model-00001-of-00001.safetensors"}})";
  hub.add(
      make_repo("org/sharded", {{"config.json", "{}"},
                                {"model.safetensors.index.json", index},
                                {"model-00001-of-00001.safetensors", MadeUpBytes{900, 1}, true}}));
  const TestHost machine(hub);
  const std::string warning =
      "org/sharded: model.safetensors.index.json: v is not in model-00001-of-00001.safetensors";
  const Run first = machine.run({"org/sharded"});
  CHECK(first.exit_code == 0);
  CHECK(contains(first.err, warning));
  CHECK_FALSE(contains(machine.run({"org/sharded"}).err, warning));
  CHECK(contains(machine.run({"verify", "org/sharded"}).err, warning));
}

TEST_CASE("an ONNX model whose data is too short is a warning") {
  FakeHub hub;
  const auto message = [](int field, const std::string& bytes) {
    return std::string(1, static_cast<char>(field << 3 | 2)) + static_cast<char>(bytes.size()) +
           bytes;
  };
  const auto entry = [&](const std::string& key, const std::string& value) {
    return message(13, message(1, key) + message(2, value));
  };
  const std::string model =
      message(7, message(5, entry("location", "model.onnx_data") + entry("length", "101")));
  hub.add(make_repo("org/onnx", {{"config.json", "{}"},
                                 {"onnx/model.onnx", model, true},
                                 {"onnx/model.onnx_data", MadeUpBytes{100, 1}, true}}));
  const TestHost machine(hub);
  const Run run = machine.run({"org/onnx", "--variant", "all"});
  CHECK(run.exit_code == 0);
  CHECK(
      contains(run.err,
               "org/onnx: onnx/model.onnx keeps data up to byte 101 of onnx/model.onnx_data, which "
               "has 100"));
}

TEST_CASE("a pickle that imports more than PyTorch allows is a warning that names the import") {
  FakeHub hub;
  hub.add(repo_with("org/code", "pytorch_model.bin", kPickle));
  const TestHost machine(hub);
  const std::string warning =
      "org/code: pytorch_model.bin imports posix.system, which PyTorch's weights_only loading refuses";
  const Run first = machine.run({"org/code"});
  CHECK(first.exit_code == 0);
  CHECK(contains(first.err, "org/code: pytorch_model.bin is a pickle, which can run code"));
  CHECK(contains(first.err, warning));
  const Run second = machine.run({"org/code"});
  CHECK(contains(second.err, "org/code: pytorch_model.bin is a pickle, which can run code"));
  CHECK_FALSE(contains(second.err, warning));
  CHECK(contains(machine.run({"verify", "org/code"}).err, warning));
}

TEST_CASE("a policy forbids pickles with code, or all of them, also what is published already") {
  FakeHub hub;
  hub.add(repo_with("org/code", "pytorch_model.bin", kPickle));
  hub.add(repo_with("org/tensors", "pytorch_model.bin", "\x80\x02]."));
  hub.add(repo_with("org/data", "model.bin", "no pickle"));
  TestHost machine(hub);
  const bool is_published = GENERATE(false, true);
  if (is_published) REQUIRE(machine.run({"org/code", "org/tensors", "org/data"}).exit_code == 0);

  const auto kinds_with = [&](const std::string& policy) {
    machine.use_manifest(R"({"version":1,"policy":{"pickles":")" + policy + R"("},"models":{}})");
    const Run run = machine.run({"org/code", "org/tensors", "org/data"});
    CHECK_FALSE(contains(run.err, "can run code"));
    return std::vector{run.error_kind("org/code"), run.error_kind("org/tensors"),
                       run.error_kind("org/data")};
  };
  const std::string refused = "pickle_forbidden";
  CHECK(kinds_with("forbid-code") == std::vector<std::string>{refused, "none", "none"});
  CHECK(kinds_with("forbid") == std::vector<std::string>{refused, refused, "none"});
  CHECK(machine.run({"verify", "org/tensors"}).error_kind("org/tensors") == refused);
  CHECK(kinds_with("allow") == std::vector<std::string>{"none", "none", "none"});
}

TEST_CASE("a pickle is one under any name that an index gives to PyTorch's loader") {
  FakeHub hub;
  const std::string index =
      GENERATE(as<std::string>{}, "pytorch_model.bin.index.json", "model.safetensors.index.json");
  hub.add(make_repo("org/shards", {{"config.json", "{}"},
                                   {index, R"({"weight_map":{"w":"weights-1.dat"}})"},
                                   {"weights-1.dat", kPickle, true}}));
  const TestHost machine(hub);
  const bool is_published = GENERATE(false, true);
  if (is_published) {
    const Run run = machine.run({"org/shards"});
    CHECK(run.exit_code == 0);
    CHECK(contains(run.err, "org/shards: weights-1.dat is a pickle, which can run code"));
    CHECK(contains(run.err, "weights-1.dat imports posix.system"));
  }

  const std::string flag = GENERATE(as<std::string>{}, "--forbid-pickles", "--forbid-pickle-code");
  const Run run = machine.run({"org/shards", flag});
  CHECK(run.error_kind("org/shards") == "pickle_forbidden");
  CHECK(contains(run.err, "org/shards weights-1.dat: it is a pickle that imports posix.system"));
}

TEST_CASE("an index whose shards cannot be known is refused where pickles are forbidden") {
  FakeHub hub;
  hub.add(make_repo("org/shards",
                    {{"config.json", "{}"},
                     {"pytorch_model.bin.index.json", R"({"weight_map":{"w":"./weights-1.dat"}})"},
                     {"weights-1.dat", kPickle, true}}));
  const TestHost machine(hub);
  const Run run = machine.run({"org/shards", "--variant", "all", "--forbid-pickle-code"});
  CHECK(run.error_kind("org/shards") == "pickle_forbidden");
  CHECK(contains(run.err, "pytorch_model.bin.index.json: its shards cannot be told from it"));
  CHECK(machine.run({"org/shards", "--variant", "all"}).exit_code == 0);
}

TEST_CASE("a damaged file is damaged, whatever its header says now") {
  FakeHub hub;
  const HubRepo repo = small_repo();
  hub.add(repo);
  const TestHost machine(hub);
  REQUIRE(machine.run({"org/small"}).exit_code == 0);
  flip_byte(blob_of(machine, repo, "model.safetensors"), 3);
  const Run run = machine.run({"verify", "org/small"});
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("org/small") == "digest_mismatch");
}

}  // namespace model_prep::testing
