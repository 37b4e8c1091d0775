// SPDX-License-Identifier: Apache-2.0
// Runs the parts of a test that mostly wait in several threads. Catch2's assertions are not
// thread-safe, so the work returns what it found, and the test asserts on that.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <thread>
#include <vector>

namespace model_prep::testing {

/// Whether tests/run --long asked for the long versions of tests.
inline bool is_long_run() {
  const char* text = std::getenv("MODEL_PREP_LONG");
  return text != nullptr && *text != '\0';
}

/// Calls `work(i)` once for each i below `count`, on any of the threads.
inline void in_parallel(std::size_t threads, std::size_t count,
                        const std::function<void(std::size_t)>& work) {
  std::atomic<std::size_t> next = 0;
  std::vector<std::jthread> workers;
  for (std::size_t i = 0; i < threads; ++i)
    workers.emplace_back([&] {
      for (std::size_t job = next++; job < count; job = next++) work(job);
    });
}

}  // namespace model_prep::testing
