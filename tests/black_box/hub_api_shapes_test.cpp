// SPDX-License-Identifier: Apache-2.0
// The forms in which the Hub and its mirrors respond: pages, redirects, prefixes, older routes.
#include <algorithm>
#include <cstdint>
#include <set>

#include "support/catch.h"
#include "test_host.h"

namespace model_prep::testing {
namespace {

HubOptions with_pages(std::size_t entries, const std::string& link_origin = {}) {
  HubOptions options;
  options.page_size = entries;
  options.link_origin = link_origin;
  return options;
}

/// A gzip file whose one block is stored, not compressed.
std::string gzip_of(const std::string& text) {
  std::uint32_t crc = 0xffffffff;
  for (const char c : text) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? 0xedb88320 : 0);
  }
  const auto little_endian = [](std::uint32_t value, int bytes) {
    std::string encoded;
    for (int i = 0; i < bytes; ++i) encoded += static_cast<char>(value >> (8 * i));
    return encoded;
  };
  const auto size = static_cast<std::uint32_t>(text.size());
  return std::string("\x1f\x8b\x08\0\0\0\0\0\0\xff\x01", 11) + little_endian(size, 2) +
         little_endian(~size, 2) + text + little_endian(~crc, 4) + little_endian(size, 4);
}

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

TEST_CASE("the login of an endpoint goes with every request to it, and to nobody else") {
  HubOptions options = with_pages(2, "");
  options.tokens = {"YWxpY2U6cHc="};  // alice:pw
  FakeHub hub(options);
  HubRepo repo = small_repo();
  repo.access = HubRepo::Access::gated;
  hub.add(repo);
  const TestHost machine("http://alice:pw@" + hub.endpoint().substr(7));
  const Run run = machine.run({"org/small", "--log-level", "debug"});
  INFO(run.err);
  CHECK(run.exit_code == 0);
  CHECK(hub.requests("tree").size() > 1);
  CHECK_FALSE(hub.requests("resolve_cache").empty());
  for (const LoggedRequest& request : hub.requests())
    CHECK(request.headers.contains("authorization") == (request.origin == "hub"));
  CHECK_FALSE(contains(run.err + run.summary.dump(), "pw@"));
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

TEST_CASE("a mirror that ignores recursive=true has its listing completed from its other list") {
  HubOptions options;
  options.lists_recursively = false;
  FakeHub hub(options);
  const HubRepo repo = small_repo();
  hub.add(repo);
  const TestHost machine(hub);
  const std::string revision = GENERATE("main", "commit") == std::string("main")
                                   ? "org/small"
                                   : "org/small@" + main_of(small_repo());
  CHECK(machine.run({revision}).exit_code == 0);
  CHECK(tree_of(machine.cache())
            .contains("models--org--small/snapshots/" + main_of(repo) + "/1_Pooling/config.json"));
  CHECK(machine.run({"org/small", "--offline"}).exit_code == 0);
}

TEST_CASE("a listing that names directories and not what is in them is refused, and not recorded") {
  HubOptions options;
  options.lists_recursively = false;
  options.lists_blobs = false;
  FakeHub hub(options);
  hub.add(small_repo());
  const TestHost machine(hub);
  const std::string pinned = "org/small@" + main_of(small_repo());
  const Run run = machine.run({pinned, "--variant", "all"});
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind(pinned) == "protocol");
  CHECK(contains(run.err, "directory '1_Pooling', but no file in it"));
  CHECK_FALSE(std::filesystem::exists(machine.cache() / "models--org--small"));

  // With two endpoints the other one is asked.
  FakeHub good;
  good.add(small_repo());
  CHECK(
      machine.run({pinned}, {{"HF_ENDPOINT", hub.endpoint() + "," + good.endpoint()}}).exit_code ==
      0);
}

