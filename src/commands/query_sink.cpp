// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/query_sink.h"

namespace model_prep {
namespace {

constexpr std::size_t kMaxReply = 16 * 1024 * 1024;
constexpr std::size_t kMaxTogether = 8 * 1024 * 1024;
constexpr std::size_t kLargeReply = 1024 * 1024;

}  // namespace

BodySink::Body QuerySink::on_head(const ResponseHead& head) {
  drop_body();  // of an earlier attempt
  open_.reply.head = head;
  open_.size = 0;
  open_.crowded_out = false;
  return head.status == 200 ? Body::wanted : Body::ignored;
}

std::optional<Error> QuerySink::on_data(std::span<const char> bytes) {
  open_.size += bytes.size();
  if (open_.size > kMaxReply)
    return Error{ErrorKind::protocol, "the response is larger than 16 MiB"};

  const bool is_alone = held_ == open_.reply.body.size();
  if (!is_alone && held_ + bytes.size() > kMaxTogether) open_.crowded_out = true;
  if (open_.crowded_out) {
    drop_body();
    return std::nullopt;
  }

  // A large one would be copied with each doubling. Pages that are not used need no memory.
  if (open_.size > kLargeReply) open_.reply.body.reserve(kMaxReply);
  held_ += bytes.size();
  open_.reply.body.append(bytes.data(), bytes.size());
  return std::nullopt;
}

void QuerySink::drop_body() {
  held_ -= open_.reply.body.size();
  std::string().swap(open_.reply.body);
}

}  // namespace model_prep
