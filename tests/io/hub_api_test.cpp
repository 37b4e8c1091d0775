// SPDX-License-Identifier: Apache-2.0
// The URLs of the Hub's API.
#include "model_prep/io/hub_api.h"

#include "model_prep/io/url.h"
#include "support/catch.h"

namespace model_prep {
namespace {

const std::string kHubCommit = "607a30d783dfa663caf39e06633721c8d4cfcd7e";

Hub hub_at(const std::string& endpoint) { return *Hub::parse(endpoint); }
RepoId repo(const std::string& text) { return *RepoId::parse(text); }
CommitId commit() { return *CommitId::parse(kHubCommit); }

}  // namespace

TEST_CASE("URLs are those of the Hub's API, with names encoded as it expects") {
  const Hub hub = hub_at("https://huggingface.co/");
  CHECK(hub.info(repo("org/name"), *Revision::parse("refs/pr/1")).text ==
        "https://huggingface.co/api/models/org/name/revision/refs%2Fpr%2F1");
  CHECK(hub.tree(repo("gpt2"), commit()).text == "https://huggingface.co/api/models/gpt2/tree/" +
                                                     kHubCommit + "?recursive=true&expand=false");
  CHECK(hub.blobs(repo("org/name"), commit()).text ==
        "https://huggingface.co/api/models/org/name/revision/" + kHubCommit + "?blobs=true");
  CHECK(hub.resolve(repo("org/name"), commit(), *RepoPath::parse("sub dir/we#ird%20 é.txt")).text ==
        "https://huggingface.co/org/name/resolve/" + kHubCommit +
            "/sub%20dir/we%23ird%2520%20%C3%A9.txt");
}

TEST_CASE("datasets and spaces have their own part of the API, and their type in file URLs") {
  const Hub hub = hub_at("https://huggingface.co");
  CHECK(hub.info(repo("datasets/org/name"), *Revision::parse("main")).text ==
        "https://huggingface.co/api/datasets/org/name/revision/main");
  CHECK(hub.tree(repo("datasets/squad"), commit()).text ==
        "https://huggingface.co/api/datasets/squad/tree/" + kHubCommit +
            "?recursive=true&expand=false");
  CHECK(hub.blobs(repo("spaces/org/name"), commit()).text ==
        "https://huggingface.co/api/spaces/org/name/revision/" + kHubCommit + "?blobs=true");
  CHECK(hub.resolve(repo("datasets/org/name"), commit(), *RepoPath::parse("a/b.csv")).text ==
        "https://huggingface.co/datasets/org/name/resolve/" + kHubCommit + "/a/b.csv");
  CHECK(hub.resolve(repo("spaces/org/name"), commit(), *RepoPath::parse("app.py")).text ==
        "https://huggingface.co/spaces/org/name/resolve/" + kHubCommit + "/app.py");
}

TEST_CASE("an endpoint may have a path") {
  const Hub hub = hub_at("http://mirror:8090/hf//");
  CHECK(hub.resolve(repo("org/name"), commit(), *RepoPath::parse("a/b")).text ==
        "http://mirror:8090/hf/org/name/resolve/" + kHubCommit + "/a/b");
  CHECK(hub.endpoint().origin == "http://mirror:8090");
}

TEST_CASE("anything that cannot be an endpoint is refused") {
  const std::string text =
      GENERATE("", "huggingface.co", "ftp://h", "https://h?x=1", "https://h#f", "/");
  const auto hub = Hub::parse(text);
  REQUIRE_FALSE(hub.has_value());
  CHECK(hub.error().kind == ErrorKind::usage);
}

TEST_CASE("a link of the server behind an endpoint leads to the same path at the endpoint") {
  const Hub hub = hub_at("https://host/artifactory/api/huggingfaceml/hub");
  const Url page = hub.tree(repo("org/name"), commit());
  const std::string here = "/api/models/org/name/tree/" + kHubCommit;
  for (const std::string inner : {"http://inner:8081/artifactory/api/huggingfaceml/hub",
                                  "https://host", "https://host/other/api/x", "https://host:443"}) {
    const auto next = hub.next_page("<" + inner + here + "?cursor=2>; rel=\"next\"", page);
    REQUIRE(next);
    CHECK(next->text == hub.endpoint().text + here + "?cursor=2");
  }
  CHECK_FALSE(
      hub.next_page("<https://host/api/models/org/name/tree/v1?cursor=2>; rel=\"next\"", page));
  CHECK_FALSE(hub.next_page("<https://inner" + here + ">; rel=\"next\"", page));
}

TEST_CASE("the next page keeps the login of the endpoint") {
  const Hub hub = hub_at("http://alice:pw@mirror/hf");
  const auto next = hub.next_page(
      "<http://mirror/hf/api/models/a/b/tree/" + kHubCommit + "?cursor=2>; rel=\"next\"",
      hub.tree(repo("a/b"), commit()));
  REQUIRE(next);
  CHECK(next->text == "http://alice:pw@mirror/hf/api/models/a/b/tree/" + kHubCommit + "?cursor=2");
}

TEST_CASE("the address of an API request names the repository") {
  const auto name = [](const std::string& text) {
    return std::string(Hub::repo_name({text, {}, false}));
  };
  CHECK(name("https://h/hf/api/models/org/name/revision/main") == "org/name");
  CHECK(name("https://h/api/datasets/squad/tree/x?recursive=true") == "squad");
  CHECK(name("https://h/api/huggingfaceml/hub/api/spaces/a/b/revision/c?blobs=true") == "a/b");
  CHECK(name("https://h/elsewhere").empty());
}

TEST_CASE("the next page is requested from the endpoint, whatever the link says") {
  const Hub hub = hub_at("http://mirror/hf");
  const Url page = *parse_url("http://mirror/hf/api/models/a/b/tree/x?recursive=true");
  const auto next = [&](const std::string& link) {
    const auto url = hub.next_page(link, page);
    return url ? url->text : "";
  };
  CHECK(next("<http://mirror/hf/api/models/a/b/tree/x?cursor=1>; rel=\"next\"") ==
        "http://mirror/hf/api/models/a/b/tree/x?cursor=1");
  CHECK(next("<https://huggingface.co/api/models/a/b/tree/x?cursor=Z%3D%3D>; rel=\"next\"") ==
        "http://mirror/hf/api/models/a/b/tree/x?cursor=Z%3D%3D");
  CHECK(next("</hf/api/models/a/b/tree/x?cursor=2>; rel=\"next\"") ==
        "http://mirror/hf/api/models/a/b/tree/x?cursor=2");
  CHECK(next("<https://evil.example/x>; rel=\"next\"").empty());
  CHECK(next("").empty());
}

}  // namespace model_prep
