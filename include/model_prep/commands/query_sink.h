// SPDX-License-Identifier: Apache-2.0
// Keeps the response to a query of the Hub's API in memory: at most 16 MiB of one that is alone,
// and 8 MiB of several together. What is beyond that is dropped, to be requested again.
#pragma once

#include "model_prep/io/http.h"

namespace model_prep {

/// The last response to a query; `body` is set only if there is no error.
struct Reply {
  ResponseHead head;
  std::string body;
  std::optional<Error> error;
  std::size_t source{0};  ///< index of the source that responded
  Url url{};              ///< of the last request, after redirects
};

/// A reply while it arrives.
struct OpenReply {
  Reply reply{};
  std::size_t size{0};
  bool crowded_out{false};  ///< its bytes were dropped, because those of others need the memory
};

class QuerySink : public BodySink {
 public:
  /// `held` are the bytes of all replies. Both outlive the sink, or the transfer is cancelled
  /// first.
  QuerySink(OpenReply& open, std::size_t& held) : open_(open), held_(held) {}

  Body on_head(const ResponseHead& head) override;
  std::optional<Error> on_data(std::span<const char> bytes) override;

 private:
  void drop_body();

  OpenReply& open_;
  std::size_t& held_;
};

}  // namespace model_prep
