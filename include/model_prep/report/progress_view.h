// SPDX-License-Identifier: Apache-2.0
// The live lines of a run on a terminal, as text: a line for each model under way, the total, and
// what is left.
//
//   bge-reranker-base  ━━━━━━━━━━━╸────────  58%  1112.0 MB   48.2 MB/s  fetching, 2 retries
//   flan-t5-small      ━━━━━━━━━━━━━━━━━━━━ 100%   308.0 MB              verifying
//   … and 12 more waiting
//   total              ━━━━━━━━━╸──────────  47%  3059.6 MB   60.3 MB/s  25 of 39 ready
//   8 of 24 files, 2 retries, 24 s left
//
// Every column has its width for the whole run and the width of the terminal, so that nothing
// jumps. A narrow terminal loses size, bar, rate and state, in this order; a low one loses models.
// No line reaches the last column, none is longer, and there are at least two rows less than the
// terminal has. Colour only repeats what the words say. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model_prep/report/progress_tracker.h"

namespace model_prep {

/// What the lines are for.
struct Screen {
  int columns{80};
  int rows{24};
  bool utf8{false};  ///< else ASCII only
  bool colour{false};
};

class ProgressView {
 public:
  /// The lines for now. A model keeps its line as long as it is at work, also where others come and
  /// go.
  std::vector<std::string> lines(const ProgressSnapshot& progress, const Screen& screen);

 private:
  void choose(const std::vector<ModelProgress>& models, std::size_t room);

  std::vector<std::size_t> shown_;  // indices of models, from top to bottom
};

}  // namespace model_prep
