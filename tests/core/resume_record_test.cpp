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
  return serialize_resume({"host:1", kMine, kNeighbour, 7, 100, have});
}

}  // namespace

TEST_CASE("a resume record is one line and reads back unchanged") {
  CHECK(line() == "model-prep-2 host:1 aaaaaaaa-11111111 aaaaaaaa-22222222 7 100 0-20,40-60\n");
  const auto read = parse_resume(line());
  REQUIRE(read.has_value());
  CHECK(read->owner == "host:1");
  CHECK(read->writer == kMine);
  CHECK(read->file == kNeighbour);
  CHECK(read->sequence == 7);
  CHECK(read->size == 100);
  CHECK(serialize_resume(*read) == line());
}

TEST_CASE("a record without any bytes yet reads back too, and text after its line is ignored") {
  const std::string empty = serialize_resume(*record(kMine, kMine));
  REQUIRE(parse_resume(empty).has_value());
  CHECK(parse_resume(empty)->have.empty());
  CHECK(parse_resume(line() + "0-99\n")->have.text() == "0-20,40-60");
}

TEST_CASE("a record of a machine with an odd name reads back too") {
  const std::string name = GENERATE("a b:1", "b\xc3\xbcro:1", "", "tab\t:1", "line\n:1");
  CAPTURE(name);
  ResumeRecord odd = *record(kMine, kMine);
  odd.owner = name;
  const auto read = parse_resume(serialize_resume(odd));
  REQUIRE(read.has_value());
  CHECK(read->writer == kMine);
  CHECK(read->owner.size() == std::max<std::size_t>(1, name.size()));
}

TEST_CASE("an invalid line is no record") {
  const std::string text =
      GENERATE("", "\n", "model-prep-2\n",
               "model-prep-1 host:1 aaaaaaaa-11111111 aaaaaaaa-22222222 7 100 0-20\n",
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

TEST_CASE("tags of the same boot match, and an unknown boot matches none") {
  CHECK(kMine.same_machine(kNeighbour));
  CHECK_FALSE(kMine.same_machine(kStranger));
  CHECK_FALSE(kUnknown.same_machine(kUnknown));
}

TEST_CASE("without a record a file is created, whether or not the lock excludes others") {
  const std::optional<ResumeRecord> nobody;
  for (const bool excludes : {false, true})
    for (const bool silent : {false, true})
      CHECK(decide_claim({nobody, false, excludes, silent}, kMine) == ClaimDecision::create);
}

TEST_CASE("a lock on its file proves the death of a writer of this boot, and of no other") {
  CHECK(decide_claim({record(kNeighbour, kNeighbour), false, true, false}, kMine) ==
        ClaimDecision::resume);
  CHECK(decide_claim({record(kStranger, kStranger), false, true, false}, kMine) ==
        ClaimDecision::wait);
  CHECK(decide_claim({record(kNeighbour, kStranger), false, true, false}, kMine) ==
        ClaimDecision::wait);
  CHECK(decide_claim({record(kStranger, kNeighbour), false, true, false}, kMine) ==
        ClaimDecision::wait);
  CHECK(decide_claim({record(kUnknown, kUnknown), false, true, false}, kUnknown) ==
        ClaimDecision::wait);
}

TEST_CASE("without that lock, the writer may be alive") {
  CHECK(decide_claim({record(kNeighbour, kNeighbour), false, false, false}, kMine) ==
        ClaimDecision::wait);
  CHECK(decide_claim({record(kStranger, kStranger), false, false, false}, kMine) ==
        ClaimDecision::wait);
}

TEST_CASE("a writer that stopped responding is taken over by a copy") {
  CHECK(decide_claim({record(kNeighbour, kNeighbour), false, false, true}, kMine) ==
        ClaimDecision::take_over);
  CHECK(decide_claim({record(kStranger, kStranger), false, true, true}, kMine) ==
        ClaimDecision::take_over);
}

TEST_CASE("an unreadable record is replaced once it was silent long enough, whatever is locked") {
  const std::optional<ResumeRecord> nobody;
  for (const bool locked : {false, true}) {
    CHECK(decide_claim({nobody, true, locked, false}, kMine) == ClaimDecision::wait);
    CHECK(decide_claim({nobody, true, locked, true}, kMine) == ClaimDecision::create);
  }
}

}  // namespace model_prep
