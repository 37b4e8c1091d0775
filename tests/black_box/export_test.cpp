// SPDX-License-Identifier: Apache-2.0
// export: an image that holds the cache, the same on every machine; and what is left when something
// goes wrong.
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <set>
#include <thread>

#include "prepared.h"
#include "support/catch.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

/// Two revisions: the large weights stay, a small file changes.
HubRepo large_revisions() {
  const HubFile weights{"model.safetensors", MadeUpBytes{17 * kMiB, 9}, true};
  const HubFile long_name{std::string(120, 'd') + "/" + std::string(120, 'f') + ".json", "{}"};
  HubRepo repo = make_repo("org/large", {weights, long_name, {"config.json", "{}"}}, kFirst);
  repo.commits[kSecond] = {weights, long_name, {"config.json", "{\"new\": 1}"}};
  return repo;
}

/// A machine with the first revision in its cache.
struct FilledCache {
  FakeHub hub;
  TestHost machine{hub};
  std::string pinned = "org/large@" + kFirst;
  fs::path layout = machine.folder() / "images";

  FilledCache() {
    hub.add(large_revisions());
    REQUIRE(machine.run({pinned}).exit_code == 0);
    hub.clear_requests();
  }

  std::string to(const std::string& tag = "latest") const {
    return "oci:" + layout.string() + ":" + tag;
  }
  Run run(const std::string& model, const std::string& tag = "latest") const {
    return machine.run({"export", model, "--to", to(tag)});
  }
  fs::path weights() const { return blob_of(machine, large_revisions(), "model.safetensors"); }

  Json document(const std::string& digest) const {
    return Json::parse(read_text(layout / "blobs" / "sha256" / digest.substr(7)));
  }
  Json index() const { return Json::parse(read_text(layout / "index.json")); }

  /// The layers of an architecture's manifest.
  std::vector<std::string> layers(const std::string& image, std::size_t architecture = 0) const {
    const Json list = document(image)["manifests"];
    const Json manifest = document(list[architecture]["digest"]);
    std::vector<std::string> found;
    for (const Json& layer : manifest["layers"]) found.push_back(layer["digest"]);
    return found;
  }

  /// Unpacks with tar, as an engine would, and gives the directory.
  fs::path unpack(const std::string& image, const std::string& name = "unpacked") const {
    const fs::path to = machine.folder() / name;
    fs::create_directories(to);
    for (const std::string& layer : layers(image)) {
      const fs::path file = layout / "blobs" / "sha256" / layer.substr(7);
      const auto done = run_program({"tar", "-xf", file.string(), "-C", to.string()});
      CHECK(done.exit_code == 0);
    }
    return to;
  }
};

std::string image_of(const Run& run) {
  CAPTURE(run.err);
  REQUIRE(run.exit_code == 0);
  return run.out.substr(0, run.out.find('\n'));
}

/// Of the layer that is being written; -1 before there is one.
std::int64_t unfinished_bytes(const fs::path& layout) {
  std::error_code error;
  std::int64_t most = -1;
  for (const auto& entry : fs::directory_iterator(layout / ".model-prep", error)) {
    const auto size = entry.file_size(error);
    if (!error) most = std::max(most, static_cast<std::int64_t>(size));
  }
  return most;
}

/// Names that belong to no layout, and blobs that are not what their name says.
std::vector<std::string> wrong_in_layout(const fs::path& layout) {
  std::vector<std::string> wrong;
  if (!fs::exists(layout)) return wrong;
  const std::set<std::string> known = {"oci-layout", "index.json", "blobs"};
  for (const auto& entry : fs::directory_iterator(layout))
    if (!known.contains(entry.path().filename())) wrong.push_back(entry.path());
  for (const auto& entry : fs::directory_iterator(layout / "blobs" / "sha256"))
    if (sha256_hex(read_text(entry.path())) != entry.path().filename())
      wrong.push_back(entry.path());
  return wrong;
}

}  // namespace

