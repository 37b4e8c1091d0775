// SPDX-License-Identifier: Apache-2.0
#include "support/hub_fault_book.h"

#include <string_view>

namespace model_prep::testing {
namespace {

std::string_view kind_name(Fault::On on) {
  switch (on) {
    case Fault::On::repo_info: return "repo_info";
    case Fault::On::tree: return "tree";
    case Fault::On::resolve: return "resolve";
    case Fault::On::resolve_cache: return "resolve_cache";
    case Fault::On::payload: return "payload";
    case Fault::On::any: break;
  }
  return {};
}

bool matches(const Fault& fault, const HttpRequest& request, const Answer& answer) {
  if (fault.on != Fault::On::any && kind_name(fault.on) != answer.kind) return false;
  if (!fault.method.empty() && fault.method != request.method) return false;
  if (!fault.file.empty() && fault.file != answer.file) return false;
  return answer.file.find(fault.path) != std::string::npos ||
         percent_decode(request.path).value_or("").find(fault.path) != std::string::npos;
}

std::string content_range(std::int64_t first, std::int64_t length, std::int64_t total) {
  return "bytes " + std::to_string(first) + "-" + std::to_string(first + length - 1) + "/" +
         std::to_string(total);
}

void replace_text(Answer& answer, std::string text) {
  answer.content = nullptr;
  answer.text = std::move(text);
}

void replace_answer(Answer& answer, int status, HeaderList headers, std::string body) {
  for (const std::string_view name : {"RateLimit", "RateLimit-Policy"}) {
    const std::string* value = find_header(answer.headers, name);
    if (value != nullptr && find_header(headers, name) == nullptr)
      headers.emplace_back(name, *value);
  }
  answer.status = status;
  answer.headers = std::move(headers);
  replace_text(answer, std::move(body));
}

// One overload per fault. False, and nothing changed, if the fault makes no sense for this answer.
struct Applier {
  Answer& answer;
  Delivery& delivery;

  bool operator()(const Status& fault) const {
    HeaderList headers = fault.headers;
    if (find_header(headers, "Content-Type") == nullptr)
      headers.emplace_back("Content-Type", "text/plain; charset=utf-8");
    replace_answer(answer, fault.code, std::move(headers), fault.body);
    return true;
  }
  bool operator()(const Reset& fault) const {
    delivery.reset = fault;
    return true;
  }
  bool operator()(const Stall& fault) const {
    delivery.stall = fault;
    return true;
  }
  bool operator()(const Drip& fault) const {
    delivery.drip = fault;
    return true;
  }
  bool operator()(const ShortBody& fault) const {
    if (answer.body_length() == 0) return false;
    delivery.cut = fault.cut;
    return true;
  }
  bool operator()(const LongBody& fault) const {
    delivery.extra = fault.extra;
    delivery.framing = Delivery::Framing::until_close;
    return true;
  }
  bool operator()(const FlipByte& fault) const {
    const std::int64_t position = fault.offset - answer.first;
    if (answer.content == nullptr || position < 0 || position >= answer.length) return false;
    delivery.flipped = position;
    return true;
  }
  bool operator()(const RangeIgnored& /*fault*/) const {
    if (answer.content == nullptr || answer.status != 206) return false;
    answer.status = 200;
    remove_header(answer.headers, "Content-Range");
    answer.first = 0;
    answer.length = size_of(*answer.content);
    return true;
  }
  bool operator()(const WrongRange& fault) const {
    if (answer.content == nullptr || answer.status != 206) return false;
    const std::int64_t size = size_of(*answer.content);
    std::int64_t first = answer.first + fault.shift;
    if (first + answer.length > size) first = answer.first - fault.shift;
    if (first < 0 || first + answer.length > size) return false;
    answer.first = first;
    set_header(answer.headers, "Content-Range", content_range(first, answer.length, size));
    return true;
  }
  bool operator()(const WrongTotal& fault) const {
    if (answer.content != nullptr && answer.status == 206) {
      const std::int64_t total = size_of(*answer.content) + fault.difference;
      set_header(answer.headers, "Content-Range",
                 content_range(answer.first, answer.length, total));
      return true;
    }
    const std::string* linked = find_header(answer.headers, "X-Linked-Size");
    const auto size = linked == nullptr ? std::nullopt : parse_number(*linked);
    if (!size) return false;
    set_header(answer.headers, "X-Linked-Size", std::to_string(*size + fault.difference));
    return true;
  }
  bool operator()(const Html& /*fault*/) const {
    answer.status = 200;
    answer.headers = {{"Content-Type", "text/html; charset=utf-8"}};
    replace_text(
        answer,
        "<!DOCTYPE html><html><body><h1>Welcome to the airport</h1>Please log in.</body></html>\n");
    return true;
  }
  bool operator()(const Redirect& fault) const {
    replace_answer(answer, fault.code,
                   {{"Location", fault.location}, {"Content-Type", "text/plain; charset=utf-8"}},
                   "Redirecting to " + fault.location);
    return true;
  }
  bool operator()(const ExpiredSignature& /*fault*/) const {
    answer.status = 403;
    answer.headers = {{"Content-Type", "application/xml"}};
    replace_text(answer,
                 "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>AccessDenied</Code>"
                 "<Message>Request has expired</Message></Error>");
    return true;
  }
  bool operator()(const ContentEncoding& fault) const {
    set_header(answer.headers, "Content-Encoding", fault.name);
    delivery.framing = Delivery::Framing::chunked;
    return true;
  }
  bool operator()(const Chunked& /*fault*/) const {
    delivery.framing = Delivery::Framing::chunked;
    return true;
  }
  bool operator()(const GarbageJson& /*fault*/) const {
    answer.status = 200;
    set_header(answer.headers, "Content-Type", "application/json; charset=utf-8");
    replace_text(answer, R"([{"type":"file","path":"conf)");
    return true;
  }
  bool operator()(const BodyOverride& fault) const {
    replace_text(answer, fault.body);
    return true;
  }
  bool operator()(const ChangeHeaders& fault) const {
    for (const auto& [name, value] : fault.set) set_header(answer.headers, name, value);
    for (const std::string& name : fault.remove) remove_header(answer.headers, name);
    return true;
  }
};

}  // namespace

void FaultBook::add(Fault fault) {
  const int times = fault.times;
  const int skip = fault.skip;
  entries_.push_back({std::move(fault), times, skip});
}

Delivery FaultBook::apply(const HttpRequest& request, Answer& answer) {
  Delivery delivery;
  for (Entry& entry : entries_) {
    if (entry.left == 0 || !matches(entry.fault, request, answer)) continue;
    if (entry.to_skip > 0) {
      --entry.to_skip;
      continue;
    }
    if (!std::visit(Applier{answer, delivery}, entry.fault.what)) continue;
    if (entry.left > 0) --entry.left;
    break;
  }
  return delivery;
}

}  // namespace model_prep::testing
