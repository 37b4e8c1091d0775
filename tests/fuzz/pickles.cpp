// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/pickle_files.h"

#include "fuzz/targets.h"
#include "model_prep/base/text.h"

namespace model_prep::fuzz {

void pickles(std::string_view input) {
  const FileRange file = range_of(input);
  const PickleFindings all = look_for_pickle(file, PickleDepth::imports);
  const PickleFindings first = look_for_pickle(file, PickleDepth::form);
  require(first.form != PickleForm::pickle || all.form != PickleForm::none,
          "what begins as a pickle is one");
  require(first.imports.empty(), "the first bytes name no import");
  require(all.form != PickleForm::none || all.imports.empty(), "only pickles import");
  require(all.why.empty() == (all.form != PickleForm::opaque), "what is opaque says why");
  for (const std::string& name : all.imports) {
    require(sanitize(name) == name, "an import can be printed");
    require(!is_weights_only_import(name), "what PyTorch allows is not reported");
  }
}

}  // namespace model_prep::fuzz
