// SPDX-License-Identifier: Apache-2.0
// The routes of HubSite that lead to the bytes of files.
#include "support/catch.h"
#include "support/hub_test_client.h"

namespace model_prep::testing {

TEST_CASE("a plain file is a relative 307 and then a 200 with its git blob id as ETag") {
  SampleHub hub;
  const Response redirect = ask(hub, kConfig);
  CHECK(redirect.status == 307);
  const std::string oid = digests_of({"", "{\"a\": 1}\n"}).git_sha1;
  CHECK(redirect.header("location") ==
        "/api/resolve-cache/models/org/name/" + kSampleCommit +
            "/config.json?%2Forg%2Fname%2Fresolve%2Fmain%2Fconfig.json=&etag=%22" + oid + "%22");
  CHECK(redirect.header("x-repo-commit") == kSampleCommit);
  CHECK(redirect.header("etag").empty());
  const Response file = ask(hub, redirect.header("location"));
  CHECK(file.status == 200);
  CHECK(file.header("etag") == "\"" + oid + "\"");
  CHECK(file.header("x-repo-commit") == kSampleCommit);
  CHECK(file.header("accept-ranges") == "bytes");
  CHECK(file.body == "{\"a\": 1}\n");
  CHECK(ask(hub, "/api/resolve-cache/models/org/name/main/config.json").status == 400);
}

TEST_CASE("an LFS file is an absolute 302 to the payload host, whose ETag is the Xet hash") {
  SampleHub hub;
  const Response redirect = ask(hub, kWeights);
  const FileDigests digests = digests_of(sample_weights());
  CHECK(redirect.status == 302);
  CHECK(redirect.header("x-repo-commit") == kSampleCommit);
  CHECK(redirect.header("x-linked-etag") == "\"" + digests.sha256 + "\"");
  CHECK(redirect.header("x-linked-size") == "1000000");
  CHECK(redirect.header("content-length") == std::to_string(redirect.body.size()));
  const Response file = fetch(hub, kWeights);
  CHECK(file.status == 200);
  CHECK(file.header("etag") == "\"" + redirect.header("x-xet-hash") + "\"");
  CHECK(sha256_hex(file.body) == digests.sha256);
}

TEST_CASE("HEAD has the headers of GET and no body") {
  SampleHub hub;
  Client client(hub.endpoint());
  CHECK(client.ask(kWeights, "", "HEAD").status == 302);
  const Response redirect = client.ask(kConfig, "", "HEAD");
  CHECK(redirect.status == 307);
  const Response file = client.ask(redirect.header("location"), "", "HEAD");
  CHECK(file.status == 200);
  CHECK(file.header("content-length") == "9");
  CHECK(client.ask(redirect.header("location")).body == "{\"a\": 1}\n");
}

TEST_CASE("ranges are answered from either origin") {
  SampleHub hub;
  const std::string whole = content_text(sample_weights().content);
  const Response middle = fetch(hub, kWeights, "Range: bytes=10-19\r\n");
  CHECK(middle.status == 206);
  CHECK(middle.header("content-range") == "bytes 10-19/1000000");
  CHECK(middle.body == whole.substr(10, 10));
  CHECK(fetch(hub, kWeights, "Range: bytes=999990-\r\n").body == whole.substr(999990));
  CHECK(fetch(hub, kWeights, "Range: bytes=-3\r\n").body == whole.substr(999997));
  CHECK(fetch(hub, kWeights, "Range: bytes=999990-2000000\r\n").header("content-range") ==
        "bytes 999990-999999/1000000");
  CHECK(fetch(hub, kConfig, "Range: bytes=1-3\r\n").body == "\"a\"");
  CHECK(fetch(hub, kConfig, "Range: bytes=0-1,3-4\r\n").status == 200);
  CHECK(fetch(hub, kConfig, "Range: bytes=4-3\r\n").status == 200);
}

TEST_CASE("a range beyond the end is a 416 with the size") {
  SampleHub hub;
  for (const std::string& target : {kWeights, kConfig}) {
    const Response response = fetch(hub, target, "Range: bytes=1000000-\r\n");
    CHECK(response.status == 416);
    CHECK(response.header("content-range") ==
          (target == kWeights ? "bytes */1000000" : "bytes */9"));
  }
}

TEST_CASE("a signed URL is valid only for the Range it was made for") {
  SampleHub hub;
  const std::string range = "Range: bytes=0-9\r\n";
  const std::string for_range = signed_target(hub, range);
  const std::string for_whole = signed_target(hub);
  CHECK(Client(hub.payload_origin()).ask(for_range, range).status == 206);
  CHECK(Client(hub.payload_origin()).ask(for_range).status == 403);
  CHECK(Client(hub.payload_origin()).ask(for_range, "Range: bytes=0-8\r\n").status == 403);
  CHECK(Client(hub.payload_origin()).ask(for_whole).status == 200);
  CHECK(Client(hub.payload_origin()).ask(for_whole, range).status == 403);
}

TEST_CASE("a signed URL must be sent back byte for byte") {
  SampleHub hub;
  std::string target = signed_target(hub);
  target.replace(target.find("%27%27"), 6, "''");
  CHECK(Client(hub.payload_origin()).ask(target).status == 403);
}

TEST_CASE("signatures over ranges can be turned off") {
  HubOptions options;
  options.sign_ranges = false;
  SampleHub hub(options);
  CHECK(Client(hub.payload_origin()).ask(signed_target(hub), "Range: bytes=0-8\r\n").status == 206);
}

TEST_CASE("signed URLs expire with time, or at once on demand") {
  SampleHub hub;
  const std::string target = signed_target(hub);
  hub.expire_signed_urls();
  const Response expired = Client(hub.payload_origin()).ask(target);
  CHECK(expired.status == 403);
  CHECK(expired.header("content-type") == "application/xml");
  CHECK(Client(hub.payload_origin()).ask(signed_target(hub)).status == 200);
  HubOptions options;
  options.signed_url_lifetime = std::chrono::seconds(0);
  SampleHub short_lived(options);
  CHECK(fetch(short_lived, kWeights).status == 403);
}

TEST_CASE("a token at the payload host is refused and recorded") {
  SampleHub hub(with_tokens());
  CHECK(Client(hub.payload_origin()).ask(signed_target(hub), kBearer).status == 400);
  const auto payload = hub.requests("payload");
  REQUIRE(payload.size() == 1);
  CHECK(payload[0].headers.at("authorization") == "Bearer secret");
}

TEST_CASE("names that need encoding work encoded and are refused raw") {
  FakeHub hub;
  hub.add(make_repo("org/name",
                    {{"sub dir/we#ird%20 é.txt", "x"}, {"big %.bin", MadeUpBytes{10, 1}, true}},
                    kSampleCommit));
  CHECK(fetch(hub, "/org/name/resolve/main/sub%20dir/we%23ird%2520%20%C3%A9.txt").body == "x");
  CHECK(fetch(hub, "/org/name/resolve/main/big%20%25.bin").body.size() == 10);
  CHECK(ask(hub, "/org/name/resolve/main/sub dir/x").status == 400);
  CHECK(ask(hub, "/org/name/resolve/main/é").status == 400);
  CHECK(ask(hub, "/org/name/resolve/main/%2").status == 400);
}

TEST_CASE("a mirror serves files with a 200") {
  HubOptions options;
  options.style = HubOptions::Style::mirror;
  SampleHub hub(options);
  const Response file = ask(hub, kWeights, "Range: bytes=5-6\r\n");
  CHECK(file.status == 206);
  CHECK(file.header("etag") == "\"" + digests_of(sample_weights()).sha256 + "\"");
  CHECK(file.header("x-repo-commit") == kSampleCommit);
  CHECK(ask(hub, kConfig).body == "{\"a\": 1}\n");
}

TEST_CASE("a hub under a prefix keeps it in endpoint, Location and Link") {
  HubOptions options;
  options.path_prefix = "/hf";
  options.page_size = 1;
  SampleHub hub(options);
  CHECK(hub.endpoint().ends_with("/hf"));
  Client client(origin_of_url(hub.endpoint()));
  CHECK(client.ask("/hf" + kConfig).header("location").starts_with("/hf/api/resolve-cache/"));
  CHECK(client.ask("/hf" + kTree).header("link").find("/hf/api/models/") != std::string::npos);
  CHECK(client.ask(kTree).status == 404);
  CHECK(fetch(hub, "/hf" + kConfig).status == 200);
}

}  // namespace model_prep::testing
