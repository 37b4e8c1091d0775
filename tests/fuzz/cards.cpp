// SPDX-License-Identifier: Apache-2.0
#include "fuzz/targets.h"
#include "model_prep/core/model_card.h"

namespace model_prep::fuzz {

void cards(std::string_view input) {
  if (const auto licenses = licenses_in_card(input)) check_licenses(*licenses);

  // However it is spelled, the first line is a license, and the second its name.
  Lines lines(input);
  std::set<std::string> ids = {"other"};
  add_license(ids, lines.next());
  check_licenses(card_licenses(ids, lines.next()));
}

}  // namespace model_prep::fuzz
