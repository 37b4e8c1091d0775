// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/writer_tag.h"

#include "model_prep/base/digest.h"

namespace model_prep {
namespace {

constexpr std::size_t kHalf = 8;  // digits of a tag on each side of its hyphen

}  // namespace

std::optional<WriterTag> WriterTag::parse(std::string_view text) {
  if (text.size() != 2 * kHalf + 1 || text[kHalf] != '-') return std::nullopt;
  if (!is_lower_hex(text.substr(0, kHalf), kHalf) || !is_lower_hex(text.substr(kHalf + 1), kHalf))
    return std::nullopt;
  return WriterTag(std::string(text));
}

bool WriterTag::same_machine(const WriterTag& other) const {
  const std::string_view machine = std::string_view(text_).substr(0, kHalf);
  return machine == std::string_view(other.text_).substr(0, kHalf) &&
         machine.find_first_not_of('0') != std::string_view::npos;
}

}  // namespace model_prep
