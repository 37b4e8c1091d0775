// SPDX-License-Identifier: Apache-2.0
#include <map>

#include "fuzz/targets.h"
#include "model_prep/cli/hub_endpoints.h"
#include "model_prep/io/proxy.h"
#include "model_prep/io/url.h"

namespace model_prep::fuzz {
namespace {

const std::string kSecret = "xyzzy";

bool is_shown(const std::string& text) { return text.find(kSecret) != std::string::npos; }

void check_endpoints(const std::string& list, bool has_secret) {
  const std::map<std::string, std::string> environment = {{"HF_ENDPOINT", list}};
  FlagValues values(environment);
  values.add("--endpoint", {}, {"HF_ENDPOINT"});
  auto endpoints = find_endpoints(values);
  if (!endpoints) {
    check_message(endpoints.error());
    require(!has_secret || !is_shown(endpoints.error().message + endpoints.error().hint),
            "an error shows no password");
    return;
  }

  require(!endpoints->empty(), "there is an endpoint");
  give_token(*endpoints, Token("of-the-run"));
  for (const HubEndpoint& endpoint : *endpoints) {
    const Url& url = endpoint.hub.endpoint();
    require(!has_secret || !is_shown(endpoint.name() + url.origin), "a name shows no password");
    const bool is_of_run = endpoint.token && endpoint.token->reveal() == "of-the-run";
    require(!is_of_run || endpoints->size() == 1 || url.origin == "https://huggingface.co",
            "the run's token goes to the Hub, or to the only endpoint");

    for (const std::string other : {"https://cdn.example/a@b", "http://hub.example"})
      require(url.origin == parse_url(other)->origin ||
                  with_login(*parse_url(other), url).text == other,
              "no other host gets the login");
    const Url again = with_login(*parse_url(url.origin + "/x?a@b"), url);
    const auto parsed = parse_url(again.text);
    require(parsed && parsed->origin == url.origin, "an address with a login stays at its host");
  }
}

}  // namespace

void endpoints(std::string_view input) {
  Lines lines(input);
  const std::string before = lines.next();
  const std::string user = lines.next();
  const std::string password = lines.next() + kSecret;
  const std::string host = lines.next();
  const std::string address = before + user + ":" + password + "@" + host;

  // A comma and an address begin another endpoint, also in a password.
  const std::string rest = before + user + host;
  const bool has_secret = !is_shown(rest) && password.find(',') == std::string::npos &&
                          user.find(',') == std::string::npos &&
                          before.find(',') == std::string::npos;
  check_endpoints(address, has_secret);
  check_endpoints("https://huggingface.co," + address, has_secret);
  check_endpoints(before + host, false);

  // Elsewhere these would decide where the password begins and ends.
  const bool is_login = (before.empty() || before == "http://" || before == "https://") &&
                        user.find(':') == std::string::npos && host.find('@') == std::string::npos;
  const Proxy proxy{"HTTPS_PROXY", address};
  for (const std::string& part : {address, user + ":" + password, password})
    require(
        !is_login || is_shown(rest) || !is_shown(redact("cannot connect to " + part + "!", proxy)),
        "a message about a proxy shows no password");

  const ProxySettings settings({{"no_proxy", lines.next()}, {"https_proxy", address}});
  require(settings.no_proxy().find_first_of(" []") == std::string::npos,
          "NO_PROXY is a list with commas");
}

}  // namespace model_prep::fuzz
