// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/resume_record.h"

#include "support/catch.h"

namespace model_prep {
namespace {

const WriterTag kMine = WriterTag::make("aaaaaaaa", "11111111");
const WriterTag kNeighbour = WriterTag::make("aaaaaaaa", "22222222");
const WriterTag kStranger = WriterTag::make("bbbbbbbb", "33333333");
const WriterTag kUnknown = WriterTag::make("00000000", "44444444");

std::optional<ResumeRecord> record(const WriterTag& writer, const WriterTag& file) {
  return ResumeRecord{"host:1", writer, file, 7, 100, {}};
}

std::string line() {
  RangeSet have;
  have.add({0, 20});
  have.add({40, 60});
  return resume_text({"host:1", kMine, kNeighbour, 7, 100, have});
}

}  // namespace

TEST_CASE("a resume record is one line, and reads back as it was") {
  CHECK(line() == "model-prep-2 host:1 aaaaaaaa-11111111 aaaaaaaa-22222222 7 100 0-20,40-60\n");
  const auto read = parse_resume(line());
  REQUIRE(read.has_value());
  CHECK(read->owner == "host:1");
  CHECK(read->writer == kMine);
  CHECK(read->file == kNeighbour);
  CHECK(read->beat == 7);
  CHECK(read->size == 100);
  CHECK(resume_text(*read) == line());
}

TEST_CASE("a record without a byte yet reads back too, and what stands behind its line is nothing") {
  const std::string empty = resume_text(*record(kMine, kMine));
  REQUIRE(parse_resume(empty).has_value());
  CHECK(parse_resume(empty)->have.empty());
  CHECK(parse_resume(line() + "0-99\n")->have.text() == "0-20,40-60");
}

TEST_CASE("a line that is no record is none") {
  const std::string text =
      GENERATE("", "\n", "model-prep-2\n", "model-prep-1 host:1 aaaaaaaa-11111111 aaaaaaaa-22222222 7 100 0-20\n",
               "model-prep-2 host:1 aaaaaaaa-11111111 aaaaaaaa-22222222 7 100 0-20",
               "model-prep-2 host:1 aaaaaaaa-11111111 ../../../../etc/x 7 100 0-20\n",
               "model-prep-2 host:1 aaaaaaaa/11111111 aaaaaaaa-22222222 7 100 0-20\n",
               "model-prep-2 host:1 AAAAAAAA-11111111 aaaaaaaa-22222222 7 100 0-20\n",
               "model-prep-2 ho\x1bst aaaaaaaa-11111111 aaaaaaaa-22222222 7 100 0-20\n",
               "model-prep-2 host:1 aaaaaaaa-11111111 aaaaaaaa-22222222 -7 100 0-20\n",
               "model-prep-2 host:1 aaaaaaaa-11111111 aaaaaaaa-22222222 7 100 0-101\n",
               "model-prep-2 host:1 aaaaaaaa-11111111 aaaaaaaa-22222222 7 100 40-60,0-20\n",
               "model-prep-2 host:1 aaaaaaaa-11111111 aaaaaaaa-22222222 7 100\n",
               "model-prep-2 host:1 aaaaaaaa-11111111 aaaaaaaa-22222222 7 100 0-20 more\n");
  CAPTURE(text);
  CHECK_FALSE(parse_resume(text).has_value());
}

TEST_CASE("tags of one kernel share its name, and an unknown kernel shares with nobody") {
  CHECK(kMine.same_machine(kNeighbour));
  CHECK_FALSE(kMine.same_machine(kStranger));
  CHECK_FALSE(kUnknown.same_machine(kUnknown));
}

TEST_CASE("what nobody has is begun, whatever the lock is worth") {
  const std::optional<ResumeRecord> nobody;
  for (const bool excludes : {false, true})
    for (const bool silent : {false, true}) CHECK(claim_of({nobody, false, excludes, silent}, kMine) == Claim::begin);
}

TEST_CASE("a lock that excludes proves the death of a process of this machine, and of no other") {
  CHECK(claim_of({record(kNeighbour, kNeighbour), false, true, false}, kMine) == Claim::go_on);
  CHECK(claim_of({record(kStranger, kStranger), false, true, false}, kMine) == Claim::wait);
  CHECK(claim_of({record(kNeighbour, kStranger), false, true, false}, kMine) == Claim::wait);
  CHECK(claim_of({record(kStranger, kNeighbour), false, true, false}, kMine) == Claim::wait);
  CHECK(claim_of({record(kUnknown, kUnknown), false, true, false}, kUnknown) == Claim::wait);
}

TEST_CASE("a lock that does not exclude proves nothing") {
  CHECK(claim_of({record(kNeighbour, kNeighbour), false, false, false}, kMine) == Claim::wait);
  CHECK(claim_of({record(kStranger, kStranger), false, false, false}, kMine) == Claim::wait);
}

TEST_CASE("a writer that has gone silent is taken over by a copy") {
  CHECK(claim_of({record(kNeighbour, kNeighbour), false, false, true}, kMine) == Claim::copy);
  CHECK(claim_of({record(kStranger, kStranger), false, true, true}, kMine) == Claim::copy);
}

TEST_CASE("a torn record is begun over where the lock excludes, else when it stays as it is") {
  const std::optional<ResumeRecord> nobody;
  CHECK(claim_of({nobody, true, true, false}, kMine) == Claim::begin);
  CHECK(claim_of({nobody, true, false, false}, kMine) == Claim::wait);
  CHECK(claim_of({nobody, true, false, true}, kMine) == Claim::begin);
}

}  // namespace model_prep
