// SPDX-License-Identifier: Apache-2.0
// What is known of each host (an origin): when it may be asked again, and which of its faults were told.
//
// A host that says «not now» says it to all requests at once, whichever file they are for. Pure; time is an argument.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "model_prep/values/error.h"
#include "model_prep/values/response.h"

namespace model_prep {

class HostBook {
 public:
  enum class Why : std::uint8_t {
    refused,  ///< it said 429 or 5xx
    used_up,  ///< it answered, and said that nothing is left of this window: the next request would be refused
  };
  void embargo(const std::string& origin, Why why, TimePoint until);
  /// The end of an embargo that is still on, else `TimePoint::min()`.
  TimePoint embargoed_until(const std::string& origin, TimePoint now) const;
  TimePoint embargoed_until(const std::string& origin, Why why, TimePoint now) const;
  /// Whether a fault of this kind is news. A dead network hits every file: one of them tells for all, every few
  /// seconds.
  bool is_news(const std::string& origin, ErrorKind kind, TimePoint now);

 private:
  std::map<std::pair<std::string, Why>, TimePoint> embargoes_;
  std::map<std::pair<std::string, ErrorKind>, TimePoint> told_;
};

}  // namespace model_prep