TEST_CASE("export writes an image without a request, and what is unpacked is satisfied") {
  const FilledCache filled;
  const Run run = filled.run(filled.pinned);
  const std::string image = image_of(run);
  CHECK(filled.hub.requests().empty());
  CHECK(wrong_in_layout(filled.layout).empty());
  CHECK(run.summary["command"] == "export");
  CHECK(run.summary["export"]["to"] == filled.to());
  CHECK(run.summary["export"]["digest"] == image);
  CHECK(run.summary["export"]["layers"].size() == 2);
  CHECK(run.model(filled.pinned)["status"] == "exported");
  CHECK(contains(run.err, "1 of 1 model exported, 17.8 MB hashed"));

  const fs::path home = filled.unpack(image);
  const auto on_unpacked = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--summary", filled.machine.summary().string()});
    return filled.machine.run(arguments, {{"HF_HOME", home.string()}});
  };
  const Run satisfied = on_unpacked({"--offline", filled.pinned, "--log-level", "debug"});
  CAPTURE(satisfied.err);
  CHECK(satisfied.exit_code == 0);
  CHECK(satisfied.model(filled.pinned)["status"] == "cached");
  CHECK_FALSE(contains(satisfied.err, "hash"));
  CHECK_FALSE(contains(satisfied.err, "warn"));
  CHECK(filled.hub.requests().empty());

  Tree expected = published(large_revisions());
  std::erase_if(expected, [](const auto& entry) { return entry.first.starts_with(".locks"); });
  CHECK(tree_of(home / "hub") == expected);

  // The record vouches by size and time, and `verify` looks at the bytes.
  const fs::path blob = home / "hub" / fs::relative(filled.weights(), filled.machine.cache());
  const auto time = fs::last_write_time(blob);
  flip_byte(blob, 5);
  fs::last_write_time(blob, time);
  const Run verified = on_unpacked({"verify", filled.pinned});
  CHECK(verified.exit_code == 1);
  CHECK(verified.error_kind(filled.pinned) == "digest_mismatch");
}

TEST_CASE("both architectures have the same layers") {
  const FilledCache filled;
  const std::string image = image_of(filled.run(filled.pinned));
  CHECK(filled.layers(image, 0) == filled.layers(image, 1));
  const Json manifests = filled.document(image)["manifests"];
  for (std::size_t i = 0; i < 2; ++i) {
    const Json manifest = filled.document(manifests[i]["digest"]);
    const Json config = filled.document(manifest["config"]["digest"]);
    CHECK(config["architecture"] == manifests[i]["platform"]["architecture"]);
    CHECK(config["rootfs"]["diff_ids"] == Json(filled.layers(image, i)));
  }
}

TEST_CASE(
    "the image does not depend on the machine: not on umask, times, modes or other revisions") {
  const FilledCache filled;
  const std::string image = image_of(filled.run(filled.pinned));

  const FilledCache other;
  REQUIRE(other.machine.run({"org/large@" + kSecond}).exit_code == 0);
  const Run locked = other.machine.shell(
      "umask 077; touch " + other.weights().string() + "; chmod 600 " + other.weights().string() +
      "; exec $PROGRAM export " + other.pinned + " --to " + other.to());
  CHECK(image_of(locked) == image);
}

TEST_CASE("in the next revision's image an unchanged large blob has the same layer") {
  const FilledCache filled;
  const auto before = filled.layers(image_of(filled.run(filled.pinned, "v1")));
  REQUIRE(filled.machine.run({"org/large@" + kSecond}).exit_code == 0);

  struct stat first{};
  const fs::path layer = filled.layout / "blobs" / "sha256" / before[0].substr(7);
  ::stat(layer.c_str(), &first);
  const auto after = filled.layers(image_of(filled.run("org/large@" + kSecond, "v2")));
  CHECK(after[0] == before[0]);
  CHECK(after[1] != before[1]);
  CHECK(filled.index()["manifests"].size() == 2);

  // It was not written again.
  struct stat second{};
  ::stat(layer.c_str(), &second);
  CHECK(second.st_ino == first.st_ino);
}

TEST_CASE("a second export of the same models writes nothing") {
  const FilledCache filled;
  const std::string image = image_of(filled.run(filled.pinned));
  const Tree before = tree_of(filled.layout);
  CHECK(image_of(filled.run(filled.pinned)) == image);
  CHECK(tree_of(filled.layout) == before);
}

TEST_CASE("a layer that was damaged in the folder is written again") {
  const FilledCache filled;
  const std::string image = image_of(filled.run(filled.pinned));
  for (const std::string& layer : filled.layers(image))
    flip_byte(filled.layout / "blobs/sha256" / layer.substr(7), 600);
  CHECK(wrong_in_layout(filled.layout).size() == 2);
  CHECK(image_of(filled.run(filled.pinned)) == image);
  CHECK(wrong_in_layout(filled.layout).empty());
}

