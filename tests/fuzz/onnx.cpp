// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/onnx_model.h"

#include "fuzz/targets.h"
#include "model_prep/core/weight_checks.h"

namespace model_prep::fuzz {

void onnx(std::string_view input) {
  const auto data = external_data_of(range_of(input));
  if (!data) return;
  for (const auto& [location, needed] : *data)
    require(!location.empty() && location.size() <= input.size(), "a location is in the file");
  const auto fault = external_data_fault("onnx/model.onnx", *data, {});
  require(fault.has_value() != data->empty(), "data that is not there is a fault");
  if (fault) check_message({ErrorKind::malformed, *fault});
}

}  // namespace model_prep::fuzz
