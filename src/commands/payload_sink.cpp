// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/payload_sink.h"

#include <algorithm>

namespace model_prep {
namespace {

class PayloadSink : public BodySink {
 public:
  PayloadSink(Scheduler& scheduler, Staging& staging, TransferId transfer, HashInput hash)
      : scheduler_(scheduler),
        staging_(staging),
        transfer_(transfer),
        hash_(hash),
        range_(scheduler.range_of(transfer)) {
    buffer_.reserve(std::min(kBlockSize, static_cast<std::size_t>(range_.size())));
  }

  Body on_head(const ResponseHead& head) override {
    const ResponseVerdict verdict =
        check_payload_response(head, scheduler_.payload_request(transfer_));
    if (verdict.kind == VerdictKind::body) return Body::wanted;
    // A body that could be gigabytes of the wrong bytes is not even received.
    return head.status == 200 || head.status == 206 ? Body::refused : Body::ignored;
  }

  std::optional<Error> on_data(std::span<const char> bytes) override {
    if (static_cast<Bytes>(buffer_.size() + bytes.size()) > range_.size())
      return Error{ErrorKind::protocol, "the response body is longer than announced"};

    while (!bytes.empty()) {
      const auto offset = static_cast<std::size_t>(range_.begin) % kBlockSize;
      const auto piece = bytes.first(std::min(bytes.size(), kBlockSize - offset - buffer_.size()));
      buffer_.insert(buffer_.end(), piece.begin(), piece.end());
      bytes = bytes.subspan(piece.size());
      if (offset + buffer_.size() < kBlockSize) break;
      if (auto error = on_pause()) return error;
    }
    return std::nullopt;
  }

  std::optional<Error> on_pause() override {
    // An earlier event may have cancelled the transfer: its range may be another's by now.
    if (buffer_.empty() || !scheduler_.running(transfer_)) return std::nullopt;

    // What is on disk may have been hashed: it must not change.
    const ByteRange block{range_.begin, range_.begin + static_cast<Bytes>(buffer_.size())};
    for (auto next = scheduler_.missing(transfer_, block); next;
         next = scheduler_.missing(transfer_, {next->end, block.end})) {
      const auto skipped = static_cast<std::size_t>(next->begin - block.begin);
      const auto bytes =
          std::span<const char>(buffer_).subspan(skipped, static_cast<std::size_t>(next->size()));
      if (Status written = staging_.write(bytes, next->begin); !written) return written.error();
      scheduler_.on_bytes(transfer_, *next);
      if (*next == block) hand_over(block);
    }
    buffer_.clear();
    range_.begin = block.end;
    return std::nullopt;
  }

 private:
  /// Only what the hash will need next: other blocks would wait in memory for a long time.
  void hand_over(ByteRange block) {
    if (hash_.hasher == nullptr || buffer_.size() != kBlockSize) return;
    const bool in_order = !scheduler_.missing(transfer_, {0, block.end});
    if (in_order) hash_.hasher->hand_over(hash_.job, block.begin, buffer_);
  }

  Scheduler& scheduler_;
  Staging& staging_;
  TransferId transfer_;
  HashInput hash_;
  ByteRange range_;  // still to be written
  Block buffer_;     // its beginning
};

}  // namespace

std::unique_ptr<BodySink> make_payload_sink(Scheduler& scheduler, Staging& staging,
                                            TransferId transfer, HashInput hash) {
  return std::make_unique<PayloadSink>(scheduler, staging, transfer, hash);
}

}  // namespace model_prep
