// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/range_reader.h"

#include <algorithm>

namespace model_prep {
namespace {

constexpr Bytes kSmallestWindow = Bytes{4} * 1024;
constexpr Bytes kLargestWindow = Bytes{64} * 1024;

}  // namespace

FileRange range_of(std::string_view bytes) {
  return {static_cast<Bytes>(bytes.size()), [bytes](Bytes offset, std::size_t size) {
            return std::string(bytes.substr(static_cast<std::size_t>(offset), size));
          }};
}

bool RangeReader::load() {
  if (position_ >= end_) return false;
  const auto size = static_cast<Bytes>(window_.size());
  const Bytes within = position_ - window_begin_;
  if (within >= 0 && within < size) return true;

  const Bytes wanted =
      within == size ? std::clamp(2 * size, kSmallestWindow, kLargestWindow) : kSmallestWindow;
  window_begin_ = position_;
  window_ = file_->read(position_, static_cast<std::size_t>(std::min(wanted, left())));
  loaded_ += static_cast<Bytes>(window_.size());
  has_failed_ = has_failed_ || window_.empty();
  return !window_.empty();
}

std::optional<unsigned char> RangeReader::byte() {
  if (!load()) return std::nullopt;
  return static_cast<unsigned char>(window_[static_cast<std::size_t>(position_++ - window_begin_)]);
}

std::optional<std::string> RangeReader::bytes(std::size_t size) {
  if (size > static_cast<std::uint64_t>(left())) return std::nullopt;

  std::string bytes;
  while (bytes.size() < size) {
    if (!load()) return std::nullopt;
    const auto at = static_cast<std::size_t>(position_ - window_begin_);
    const std::size_t count = std::min(size - bytes.size(), window_.size() - at);
    bytes.append(window_, at, count);
    position_ += static_cast<Bytes>(count);
  }
  return bytes;
}

bool RangeReader::skip(std::uint64_t size) {
  if (size > static_cast<std::uint64_t>(left())) return false;
  position_ += static_cast<Bytes>(size);
  return true;
}

}  // namespace model_prep
