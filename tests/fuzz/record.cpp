// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/snapshot_record.h"

#include "fuzz/targets.h"

namespace model_prep::fuzz {

void record(std::string_view input) {
  if (const auto found = parse_record(input)) {
    check_files(found->listing);
    for (const auto& [blob, verified] : found->blobs)
      require(verified.sha256.kind() == DigestKind::sha256, "a blob was verified by its sha256");
    const std::string text = serialize_record(*found);
    const auto back = parse_record(text);
    require(back && back->blobs == found->blobs && back->signature == found->signature &&
                back->facts == found->facts && same_files(back->listing, found->listing),
            "a record is read again");
    require(serialize_record(*back) == text, "a record is written alike twice");
  }
  if (const auto found = parse_tree(input)) {
    check_files(*found);
    const auto text = serialize_tree(*found);
    require(text.has_value(), "a listing that was read can be written");
    const auto back = parse_tree(*text);
    require(back && same_files(*back, *found), "a listing is read again");
    require(serialize_tree(*back) == text, "a listing is written alike twice");
  }
}

}  // namespace model_prep::fuzz
