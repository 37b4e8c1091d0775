// SPDX-License-Identifier: Apache-2.0
// The forms in which the Hub and its mirrors respond: pages, redirects, prefixes, older routes.
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

}  // namespace model_prep::testing
