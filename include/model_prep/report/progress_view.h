// SPDX-License-Identifier: Apache-2.0
// The live lines of a run on a terminal, as text: one line for each model in flight, the total, and
// the time left.
//
//   bge-reranker-base  [####....]  58%  1112.0 MB   48.2 MB/s  fetching, 2 retries
//   flan-t5-small      [########] 100%   308.0 MB              verifying
//   total              [###.....]  47%  3059.6 MB   60.3 MB/s  25 of 39 ready
//   24 s left, 8 of 24 files, 2 retries
//
// Every column has its width, so that nothing jumps. A narrow terminal has fewer columns, a low one
// fewer models. No line reaches the last column, and there are at least two rows fewer than the
// terminal has. Colour only repeats what the text says. Pure.
#pragma once

#include <string>
#include <vector>

#include "model_prep/report/console.h"
#include "model_prep/report/progress_tracker.h"

namespace model_prep {

/// At least one line; none is empty.
Strings progress_lines(const ProgressSnapshot& progress, const Screen& screen);

}  // namespace model_prep