TEST_CASE(
    "a mirror that drops the link to the next page has its listing completed, or is refused") {
  std::vector<HubFile> files = {{"z.json", "{}"}};
  for (int i = 0; i < 1'000; ++i) files.push_back({"f" + std::to_string(i), "same"});
  const HubRepo repo = make_repo("org/many", files);

  // Of a branch the repository's info tells how many files there are; of a commit only a page of
  // the usual length is suspicious.
  HubOptions options = with_pages(1'000);
  const bool is_branch = GENERATE(true, false);
  if (is_branch) options.page_size = 333;
  options.lists_blobs = GENERATE(true, false);
  FakeHub hub(options);
  hub.add(repo);
  hub.add(Fault{.on = Fault::On::tree, .times = -1, .what = ChangeHeaders{.remove = {"Link"}}});
  const TestHost machine(hub);
  const std::string wanted = "org/many" + (is_branch ? "" : "@" + main_of(repo));
  const Run run = machine.run({wanted, "--include", "z.json", "--include", "f1"});
  CHECK(run.exit_code == (options.lists_blobs ? 0 : 1));
  if (options.lists_blobs)
    CHECK(run.model(wanted)["files"].size() == 2);
  else
    CHECK(run.error_kind(wanted) == "protocol");
}

TEST_CASE("a repository that is spelled differently on the Hub is said to be") {
  FakeHub hub;
  HubRepo asked = small_repo("org/Small");
  asked.renamed_to = "Org/small";
  HubRepo right = small_repo("org/Small");
  right.id = "Org/small";
  hub.add(asked);
  hub.add(right);
  const TestHost machine(hub);
  const std::string wanted = GENERATE(true, false) ? "org/Small" : "org/Small@" + main_of(right);
  const Run run = machine.run({wanted});
  CHECK(run.exit_code == 0);
  CHECK(contains(run.err, "org/Small: the Hub calls this repository Org/small;"));
}

TEST_CASE("an endpoint that answers for another repository is refused") {
  FakeHub hub;
  hub.add(small_repo());
  hub.add(
      Fault{.on = Fault::On::repo_info,
            .what = BodyOverride{R"({"id":"org/other","sha":")" + main_of(small_repo()) + "\"}"}});
  const TestHost machine(hub);
  const Run run = machine.run({"org/small"});
  CHECK(run.exit_code == 1);
  CHECK(run.error_kind("org/small") == "protocol");
  CHECK(contains(run.err, "another repository, 'org/other'"));
}

TEST_CASE("a repository with a name that no directory can hold is usable without that file") {
  FakeHub hub;
  const HubRepo repo =
      make_repo("org/odd", {{"config.json", "{}"}, {"Icon\r", "x"}, {"a\\b", "y"}});
  hub.add(repo);
  const TestHost machine(hub);
  const std::string wanted = "org/odd@" + main_of(repo);
  CHECK(machine.run({wanted}).exit_code == 0);
  hub.clear_requests();
  CHECK(machine.run({wanted}).exit_code == 0);
  CHECK(hub.requests().empty());
  CHECK(machine.run({wanted, "--offline"}).exit_code == 0);

  // From the record too, a selection that includes it is refused.
  const Run all = machine.run({wanted, "--variant", "all"});
  CHECK(all.exit_code == 1);
  CHECK(all.error_kind(wanted) == "protocol");
  CHECK(contains(all.err, "Icon"));
  CHECK(contains(all.err, "--exclude"));
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
  const int status = GENERATE(404, 400, 501);
  repo.has_tree_api = false;
  hub.add(repo);
  if (status != 404)
    hub.add(Fault{.on = Fault::On::tree, .times = -1, .what = Status{.code = status}});
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

TEST_CASE("a listing that a mirror compresses all the same is read") {
  FakeHub hub;
  const HubRepo repo = make_repo("org/one", {{"config.json", "{}"}});
  hub.add(repo);
  const std::string tree = R"([{"type":"file","path":"config.json","size":2,"oid":")" +
                           digests_of(file_of(repo, "config.json")).git_sha1 + "\"}]";
  const Status answer{
      .code = 200,
      .headers = {{"Content-Type", "application/json"}, {"Content-Encoding", "gzip"}},
      .body = gzip_of(tree)};
  hub.add(Fault{.on = Fault::On::tree, .times = -1, .what = answer});
  const TestHost machine(hub);
  CHECK(machine.run({"org/one"}).exit_code == 0);
  CHECK(tree_of(machine.cache()) == published(repo));
}

TEST_CASE("only downloads count in the Hub's statistics") {
  FakeHub hub;
  hub.add(small_repo());
  const TestHost machine(hub);
  const auto counted = [&](const std::vector<std::string>& arguments) {
    hub.clear_requests();
    CHECK(machine.run(arguments).exit_code == 0);
    const auto requests = hub.requests();
    CHECK_FALSE(requests.empty());
    return std::ranges::count_if(requests, [](const LoggedRequest& request) {
      return request.headers.contains("x-hf-download-counter");
    });
  };
  CHECK(counted({"--dry-run", "org/small"}) == 0);
  CHECK(counted({"lock", "org/small"}) == 0);
  CHECK(counted({"org/small"}) > 0);
  for (const LoggedRequest& request : hub.requests())
    CHECK(request.headers.at("x-hf-download-counter") == "1");
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

}  // namespace model_prep::testing
