// SPDX-License-Identifier: Apache-2.0
#include "fuzz/targets.h"
#include "model_prep/core/export_target.h"
#include "model_prep/core/oci_image.h"

namespace model_prep::fuzz {

void exports(std::string_view input) {
  Lines lines(input);
  if (const auto target = parse_export_target(lines.next())) {
    require(!target->folder.empty() && is_oci_tag(target->tag), "a target has a folder and a tag");
    require(parse_export_target(target->text()).has_value(), "a target is read again");
  }
  if (const auto prefix = parse_image_prefix(lines.next()); prefix && !prefix->empty())
    check_path(*RepoPath::parse(*prefix));

  const OciBlob image{*Digest::parse(std::string(64, 'a')), 1};
  const auto index = oci_layout_index(std::string(lines.rest()), image, "tag");
  if (!index) return check_message(index.error());
  const auto again = oci_layout_index(*index, image, "tag");
  require(again && *again == *index, "the same image under the same tag changes nothing");
}

}  // namespace model_prep::fuzz
