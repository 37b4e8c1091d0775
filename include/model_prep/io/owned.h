// SPDX-License-Identifier: Apache-2.0
// Owners for what C libraries allocate: `Owned<CURL, curl_easy_cleanup>` calls that function when
// it is destroyed.
#pragma once

#include <memory>

namespace model_prep {

template <auto Fn>
struct Free {
  template <class T>
  void operator()(T* pointer) const noexcept {
    Fn(pointer);
  }
};

template <class T, auto Fn>
using Owned = std::unique_ptr<T, Free<Fn>>;

}  // namespace model_prep