TEST_CASE("a wrong byte fails the export, and no image is left") {
  const FilledCache filled;
  const auto time = fs::last_write_time(filled.weights());
  flip_byte(filled.weights(), 12 * kMiB);
  fs::last_write_time(filled.weights(), time);
  const Run run = filled.run(filled.pinned);
  CHECK(run.exit_code == 1);
  CHECK(run.out.empty());
  CHECK(run.error_kind(filled.pinned) == "digest_mismatch");
  CHECK(contains(run.err, "org/large model.safetensors: its bytes hash to"));
  CHECK_FALSE(fs::exists(filled.layout / "index.json"));
  CHECK(wrong_in_layout(filled.layout).empty());
}

TEST_CASE("a wrong byte leaves the image that had the tag") {
  const FilledCache filled;
  image_of(filled.run(filled.pinned));
  const std::string before = read_text(filled.layout / "index.json");
  REQUIRE(filled.machine.run({"org/large@" + kSecond}).exit_code == 0);
  flip_byte(filled.weights(), 0);
  CHECK(filled.run("org/large@" + kSecond).exit_code == 1);
  CHECK(read_text(filled.layout / "index.json") == before);
  CHECK(wrong_in_layout(filled.layout).empty());
}

TEST_CASE("a model that is not complete in the cache is not exported") {
  const FilledCache filled;
  const Run other = filled.run("org/large@" + kSecond);
  CHECK(other.exit_code == 1);
  CHECK(other.error_kind("org/large@" + kSecond) == "offline_missing");
  CHECK(contains(other.err, "the file list of commit 222222222222 is not in the cache"));
  CHECK(contains(other.err, "hint: model-prep download gets it; export sends no request"));
  CHECK(contains(filled.run("org/none").err, "org/none: revision main is not in the cache"));

  fs::remove(filled.weights());
  const Run run = filled.run(filled.pinned);
  CHECK(run.exit_code == 1);
  CHECK(contains(run.err, "model.safetensors is not in the cache"));
  CHECK_FALSE(fs::exists(filled.layout));
  CHECK(filled.hub.requests().empty());
}

TEST_CASE("a listing that only huggingface_hub left is not enough to export by") {
  const FilledCache filled;
  REQUIRE(filled.machine.run({filled.pinned, "--variant", "all"}).exit_code == 0);
  fs::remove_all(filled.machine.cache() / "models--org--large" / ".model-prep");
  const Run run = filled.run(filled.pinned);
  CHECK(run.exit_code == 1);
  CHECK(contains(run.err, "only huggingface_hub's listing says which files"));
}

TEST_CASE("killed at any instant, an export leaves no image, and the next one succeeds") {
  const FilledCache filled;
  for (const std::int64_t written : {0, 1, 8, 16}) {
    const auto program = filled.machine.start({"export", filled.pinned, "--to", filled.to()});
    while (program->running() && unfinished_bytes(filled.layout) < written * kMiB)
      std::this_thread::yield();
    program->send_signal(SIGKILL);
    program->wait();
    CHECK_FALSE(fs::exists(filled.layout / "index.json"));
  }
  image_of(filled.run(filled.pinned));
  CHECK(wrong_in_layout(filled.layout).empty());
}

TEST_CASE("SIGTERM ends an export with exit code 143, and nothing unfinished is left") {
  const FilledCache filled;
  // The signal is pending when the first byte is read.
  const Run run = filled.machine.shell(
      "exec env --block-signal=TERM sh -c 'kill -TERM $$; exec $PROGRAM export " + filled.pinned +
      " --to " + filled.to() + "'");
  CHECK(run.exit_code == 143);
  CHECK(contains(run.err, "stopped by SIGTERM"));
  CHECK_FALSE(fs::exists(filled.layout / "index.json"));
  CHECK(wrong_in_layout(filled.layout).empty());
}

TEST_CASE("a disk that fills up fails the export, and nothing unfinished is left") {
  const FilledCache filled;
  const Run run = filled.machine.shell("ulimit -f 9000; exec $PROGRAM export " + filled.pinned +
                                       " --to " + filled.to());
  CHECK(run.exit_code == 1);
  CHECK(run.summary["error"]["kind"] == "disk_full");
  CHECK_FALSE(fs::exists(filled.layout / "index.json"));
  CHECK(wrong_in_layout(filled.layout).empty());
}

