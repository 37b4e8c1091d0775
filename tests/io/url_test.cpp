// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/url.h"

#include "support/catch.h"

namespace model_prep {

TEST_CASE("the origin of a URL is normalized, and its text is kept") {
  const auto [text, origin] = GENERATE(table<std::string, std::string>({
      {"https://huggingface.co", "https://huggingface.co"},
      {"HTTPS://HuggingFace.co:443/a?b#c", "https://huggingface.co"},
      {"http://user:secret@host:8080/x", "http://host:8080"},
      {"http://[::1]:80/x", "http://[::1]"},
  }));
  const auto url = parse_url(text);
  REQUIRE(url.has_value());
  CHECK(url->text == text);
  CHECK(url->origin == origin);
  CHECK(url->https == origin.starts_with("https"));
}

TEST_CASE("anything but an http(s) URL is refused") {
  const std::string text = GENERATE("", "huggingface.co", "ftp://host/", "file:///etc/passwd",
                                    "http://", "/path", "http://a b/", "javascript:alert(1)");
  CHECK_FALSE(parse_url(text).has_value());
}

TEST_CASE("a Location is resolved against the URL of its response") {
  const Url base = *parse_url("https://host:8443/hf/org/name?x=1");
  const auto [reference, wanted] = GENERATE(table<std::string, std::string>({
      {"/api/resolve-cache/a%20b?%2Fx=&etag=%22e%22",
       "https://host:8443/api/resolve-cache/a%20b?%2Fx=&etag=%22e%22"},
      {"https://cdn.example/f?Signature=a~b%2B&Expires=1",
       "https://cdn.example/f?Signature=a~b%2B&Expires=1"},
      {"//cdn.example/f", "https://cdn.example/f"},
      {"other", "https://host:8443/hf/org/other"},
      {"../up", "https://host:8443/hf/up"},
  }));
  const auto url = resolve_url(base, reference);
  REQUIRE(url.has_value());
  CHECK(url->text == wanted);
}

TEST_CASE("a Location that is not an http(s) URL is refused") {
  const Url base = *parse_url("https://host/a");
  CHECK_FALSE(resolve_url(base, "file:///etc/passwd").has_value());
  CHECK_FALSE(resolve_url(base, "ftp://host/").has_value());
}

TEST_CASE("everything but letters, digits and four signs is percent-encoded") {
  const auto [text, encoded] = GENERATE(table<std::string, std::string>({
      {"refs/pr/1", "refs%2Fpr%2F1"},
      {"v1.0+b", "v1.0%2Bb"},
      {"we#ird%20 é.txt", "we%23ird%2520%20%C3%A9.txt"},
      {"a&b=c", "a%26b%3Dc"},
      {"a?b", "a%3Fb"},
      {"a:b@c", "a%3Ab%40c"},
      {"a[1]", "a%5B1%5D"},
      {"a'b", "a%27b"},
      {"a(1)!*", "a%281%29%21%2A"},
      {"Az09_.-~", "Az09_.-~"},
  }));
  CHECK(percent_encode(text) == encoded);
}

TEST_CASE("the next page is found among several links") {
  const auto [header, wanted] = GENERATE(table<std::string, std::string>({
      {"<https://h/a?cursor=x%3D%3D>; rel=\"next\"", "https://h/a?cursor=x%3D%3D"},
      {"<https://h/1>; rel=\"prev\", <https://h/3>; rel=\"next\"", "https://h/3"},
      {"<https://h/1>; title=\"t\"; rel=next", "https://h/1"},
      {"<https://h/1>; REL=\"NEXT\"", "https://h/1"},
      {"<https://h/1>; rel=\"last\"", ""},
      {"<https://h/1", ""},
      {"", ""},
      {"garbage >;< rel=\"next\"", ""},
  }));
  CHECK(next_link(header).value_or("") == wanted);
}

TEST_CASE("a possible login is hidden, even in text that is not a URL") {
  CHECK(strip_user_info("https://user:password@host/path") == "https://host/path");
  CHECK(strip_user_info("user:p@ss@host") == "host");
  CHECK(strip_user_info("https://user:p/ss@host") == "https://host");
  CHECK(strip_user_info("user:p@ss@https://x@host") == "host");
  CHECK(strip_user_info("user:p://ss@host") == "host");
  CHECK(strip_user_info("https://user:p://ss@host") == "https://host");
  CHECK(strip_user_info("https://host/path") == "https://host/path");
  CHECK(strip_user_info("").empty());
}

TEST_CASE("a login goes to addresses of its own origin only") {
  const Url endpoint = *parse_url("https://alice:p%40w@mirror.example:8443/hf");
  const auto with = [&](const std::string& text) {
    return with_login(*parse_url(text), endpoint).text;
  };
  CHECK(with("https://mirror.example:8443/hf/api?x=a@b") ==
        "https://alice:p%40w@mirror.example:8443/hf/api?x=a@b");
  CHECK(with("https://bob:x@mirror.example:8443/") == "https://alice:p%40w@mirror.example:8443/");
  CHECK(with("https://MIRROR.example:8443") == "https://alice:p%40w@MIRROR.example:8443");
  for (const std::string other : {"http://mirror.example:8443/", "https://mirror.example/",
                                  "https://mirror.example.org:8443/", "https://cdn/a@b"})
    CHECK(with(other) == other);
  CHECK(with_login(endpoint, *parse_url("https://mirror.example:8443")).text == endpoint.text);
}

}  // namespace model_prep
