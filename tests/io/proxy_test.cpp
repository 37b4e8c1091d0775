// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/proxy.h"

#include "model_prep/io/url.h"
#include "support/catch.h"

namespace model_prep {
namespace {

const Url kHttp = *parse_url("http://mirror");
const Url kHttps = *parse_url("https://huggingface.co");

std::string variable_for(const Url& url, const std::map<std::string, std::string>& environment) {
  const auto proxy = ProxySettings(environment).proxy_for(url);
  return proxy ? proxy->variable : "";
}

}  // namespace

TEST_CASE("the scheme's own variable comes before ALL_PROXY, and lower case before capitals") {
  CHECK(variable_for(kHttps, {{"HTTPS_PROXY", "a"}, {"ALL_PROXY", "b"}}) == "HTTPS_PROXY");
  CHECK(variable_for(kHttps, {{"HTTPS_PROXY", "a"}, {"https_proxy", "b"}}) == "https_proxy");
  CHECK(variable_for(kHttps, {{"HTTP_PROXY", "a"}, {"ALL_PROXY", "b"}}) == "ALL_PROXY");
  CHECK(variable_for(kHttp, {{"HTTP_PROXY", "a"}, {"ALL_PROXY", "b"}}) == "HTTP_PROXY");
}

TEST_CASE("an empty proxy variable counts as unset") {
  CHECK(variable_for(kHttps, {{"https_proxy", ""}, {"HTTPS_PROXY", "a"}}) == "HTTPS_PROXY");
  CHECK(variable_for(kHttps, {{"HTTPS_PROXY", ""}}).empty());
  CHECK(variable_for(kHttps, {}).empty());
}

TEST_CASE("blanks and line ends at the end of a proxy variable do not count") {
  const ProxySettings settings(
      {{"https_proxy", " \n"}, {"HTTPS_PROXY", "http://p:1 \r\n"}, {"NO_PROXY", "a\n"}});
  CHECK(settings.proxy_for(kHttps)->address == "http://p:1");
  CHECK_FALSE(settings.proxy_for(kHttp));
  CHECK(settings.no_proxy() == "a");
}

TEST_CASE("NO_PROXY reaches libcurl in words that it understands") {
  const auto [list, words] = GENERATE(table<std::string, std::string>({
      {"localhost,*", "*"},
      {"*", "*"},
      {"[::1], .example", "::1,.example"},
      {"::/0", "::/1,8000::/1"},
      {"a 0.0.0.0/0", "a,0.0.0.0/1,128.0.0.0/1"},
      {"10.0.0.0/8,*.example", "10.0.0.0/8,*.example"},
      {" , ", ""},
  }));
  const auto no_proxy = [](const std::map<std::string, std::string>& environment) {
    return ProxySettings(environment).no_proxy();
  };
  CHECK(no_proxy({{"NO_PROXY", list}}) == words);
  CHECK(no_proxy({{"no_proxy", list}, {"NO_PROXY", "other"}}) == words);
  CHECK(no_proxy({{"HTTPS_PROXY", "a"}}).empty());
}

TEST_CASE("a message about a proxy contains neither its address nor its login") {
  const Proxy proxy{"HTTPS_PROXY", "http://user:pa@ss@proxy:3128"};
  CHECK(redact("no http://user:pa@ss@proxy:3128 here", proxy) == "no *** here");
  CHECK(redact("bad login user:pa@ss", proxy) == "bad login ***");
  CHECK(redact("bad password pa@ss", proxy) == "bad password ***");
  CHECK(redact("no host", {"HTTPS_PROXY", "proxy:3128"}) == "no host");
}

}  // namespace model_prep
