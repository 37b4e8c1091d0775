// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/payload_sink.h"

#include <algorithm>
#include <vector>

namespace model_prep {
namespace {

constexpr std::size_t kBlock = 128 * 1024;  // written at once while more is arriving

class PayloadSink : public BodySink {
 public:
  PayloadSink(Scheduler& scheduler, Staging& staging, TransferId transfer)
      : scheduler_(scheduler),
        staging_(staging),
        transfer_(transfer),
        range_(scheduler.range_of(transfer)) {
    buffer_.reserve(std::min(kBlock, static_cast<std::size_t>(range_.size())));
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
      const auto offset = static_cast<std::size_t>(range_.begin) % kBlock;
      const auto piece = bytes.first(std::min(bytes.size(), kBlock - offset - buffer_.size()));
      buffer_.insert(buffer_.end(), piece.begin(), piece.end());
      bytes = bytes.subspan(piece.size());
      if (offset + buffer_.size() < kBlock) break;
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
    }
    buffer_.clear();
    range_.begin = block.end;
    return std::nullopt;
  }

 private:
  Scheduler& scheduler_;
  Staging& staging_;
  TransferId transfer_;
  ByteRange range_;           // still to be written
  std::vector<char> buffer_;  // its beginning
};

}  // namespace

std::unique_ptr<BodySink> make_payload_sink(Scheduler& scheduler, Staging& staging,
                                            TransferId transfer) {
  return std::make_unique<PayloadSink>(scheduler, staging, transfer);
}

}  // namespace model_prep
