// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/resume_record.h"

#include <algorithm>

#include "fuzz/targets.h"

namespace model_prep::fuzz {

namespace {

/// Whatever this machine is called, its own record can be read back.
void check_written(std::string_view name) {
  const WriterTag tag = WriterTag::make("0123abcd", "4567cdef");
  const auto size = static_cast<Bytes>(name.size()) + 1;
  ResumeRecord record{std::string(name), tag, tag, name.size(), size, {}};
  record.have.add({0, size / 2});
  record.have.add({size / 2 + 1, size});
  const auto back = parse_resume(serialize_resume(record));
  require(back && back->writer == record.writer && back->file == record.file &&
              back->sequence == record.sequence && back->size == record.size &&
              back->have == record.have,
          "what was written is read");
}

}  // namespace

void resume(std::string_view input) {
  check_written(input);
  if (const auto tag = WriterTag::parse(input)) {
    require(tag->text() == input && input.size() == 17, "a tag is what was written");
    require(input.find_first_not_of("0123456789abcdef-") == std::string_view::npos,
            "a tag makes a file's name");
  }
  const auto found = parse_resume(input);
  if (!found) return;
  require(std::all_of(found->owner.begin(), found->owner.end(),
                      [](char c) { return c > ' ' && c <= '~'; }),
          "an owner can be shown");
  require(found->size >= 0 || found->have.empty(), "there are bytes only of a file");
  require(!found->have.gap(0, found->size) || found->have.total() < found->size,
          "a gap is missing");
  require(found->have.total() <= std::max<std::int64_t>(0, found->size),
          "there are no more bytes than the file has");
  const std::string text = serialize_resume(*found);
  const auto back = parse_resume(text);
  require(back && back->owner == found->owner && back->writer == found->writer &&
              back->file == found->file && back->sequence == found->sequence &&
              back->size == found->size && back->have == found->have,
          "a resume record is read again");
  require(serialize_resume(*back) == text, "a resume record is written alike twice");
}

}  // namespace model_prep::fuzz
