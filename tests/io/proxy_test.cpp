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

TEST_CASE("a message about a proxy contains neither its address nor its login") {
  const Proxy proxy{"HTTPS_PROXY", "http://user:pa@ss@proxy:3128"};
  CHECK(redact("no http://user:pa@ss@proxy:3128 here", proxy) == "no *** here");
  CHECK(redact("bad login user:pa@ss", proxy) == "bad login ***");
  CHECK(redact("bad password pa@ss", proxy) == "bad password ***");
  CHECK(redact("no host", {"HTTPS_PROXY", "proxy:3128"}) == "no host");
}

}  // namespace model_prep
