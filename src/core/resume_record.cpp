// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/resume_record.h"

#include <algorithm>
#include <functional>

#include <fmt/format.h>

#include "model_prep/base/parse_int.h"
#include "model_prep/base/text.h"

namespace model_prep {
namespace {

constexpr std::string_view kFormatMark = "model-prep-2";
constexpr std::size_t kMaxOwner = 300;

bool is_plain_char(char c) { return c > ' ' && c <= '~'; }

bool is_plain(std::string_view text) {
  return !text.empty() && text.size() <= kMaxOwner && std::ranges::all_of(text, is_plain_char);
}

/// A word that can be read back, whatever the machine's name is.
std::string plain(std::string_view text) {
  std::string word(text.substr(0, kMaxOwner));
  std::ranges::replace_if(word, std::not_fn(is_plain_char), '?');
  return word.empty() ? "?" : word;
}

}  // namespace

std::string serialize_resume(const ResumeRecord& record) {
  return fmt::format("{} {} {} {} {} {} {}\n", kFormatMark, plain(record.owner),
                     record.writer.text(), record.file.text(), record.sequence, record.size,
                     record.have.text());
}

std::optional<ResumeRecord> parse_resume(std::string_view text) {
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;  // torn
  const auto words = split(text.substr(0, end), ' ');
  if (words.size() != 7) return std::nullopt;

  const auto writer = WriterTag::parse(words[2]);
  const auto file = WriterTag::parse(words[3]);
  const auto sequence = parse_int<std::uint64_t>(words[4]);
  const auto size = parse_int(words[5]);
  if (words[0] != kFormatMark || !is_plain(words[1]) || !writer || !file || !sequence || !size)
    return std::nullopt;
  const auto have = RangeSet::parse(words[6], *size);
  if (!have) return std::nullopt;
  return ResumeRecord{std::string(words[1]), *writer, *file, *sequence, *size, *have};
}

ClaimDecision decide_claim(const StagingClaim& claim, const WriterTag& mine) {
  const auto& theirs = claim.theirs;
  if (!theirs && !claim.unreadable) return ClaimDecision::create;

  const bool ran_here =
      theirs && mine.same_machine(theirs->writer) && mine.same_machine(theirs->file);
  if (ran_here && claim.file_locked) return ClaimDecision::resume;

  if (!claim.writer_timed_out) return ClaimDecision::wait;
  return theirs ? ClaimDecision::take_over : ClaimDecision::create;
}

}  // namespace model_prep
