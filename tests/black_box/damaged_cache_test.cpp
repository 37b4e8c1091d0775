// SPDX-License-Identifier: Apache-2.0
// Damage to a cached model, detected by the next run and repaired with as few bytes as possible.
#include <algorithm>
#include <csignal>

#include "prepared.h"
#include "support/catch.h"

namespace model_prep::testing {
namespace {

namespace fs = std::filesystem;

bool asks_for_payload(const std::vector<LoggedRequest>& log) {
  return std::ranges::count(log, "payload", &LoggedRequest::kind) > 0;
}

}  // namespace

TEST_CASE("only the truncated blob is fetched again") {
  Prepared prepared;
  fs::resize_file(prepared.blob("model.safetensors"), 100'000);
  const Run run = prepared.machine.run({prepared.pinned});
  CHECK(run.exit_code == 0);
  CHECK(tree_of(prepared.machine.cache()) == published(prepared.repo));
  CHECK(sent_of(prepared.hub, "model.safetensors") == 300'000);
  CHECK(run.summary["totals"]["bytes_downloaded"] == 300'000);
}

TEST_CASE("a flipped byte is detected by the blob's modification time and fetched again") {
  Prepared prepared;
  flip_byte(prepared.blob("model.safetensors"), 1234);
  fs::last_write_time(prepared.blob("model.safetensors"),
                      fs::file_time_type::clock::now() - std::chrono::hours(1));
  CHECK(prepared.machine.run({prepared.pinned}).exit_code == 0);
  CHECK(tree_of(prepared.machine.cache()) == published(prepared.repo));
}

TEST_CASE("a touched blob with the right bytes is hashed, not fetched") {
  Prepared prepared;
  fs::last_write_time(prepared.blob("model.safetensors"),
                      fs::file_time_type::clock::now() - std::chrono::hours(1));
  const Run run = prepared.machine.run({prepared.pinned});
  CHECK(run.exit_code == 0);
  CHECK(prepared.hub.requests().empty());
  CHECK(run.model(prepared.pinned)["status"] == "cached");
}

TEST_CASE("a flipped byte is repaired even if the lock directory is missing") {
  Prepared prepared;
  fs::remove_all(prepared.machine.cache() / ".locks");
  flip_byte(prepared.blob("model.safetensors"), 1234);
  fs::last_write_time(prepared.blob("model.safetensors"),
                      fs::file_time_type::clock::now() - std::chrono::hours(1));
  CHECK(prepared.machine.run({prepared.pinned}).exit_code == 0);
  CHECK(sha256_hex(read_text(prepared.blob("model.safetensors"))) ==
        digests_of(file_of(prepared.repo, "model.safetensors")).sha256);
}

TEST_CASE("the missing blob of a dangling link is fetched again") {
  Prepared prepared;
  fs::remove(prepared.blob("1_Pooling/config.json"));
  CHECK(prepared.machine.run({prepared.pinned}).exit_code == 0);
  CHECK(tree_of(prepared.machine.cache()) == published(prepared.repo));
  CHECK(prepared.hub.requests("payload").empty());
}

TEST_CASE("a missing link is recreated without a request") {
  Prepared prepared;
  fs::remove(prepared.link("config.json"));
  CHECK(prepared.machine.run({prepared.pinned}).exit_code == 0);
  CHECK(tree_of(prepared.machine.cache()) == published(prepared.repo));
  CHECK(prepared.hub.requests().empty());
}

TEST_CASE("a link with a wrong target is corrected without a request") {
  Prepared prepared;
  fs::remove(prepared.link("config.json"));
  fs::create_symlink("/etc/passwd", prepared.link("config.json"));
  CHECK(prepared.machine.run({prepared.pinned}).exit_code == 0);
  CHECK(tree_of(prepared.machine.cache()) == published(prepared.repo));
  CHECK(prepared.hub.requests().empty());
}

TEST_CASE("a marker of a file that does not exist is removed when the file is there") {
  Prepared prepared;
  const fs::path markers = prepared.in_repo(".no_exist/" + main_of(prepared.repo));
  write_text(markers / "1_Pooling/config.json", "");
  write_text(markers / "added_tokens.json", "");
  CHECK(prepared.machine.run({prepared.pinned}).exit_code == 0);
  CHECK_FALSE(fs::exists(markers / "1_Pooling/config.json"));
  CHECK(fs::exists(markers / "added_tokens.json"));
  CHECK(prepared.hub.requests().empty());
}

TEST_CASE("a file in the place of a link is replaced by the link") {
  Prepared prepared;
  fs::remove(prepared.link("config.json"));
  write_text(prepared.link("config.json"), "a copy");
  CHECK(prepared.machine.run({prepared.pinned}).exit_code == 0);
  CHECK(tree_of(prepared.machine.cache()) == published(prepared.repo));
}

TEST_CASE("a ref that is missing, wrong or ends in a newline is rewritten without a request") {
  Prepared prepared;
  const fs::path ref = prepared.in_repo("refs/main");
  const std::string kind = GENERATE("missing", "wrong", "newline", "empty");
  if (kind == "missing") fs::remove(ref);
  if (kind == "wrong") write_text(ref, std::string(40, 'a'));
  if (kind == "newline") write_text(ref, main_of(prepared.repo) + "\n");
  if (kind == "empty") write_text(ref, "");
  CHECK(prepared.machine.run({prepared.pinned}).exit_code == 0);
  CHECK(read_text(ref) == main_of(prepared.repo));
  CHECK(prepared.hub.requests().empty());
}

TEST_CASE("without our record, only the listing is requested and the files are hashed") {
  Prepared prepared;
  fs::remove(prepared.record());
  CHECK(prepared.machine.run({prepared.pinned}).exit_code == 0);
  CHECK(fs::exists(prepared.record()));
  REQUIRE(prepared.hub.requests().size() == 1);
  CHECK(prepared.hub.requests()[0].kind == "tree");
}

TEST_CASE("a record that is not JSON is ignored") {
  Prepared prepared;
  write_text(prepared.record(), "{\"format\": 1, \"blo");
  CHECK(prepared.machine.run({prepared.pinned}).exit_code == 0);
  CHECK(prepared.hub.requests("resolve").empty());
  CHECK(nlohmann::json::accept(read_text(prepared.record())));
}

TEST_CASE("offline, damage is reported as an error") {
  Prepared prepared;
  flip_byte(prepared.blob("model.safetensors"), 5);
  fs::last_write_time(prepared.blob("model.safetensors"),
                      fs::file_time_type::clock::now() - std::chrono::hours(1));
  const Run run = prepared.machine.run({prepared.pinned, "--offline"});
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind(prepared.pinned) == "digest_mismatch");
}

TEST_CASE(
    "a file removed after its inspection is fetched again before the model is reported ready") {
  Prepared prepared;
  fs::remove(prepared.blob("model.safetensors"));
  prepared.hub.add(Fault{.on = Fault::On::payload,
                         .what = Stall{.after = 0, .lasting = std::chrono::milliseconds(300)}});
  const auto program = prepared.machine.start({prepared.pinned});
  REQUIRE(prepared.hub.wait_until(asks_for_payload));
  const std::string what =
      GENERATE(as<std::string>{}, "a blob", "the snapshot", "all", "a blob and the record");
  if (what != "the snapshot") fs::remove(prepared.blob("config.json"));
  if (what == "the snapshot" || what == "all")
    fs::remove_all(prepared.link("config.json").parent_path());
  if (what == "all") fs::remove_all(prepared.in_repo("refs"));
  if (what == "a blob and the record") fs::remove(prepared.record());
  const Run run = prepared.machine.end_of(*program);
  CAPTURE(what, run.err);
  CHECK(run.exit_code == 0);
  CHECK(run.model(prepared.pinned)["status"] == "downloaded");
  CHECK(tree_of(prepared.machine.cache()) == published(prepared.repo));
  const auto again = prepared.machine.run({prepared.pinned});
  CHECK(again.summary["totals"]["requests"] == 0);
}

TEST_CASE("a complete model that is removed while another one arrives is fetched again") {
  Prepared prepared;
  const HubRepo large = large_repo(300'000);
  prepared.hub.add(large);
  prepared.hub.add(Fault{.on = Fault::On::payload,
                         .what = Stall{.after = 0, .lasting = std::chrono::seconds(3)}});
  const std::string other = "org/large@" + main_of(large);
  const auto program = prepared.machine.start({prepared.pinned, other});
  REQUIRE(prepared.hub.wait_until(asks_for_payload));
  fs::remove_all(prepared.in_repo(""));
  const Run run = prepared.machine.end_of(*program);
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(run.model(prepared.pinned)["status"] == "downloaded");
  CHECK(contains(run.err, "removed or changed during the run"));
  CHECK(tree_of(prepared.machine.cache()) == merged(published(prepared.repo), published(large)));
}

TEST_CASE("a blob that changes after its model was ready is checked again before the run ends") {
  Prepared prepared;
  const bool was_complete = GENERATE(true, false);
  CAPTURE(was_complete);
  if (!was_complete) fs::remove(prepared.blob("empty.txt"));
  const HubRepo large = large_repo(300'000);
  prepared.hub.add(large);
  prepared.hub.add(Fault{.on = Fault::On::payload,
                         .path = kWeights,
                         .what = Stall{.after = 0, .lasting = std::chrono::seconds(3)}});
  const std::string other = "org/large@" + main_of(large);
  const auto program = prepared.machine.start({prepared.pinned, other});
  if (!was_complete) REQUIRE(program->wait_for_err(prepared.pinned + ": ready at"));
  REQUIRE(prepared.hub.wait_until(asks_for_payload));
  flip_byte(prepared.blob("model.safetensors"), 1);
  const Run run = prepared.machine.end_of(*program);
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(contains(run.err, "removed or changed during the run"));
  CHECK(tree_of(prepared.machine.cache()) == merged(published(prepared.repo), published(large)));
}

TEST_CASE("cleanup leaves a complete model alone while a download needs it and another one") {
  Prepared prepared;
  prepared.machine.use_manifest(
      R"({"version": 1, "models": {"small": {"repo": "org/small", "revision": ")" +
      std::string(40, 'e') + "\"}}}");
  HubRepo large = large_repo(300'000);
  prepared.hub.add(large);
  prepared.hub.add(Fault{.on = Fault::On::payload, .what = Stall{}});
  const auto program = prepared.machine.start({prepared.pinned, "org/large"});
  REQUIRE(prepared.hub.wait_until(asks_for_payload));
  const Run cleaned = prepared.machine.run({"cleanup"});
  CAPTURE(cleaned.err);
  CHECK(contains(cleaned.err, "in use by"));
  CHECK(fs::exists(prepared.link("config.json")));
  program->send_signal(SIGTERM);
  program->wait();
}

TEST_CASE("a blob that is changed after it was hashed is checked again before the run ends") {
  FakeHub hub;
  const HubRepo repo = small_repo();
  hub.add(repo);
  hub.add(Fault{.on = Fault::On::payload, .what = Drip{.bytes_per_second = 150'000}});
  const TestHost machine(hub);
  const auto program = machine.start({"org/small", "--log-level", "debug"});
  REQUIRE(program->wait_for_err("org/small config.json: verified"));
  flip_byte(blob_of(machine, repo, "config.json"), 1);
  const Run run = machine.end_of(*program);
  CAPTURE(run.err);
  CHECK(run.exit_code == 0);
  CHECK(contains(run.err, "removed or changed during the run"));
  CHECK(tree_of(machine.cache()) == published(repo));
  CHECK(machine.run({"verify", "org/small"}).exit_code == 0);
}

TEST_CASE("a blob in a shared store is read through its link, never written through it") {
  Prepared prepared;
  const fs::path blob = prepared.blob("model.safetensors");
  const fs::path stored = prepared.machine.cache() / "blobs/ab/stored";
  fs::create_directories(stored.parent_path());
  fs::rename(blob, stored);
  fs::create_symlink("../../blobs/ab/stored", blob);
  REQUIRE(prepared.machine.run({prepared.pinned}).exit_code == 0);
  CHECK(prepared.hub.requests().empty());
  CHECK(fs::is_symlink(blob));
  flip_byte(stored, 7);
  const std::string damaged = read_text(stored);
  fs::last_write_time(stored, fs::file_time_type::clock::now() - std::chrono::hours(1));
  CHECK(prepared.machine.run({prepared.pinned}).exit_code == 0);
  CHECK(read_text(stored) == damaged);
  CHECK(sha256_hex(read_text(blob)) ==
        digests_of(file_of(prepared.repo, "model.safetensors")).sha256);
}

TEST_CASE("a file that huggingface_hub fetched is hashed and reused") {
  FakeHub hub;
  const HubRepo repo = small_repo();
  hub.add(repo);
  const TestHost machine(hub);
  write_text(blob_of(machine, repo, "model.safetensors"),
             content_text(file_of(repo, "model.safetensors").content, 0, 300'000));
  CHECK(machine.run({"org/small"}).exit_code == 0);
  CHECK(hub.requests("payload").empty());
}

TEST_CASE("unrelated files in the cache are left alone") {
  Prepared prepared;
  const fs::path other = prepared.in_repo("blobs/0123.incomplete");
  write_text(other, "of another tool");
  write_text(prepared.machine.cache() / "models--a--b/refs/main", std::string(40, '0'));
  fs::remove(prepared.blob("config.json"));
  CHECK(prepared.machine.run({prepared.pinned}).exit_code == 0);
  CHECK(read_text(other) == "of another tool");
  CHECK(fs::exists(prepared.machine.cache() / "models--a--b/refs/main"));
}

}  // namespace model_prep::testing
