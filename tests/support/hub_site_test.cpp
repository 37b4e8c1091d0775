// SPDX-License-Identifier: Apache-2.0
#include "support/hub_site.h"

#include "support/catch.h"
#include "support/hub_test_client.h"

namespace model_prep::testing {
TEST_CASE("repository info names the commit of any revision, and blobs on request") {
  SampleHub hub;
  const auto info = ask(hub, "/api/models/org/name").json();
  CHECK(info["id"] == "org/name");
  CHECK(info["sha"] == kSampleCommit);
  CHECK(info["gated"] == false);
  CHECK(info["siblings"].size() == 4);
  CHECK_FALSE(info["siblings"][0].contains("size"));
  const auto blobs =
      ask(hub, "/api/models/org/name/revision/" + kSampleCommit + "?blobs=true").json();
  const FileDigests digests = digests_of(sample_weights());
  const auto& model = blobs["siblings"][3];
  CHECK(model["rfilename"] == "onnx/model.bin");
  CHECK(model["blobId"] == digests.pointer_oid);
  CHECK(model["size"] == kWeightsSize);
  CHECK(model["lfs"]["sha256"] == digests.sha256);
  CHECK(model["lfs"]["pointerSize"] == digests.pointer_size);
}

TEST_CASE("repository info has the model's card, and the scanners' findings on request") {
  FakeHub hub;
  HubRepo repo = sample_repo();
  const std::string target = "/api/models/org/name/revision/" + kSampleCommit;
  hub.add(repo);
  CHECK_FALSE(ask(hub, target).json().contains("cardData"));
  CHECK_FALSE(ask(hub, target).json().contains("securityRepoStatus"));
  CHECK(ask(hub, target + "?securityStatus=true").json()["securityRepoStatus"]["scansDone"] ==
        true);

  repo.card = R"({"license": "mit"})";
  repo.scan.clear();
  hub.add(repo);
  CHECK(ask(hub, target).json()["cardData"]["license"] == "mit");
  CHECK_FALSE(ask(hub, target + "?securityStatus=true").json().contains("securityRepoStatus"));
}

TEST_CASE("the expanded tree has what the scanners say of each file, and folders have none") {
  FakeHub hub;
  HubRepo repo = sample_repo();
  repo.scan_of_files = {{"config.json", "caution"}};
  hub.add(repo);
  const std::string target = "/api/models/org/name/tree/main?recursive=true";
  for (const auto& entry : ask(hub, target + "&expand=true").json()) {
    CHECK(entry.contains("lastCommit"));
    CHECK(entry.contains("securityFileStatus") == (entry["type"] == "file"));
    if (entry["type"] == "file")
      CHECK(entry["securityFileStatus"]["status"] ==
            (entry["path"] == "config.json" ? "caution" : "safe"));
  }
  CHECK_FALSE(ask(hub, target).json()[0].contains("lastCommit"));
}

TEST_CASE("a revision with a slash is one encoded segment, and an id needs no organisation") {
  FakeHub hub;
  HubRepo repo = make_repo("gpt2", sample_repo().commits.begin()->second, kSampleCommit);
  repo.refs["refs/pr/1"] = kSampleCommit;
  hub.add(repo);
  CHECK(ask(hub, "/api/models/gpt2/revision/refs%2Fpr%2F1").json()["sha"] == kSampleCommit);
  CHECK(ask(hub, "/api/models/gpt2/tree/main").json().size() == 4);
  CHECK(fetch(hub, "/gpt2/resolve/refs%2Fpr%2F1/config.json").body == "{\"a\": 1}\n");
  CHECK(ask(hub, "/api/models/gpt2/refs").json()["pullRequests"][0]["targetCommit"] ==
        kSampleCommit);
}

TEST_CASE(
    "a dataset, a space and a kernel are distinct from a model of the same name, on all routes") {
  SampleHub hub;
  for (const std::string kind : {"datasets", "spaces", "kernels"}) {
    CAPTURE(kind);
    hub.add(
        make_repo(kind + "/org/name", {{"config.json", kind}, {"rows.bin", "of " + kind, true}}));
    const auto info = ask(hub, "/api/" + kind + "/org/name").json();
    CHECK(info["id"] == "org/name");
    CHECK_FALSE(info.contains("modelId"));
    CHECK(ask(hub, "/api/" + kind + "/org/name/tree/main").json().size() == 2);
    const Response small = ask(hub, "/" + kind + "/org/name/resolve/main/config.json");
    CHECK(small.header("location").starts_with("/api/resolve-cache/" + kind + "/org/name/"));
    CHECK(fetch(hub, "/" + kind + "/org/name/resolve/main/config.json").body == kind);
    CHECK(fetch(hub, "/" + kind + "/org/name/resolve/main/rows.bin").body == "of " + kind);
  }
  CHECK(ask(hub, "/api/models/org/name").json()["modelId"] == "org/name");
  CHECK(fetch(hub, "/org/name/resolve/main/config.json").body == "{\"a\": 1}\n");
  CHECK(ask(hub, "/api/models/datasets/org/name").status == 404);
}

TEST_CASE("a dataset without an organisation is a relative 307 to its new home") {
  FakeHub hub;
  HubRepo old;
  old.id = "datasets/squad";
  old.renamed_to = "datasets/rajpurkar/squad";
  hub.add(old);
  hub.add(make_repo("datasets/rajpurkar/squad", {{"train.csv", "1,2"}}));
  CHECK(ask(hub, "/api/datasets/squad/revision/main?blobs=true").header("location") ==
        "/api/datasets/rajpurkar/squad/revision/main?blobs=true");
  CHECK(ask(hub, "/datasets/squad/resolve/main/train.csv").header("location") ==
        "/datasets/rajpurkar/squad/resolve/main/train.csv");
  CHECK(fetch(hub, "/datasets/squad/resolve/main/train.csv").body == "1,2");
}

TEST_CASE("a tree lists directories first, and LFS files with both hashes") {
  SampleHub hub;
  const auto tree = ask(hub, kTree).json();
  std::vector<std::string> paths;
  for (const auto& entry : tree) paths.push_back(entry["path"]);
  CHECK(paths == std::vector<std::string>{"1_Pooling", "onnx", "1_Pooling/config.json", "README.md",
                                          "config.json", "onnx/model.bin"});
  CHECK(tree[0]["type"] == "directory");
  CHECK(tree[4]["oid"] == digests_of({"", "{\"a\": 1}\n"}).git_sha1);
  const FileDigests digests = digests_of(sample_weights());
  const auto& model = tree[5];
  CHECK(model["oid"] == digests.pointer_oid);
  CHECK(model["size"] == kWeightsSize);
  CHECK(model["lfs"]["oid"] == digests.sha256);
  CHECK(model["xetHash"].get<std::string>().size() == 64);
  CHECK(model["xetHash"] != digests.sha256);
}

TEST_CASE("a tree can be one directory, not recursive, and a missing directory is a 404") {
  SampleHub hub;
  CHECK(ask(hub, "/api/models/org/name/tree/main/onnx").json()[0]["path"] == "onnx/model.bin");
  CHECK(ask(hub, "/api/models/org/name/tree/main").json().size() == 4);
  const Response missing = ask(hub, "/api/models/org/name/tree/main/nowhere");
  CHECK(missing.status == 404);
  CHECK(missing.header("x-error-code") == "EntryNotFound");
}

TEST_CASE("a long tree is split into pages, which Link headers connect") {
  HubOptions options;
  options.page_size = 4;
  SampleHub hub(options);
  const Response first = ask(hub, kTree);
  CHECK(first.json().size() == 4);
  const std::string link = first.header("link");
  REQUIRE(link.starts_with("<" + hub.endpoint() + "/api/"));
  REQUIRE(link.ends_with(">; rel=\"next\""));
  const Response second =
      ask(hub, link.substr(1 + hub.endpoint().size(), link.find('>') - 1 - hub.endpoint().size()));
  CHECK(second.json().size() == 2);
  CHECK(second.header("link").empty());
  CHECK(ask(hub, kTree + "&cursor=bogus").status == 400);
  CHECK(ask(hub, kTree + "&limit=1").json().size() == 1);
}

TEST_CASE("the Link header may name another origin, as some mirrors do") {
  HubOptions options;
  options.page_size = 1;
  options.link_origin = "https://huggingface.co";
  SampleHub hub(options);
  CHECK(ask(hub, kTree)
            .header("link")
            .starts_with("<https://huggingface.co/api/models/org/name/tree/main?"));
}

TEST_CASE("a hub without the tree API answers 404 without an error code") {
  FakeHub hub;
  HubRepo repo = sample_repo();
  repo.has_tree_api = false;
  hub.add(repo);
  const Response response = ask(hub, kTree);
  CHECK(response.status == 404);
  CHECK(response.header("x-error-code").empty());
  CHECK(ask(hub, "/api/models/org/name").status == 200);
}

TEST_CASE("paths-info answers for the requested paths, sent as a form or as JSON") {
  SampleHub hub;
  const std::string target = "/api/models/org/name/paths-info/main";
  CHECK(ask(hub, target, "", "POST", "paths=config.json&paths=no&paths=onnx").json().size() == 2);
  const auto found = ask(hub, target, "Content-Type: application/json\r\n", "POST",
                         R"({"paths":["onnx/model.bin"]})")
                         .json();
  REQUIRE(found.size() == 1);
  CHECK(found[0]["lfs"]["size"] == kWeightsSize);
}

TEST_CASE("unknown routes are 404 with JSON") {
  SampleHub hub;
  CHECK(ask(hub, "/api/agent-harnesses").status == 404);
  CHECK(ask(hub, "/api/models/org/name/xet-read-token/main").json().contains("error"));
}

TEST_CASE("every response of the hub has rate-limit headers, and the payload host's have none") {
  SampleHub hub;
  CHECK(ask(hub, kTree).header("ratelimit").starts_with("\"api\";r=499;t="));
  CHECK(ask(hub, kConfig).header("ratelimit-policy") ==
        "\"fixed window\";\"resolvers\";q=3000;w=300");
  CHECK(fetch(hub, kWeights).header("ratelimit").empty());
}

TEST_CASE("over its rate limit the hub responds with 429 and nothing remaining") {
  HubOptions options;
  options.rate_limit = RateLimit{.api = 2, .resolvers = 1, .window = std::chrono::seconds(3600)};
  SampleHub hub(options);
  CHECK(ask(hub, kTree).status == 200);
  CHECK(ask(hub, kTree).status == 200);
  const Response refused = ask(hub, kTree);
  CHECK(refused.status == 429);
  CHECK(refused.header("ratelimit").starts_with("\"api\";r=0;t="));
  CHECK(ask(hub, kConfig).status == 307);
  CHECK(ask(hub, kConfig).status == 429);
}

TEST_CASE("a missing repository is a plain 401 without a token, and RepoNotFound with one") {
  FakeHub hub(with_tokens());
  const Response anonymous = ask(hub, "/api/models/no/such");
  CHECK(anonymous.status == 401);
  CHECK(anonymous.header("x-error-code").empty());
  CHECK(anonymous.header("x-error-message") == "Invalid username or password.");
  CHECK(anonymous.header("www-authenticate").starts_with("Bearer "));
  CHECK(anonymous.body == R"({"error":"Invalid username or password."})");
  CHECK(ask(hub, "/no/such/resolve/main/x").body == "Invalid username or password.");
  const Response known = ask(hub, "/api/models/no/such", kBearer);
  CHECK(known.status == 404);
  CHECK(known.header("x-error-code") == "RepoNotFound");
}

TEST_CASE("a bad token is refused everywhere on the hub") {
  SampleHub hub(with_tokens());
  for (const std::string& target : {kTree, kConfig, std::string("/api/models/org/name")}) {
    const Response response = ask(hub, target, "Authorization: Bearer wrong\r\n");
    CHECK(response.status == 401);
    CHECK(response.header("x-error-message") == "Invalid credentials in Authorization header");
  }
}

TEST_CASE("unknown revisions and files have their error codes, and files the commit") {
  SampleHub hub;
  const Response revision = ask(hub, "/api/models/org/name/revision/nope");
  CHECK(revision.status == 404);
  CHECK(revision.header("x-error-code") == "RevisionNotFound");
  CHECK(revision.header("x-error-message") == "Invalid rev id: nope");
  CHECK(ask(hub, "/org/name/resolve/nope/config.json").header("x-error-code") ==
        "RevisionNotFound");
  const Response entry = ask(hub, "/org/name/resolve/main/nope");
  CHECK(entry.status == 404);
  CHECK(entry.header("x-error-code") == "EntryNotFound");
  CHECK(entry.header("x-repo-commit") == kSampleCommit);
  CHECK(entry.header("etag") == "W/\"f-mY2VvLxuxB7KhsoOdQTlMTccuAQ\"");  // the recorded one
}

TEST_CASE(
    "a gated repository checks access before revision and entry, but not for info and README") {
  SampleHub hub(with_tokens(), HubRepo::Access::gated);
  CHECK(ask(hub, "/api/models/org/name").json()["gated"] == "manual");
  CHECK(ask(hub, kTree).json()[5]["lfs"]["oid"] == digests_of(sample_weights()).sha256);
  for (const std::string target : {"main/config.json", "main/nope", "nope/config.json"}) {
    const Response response = ask(hub, "/org/name/resolve/" + target);
    CHECK(response.status == 401);
    CHECK(response.header("x-error-code") == "GatedRepo");
  }
  CHECK(fetch(hub, "/org/name/resolve/main/README.md").body == "read me\n");
  const Response stranger = ask(hub, kConfig, "Authorization: Bearer stranger\r\n");
  CHECK(stranger.status == 403);
  CHECK(stranger.header("x-error-code") == "GatedRepo");
  CHECK(ask(hub, kConfig, "Authorization: Bearer wrong\r\n").header("x-error-code") == "GatedRepo");
  CHECK(fetch(hub, kConfig, kBearer).status == 200);
}

TEST_CASE("a masked tree hides the hashes from those without access") {
  SampleHub hub(with_tokens(), HubRepo::Access::gated_masked);
  const std::string mask(64, '*');
  const auto masked = ask(hub, kTree).json()[5];
  CHECK(masked["lfs"]["oid"] == mask);
  CHECK(masked["xetHash"] == mask);
  CHECK(masked["oid"] == digests_of(sample_weights()).pointer_oid);
  CHECK(ask(hub, kTree, kBearer).json()[5]["lfs"]["oid"] == digests_of(sample_weights()).sha256);
}

TEST_CASE("a private repository looks missing, and a disabled one has a 403 that says so") {
  SampleHub hidden(with_tokens(), HubRepo::Access::private_);
  CHECK(ask(hidden, kTree).status == 401);
  CHECK(ask(hidden, kTree, "Authorization: Bearer stranger\r\n").status == 404);
  CHECK(ask(hidden, kTree, kBearer).status == 200);
  SampleHub disabled({}, HubRepo::Access::disabled);
  CHECK(ask(disabled, "/api/models/org/name").json()["disabled"] == true);
  const Response refused = ask(disabled, kConfig);
  CHECK(refused.status == 403);
  CHECK(refused.header("x-error-code").empty());
  CHECK(refused.header("x-error-message") == "Access to this resource is disabled.");
  CHECK(ask(disabled, kTree).status == 403);
}

TEST_CASE("renamed and wrongly spelled ids are a relative 307 that keeps the query") {
  SampleHub hub;
  HubRepo old;
  old.id = "name";
  old.renamed_to = "org/name";
  hub.add(old);
  CHECK(ask(hub, "/api/models/name/tree/main?recursive=true").header("location") ==
        "/api/models/org/name/tree/main?recursive=true");
  CHECK(ask(hub, "/name/resolve/main/config.json").header("location") == kConfig);
  CHECK(ask(hub, "/api/models/Org/NAME").header("location") == "/api/models/org/name");
  CHECK(fetch(hub, "/name/resolve/main/config.json").status == 200);
}

}  // namespace model_prep::testing