TEST_CASE("too little space is reported before the first byte is written") {
  if (!may_mount()) return;
  const FilledCache filled;
  fs::create_directories(filled.layout);
  const Run run = filled.machine.shell("exec unshare -m sh -c 'mount -t tmpfs -o size=4m none " +
                                       filled.layout.string() + " && exec $PROGRAM export " +
                                       filled.pinned + " --to " + filled.to() + "'");
  CHECK(run.exit_code == 1);
  CHECK(contains(run.err, "17.8 MB needed, 4.2 MB free"));
}

TEST_CASE("a folder that holds something else is refused and left alone") {
  const FilledCache filled;
  write_text(filled.layout / "notes.txt", "weeks of work");
  const Run run = filled.run(filled.pinned);
  CHECK(run.exit_code == 1);
  CHECK(contains(run.err, "is not empty and no OCI image layout"));
  CHECK(tree_of(filled.layout).size() == 1);

  // A repository of another cache has its records in a folder of this name.
  write_text(filled.layout / ".model-prep/record.json", "{}");
  CHECK(filled.run(filled.pinned).exit_code == 1);
  CHECK(tree_of(filled.layout).contains(".model-prep/record.json"));

  fs::remove_all(filled.layout);
  write_text(filled.layout / ".model-prep", "a file of this name");
  CHECK(filled.run(filled.pinned).exit_code == 1);
  CHECK(read_text(filled.layout / ".model-prep") == "a file of this name");

  const Run inside = filled.machine.run(
      {"export", filled.pinned, "--to", "oci:" + (filled.machine.cache() / "x").string()});
  CHECK(inside.exit_code == 1);
  CHECK(contains(inside.err, "must be a folder outside the cache"));
}

TEST_CASE("a layout that is none is refused before a layer is written") {
  const FilledCache filled;
  const auto [name, text] = GENERATE(
      table<std::string, std::string>({{"oci-layout", ""},
                                       {"oci-layout", "{}"},
                                       {"index.json", "[]"},
                                       {"index.json", std::string(std::size_t{5} * kMiB, ' ')}}));
  CAPTURE(name);
  write_text(filled.layout / "oci-layout", R"({"imageLayoutVersion": "1.0.0"})");
  write_text(filled.layout / name, text);
  const Tree before = tree_of(filled.layout);
  const Run run = filled.run(filled.pinned);
  CHECK(run.exit_code == 1);
  CHECK(contains(run.err, name + " is not that of an OCI image layout"));
  CHECK(tree_of(filled.layout) == before);

  fs::remove(filled.layout / name);
  fs::create_symlink("nowhere", filled.layout / name);
  CHECK(contains(filled.run(filled.pinned).err, name + " is not that of an OCI image layout"));
}

TEST_CASE("export says what --to must be, and other commands do not take it") {
  const FilledCache filled;
  CHECK(contains(filled.machine.run({"export"}).err, "export needs --to"));
  CHECK(contains(filled.machine.run({"export", "--to", "images"}).err,
                 "--to is 'images', but must be oci:FOLDER[:TAG], dir:FOLDER or dir-flat:FOLDER"));
  CHECK(contains(filled.machine.run({"export", "--to", "oci:x", "--prefix", "../x"}).err,
                 "--prefix is '../x', but must be a directory in the image"));
  CHECK(contains(filled.machine.run({"list", "--to", "oci:x"}).err, "list does not take --to"));
}

TEST_CASE("a model that needs another repository is exported with a warning") {
  FakeHub hub;
  hub.add(make_repo("org/base", {{"config.json", "{}"}}));
  hub.add(make_repo("org/adapter",
                    {{"adapter_config.json", R"({"base_model_name_or_path": "org/base"})"},
                     {"adapter_model.safetensors", MadeUpBytes{1000, 1}, true}}));
  const TestHost machine(hub);
  REQUIRE(machine.run({"org/adapter", "org/base"}).exit_code == 0);
  const std::string to = "oci:" + (machine.folder() / "images").string();
  const Run alone = machine.run({"export", "org/adapter", "--to", to});
  CHECK(alone.exit_code == 0);
  CHECK(contains(alone.err, "org/base is needed and not exported"));
  const Run both = machine.run({"export", "org/adapter", "org/base", "--to", to});
  CHECK(both.exit_code == 0);
  CHECK_FALSE(contains(both.err, "is needed"));
}

}  // namespace model_prep::testing
