// SPDX-License-Identifier: Apache-2.0
#include "support/hub_fault.h"

#include <nlohmann/json.hpp>
#include <stdexcept>

namespace model_prep::testing {
namespace {

using nlohmann::json;

HeaderList header_list(const json& object) {
  HeaderList headers;
  for (const auto& [name, value] : object.items())
    headers.emplace_back(name, value.get<std::string>());
  return headers;
}

std::int64_t number(const json& object, const char* name, std::int64_t otherwise) {
  return object.value(name, otherwise);
}

std::string text(const json& object, const char* name) { return object.value(name, std::string()); }

Stall parse_stall(const json& object) {
  Stall stall{.after = number(object, "after", kBeforeHeaders)};
  if (object.contains("lasting"))
    stall.lasting = std::chrono::milliseconds(object.at("lasting").get<std::int64_t>());
  return stall;
}

Fault::What parse_what(const json& object) {
  const std::string name = object.at("what").get<std::string>();
  const json none = json::object();
  if (name == "status") {
    return Status{object.value("code", 503), header_list(object.value("headers", none)),
                  text(object, "body")};
  }
  if (name == "reset") return Reset{number(object, "after", kBeforeHeaders)};
  if (name == "stall") return parse_stall(object);
  if (name == "drip")
    return Drip{number(object, "bytes_per_second", 1000), number(object, "after", 0)};
  if (name == "short_body") return ShortBody{number(object, "cut", 1)};
  if (name == "long_body") return LongBody{number(object, "extra", 1)};
  if (name == "flip_byte") return FlipByte{number(object, "offset", 0)};
  if (name == "range_ignored") return RangeIgnored{};
  if (name == "wrong_range") return WrongRange{number(object, "shift", 1)};
  if (name == "wrong_total") return WrongTotal{number(object, "difference", 1)};
  if (name == "html") return Html{};
  if (name == "redirect") return Redirect{text(object, "location"), object.value("code", 302)};
  if (name == "expired_signature") return ExpiredSignature{};
  if (name == "content_encoding") return ContentEncoding{object.value("name", std::string("gzip"))};
  if (name == "chunked") return Chunked{};
  if (name == "garbage_json") return GarbageJson{};
  if (name == "body_override") return BodyOverride{text(object, "body")};
  if (name == "change_headers") {
    return ChangeHeaders{header_list(object.value("set", none)),
                         object.value("remove", json::array()).get<std::vector<std::string>>()};
  }
  throw std::invalid_argument("no such fault: " + name);
}

Fault::On parse_on(const std::string& name) {
  if (name == "any") return Fault::On::any;
  if (name == "repo_info") return Fault::On::repo_info;
  if (name == "tree") return Fault::On::tree;
  if (name == "resolve") return Fault::On::resolve;
  if (name == "resolve_cache") return Fault::On::resolve_cache;
  if (name == "payload") return Fault::On::payload;
  throw std::invalid_argument("no such kind of request: " + name);
}

Fault parse_fault(const json& object) {
  return Fault{.on = parse_on(object.value("on", std::string("any"))),
               .path = text(object, "path"),
               .file = text(object, "file"),
               .method = text(object, "method"),
               .times = object.value("times", 1),
               .skip = object.value("skip", 0),
               .what = parse_what(object)};
}

}  // namespace

std::vector<Fault> parse_faults(std::string_view json_text) {
  try {
    std::vector<Fault> faults;
    for (const json& object : json::parse(json_text)) faults.push_back(parse_fault(object));
    return faults;
  } catch (const json::exception& error) {
    throw std::invalid_argument(std::string("not a list of faults: ") + error.what());
  }
}

}  // namespace model_prep::testing
