// SPDX-License-Identifier: Apache-2.0
// --offline with --from and without a lock: what the folder says of a model is used, warned of, and
// never taken for what the Hub has said.
#include "prepared.h"
#include "support/catch.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;

struct Import : Prepared {
  TestHost far{hub};
  fs::path from = machine.cache();

  Run run(const std::string& model) const {
    return far.run({model, "--offline", "--from", from.string()});
  }
  std::string far_record() const {
    return read_text(far.cache() / "models--org--small/.model-prep" / (main_of(repo) + ".json"));
  }
};

}  // namespace

TEST_CASE("a pinned commit is imported without a network, and the folder's list is a claim") {
  Import import;
  const Run run = import.run(import.pinned);
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(import.hub.requests().empty());
  CHECK(contains(run.err, "only " + import.from.string() + " says which files commit"));
  CHECK(tree_of(import.far.cache()) == published(import.repo));
  CHECK(contains(import.far_record(), "\"claimed\""));
  CHECK_FALSE(contains(import.far_record(), "\"listing\""));

  // Later offline runs, and verify, need the folder no more.
  fs::remove_all(import.from);
  fs::remove(import.far.cache() / "models--org--small/trees" / (main_of(import.repo) + ".json"));
  CHECK(import.far.run({import.pinned, "--offline"}).exit_code == 0);
  CHECK(import.far.run({"verify", import.pinned}).exit_code == 0);
  CHECK(import.hub.requests().empty());

  // One that may ask the Hub does, once.
  CHECK(import.far.run({import.pinned}).exit_code == 0);
  CHECK_FALSE(import.hub.requests("tree").empty());
  CHECK(import.hub.requests("payload").empty());
  CHECK(contains(import.far_record(), "\"listing\""));
  CHECK_FALSE(contains(import.far_record(), "\"claimed\""));
  import.hub.clear_requests();
  CHECK(import.far.run({import.pinned}).exit_code == 0);
  CHECK(import.hub.requests().empty());
}

TEST_CASE("what was imported can be imported again from there") {
  Import import;
  REQUIRE(import.run(import.pinned).exit_code == 0);
  fs::remove_all(import.from);
  import.from = import.far.cache();
  const TestHost third(import.hub);
  CHECK(third.run({import.pinned, "--offline", "--from", import.from.string()}).exit_code == 0);
  CHECK(import.hub.requests().empty());
}

TEST_CASE("what was imported without a lock is not exported, except with one") {
  Import import;
  const Run lock = import.machine.run({"lock", import.pinned});
  REQUIRE(lock.exit_code == 0);
  REQUIRE(import.run(import.pinned).exit_code == 0);
  std::vector<std::string> command = {"export", import.pinned, "--to",
                                      "dir:" + (import.far.folder() / "plain").string()};
  const Run run = import.far.run(command);
  CHECK(run.exit_code == 1);
  CHECK(contains(run.err, "only a folder of --from says which files"));
  CHECK(contains(run.err, "name a lock with --manifest"));

  write_text(import.far.folder() / "lock.json", lock.out);
  command.insert(command.end(), {"--manifest", (import.far.folder() / "lock.json").string()});
  CHECK(import.far.run(command).exit_code == 0);
}

TEST_CASE("a branch that the cache does not have is what the folder's ref says") {
  Import import;
  CHECK(import.run("org/small").exit_code == 0);
  CHECK(import.hub.requests().empty());
  CHECK(read_text(import.far.cache() / "models--org--small/refs/main") == main_of(import.repo));
}

TEST_CASE("a branch that the cache has stays there, whatever a folder says") {
  Import import;
  REQUIRE(import.run("org/small").exit_code == 0);
  write_text(import.in_repo("refs/main"), std::string(40, 'e'));
  const Run run = import.run("org/small");
  CHECK(run.exit_code == 0);
  CHECK(read_text(import.far.cache() / "models--org--small/refs/main") == main_of(import.repo));
}

TEST_CASE("huggingface_hub's listing will do; with neither, the error says what is missing") {
  Import import;
  fs::remove_all(import.in_repo(".model-prep"));
  const fs::path tree = import.in_repo("trees/" + main_of(import.repo) + ".json");
  REQUIRE(fs::exists(tree));
  SECTION("a listing") { CHECK(import.run(import.pinned).exit_code == 0); }
  SECTION("neither") {
    fs::remove(tree);
    const Run run = import.run(import.pinned);
    CHECK(run.exit_code == 1);
    CHECK(run.error_kind(import.pinned) == "offline_missing");
    CHECK(contains(run.err, "the file list of commit " + main_of(import.repo).substr(0, 12)));
    CHECK(contains(run.err, "no folder of --from says it either"));
  }
  SECTION("a listing behind a link that somebody planted") {
    const fs::path away = import.machine.folder() / "away";
    fs::rename(tree, away);
    fs::create_symlink(away, tree);
    CHECK(import.run(import.pinned).exit_code == 1);
  }
  CHECK(import.hub.requests().empty());
}

TEST_CASE("online, what a folder says counts for nothing") {
  Import import;
  const Run run = import.far.run({import.pinned, "--from", import.from.string()});
  CHECK(run.exit_code == 0);
  CHECK_FALSE(import.hub.requests("tree").empty());
  CHECK_FALSE(contains(run.err, "says which files"));
  CHECK(contains(import.far_record(), "\"listing\""));
}

}  // namespace model_prep::testing
