// SPDX-License-Identifier: Apache-2.0
// What the tasks of one scheduler share: settings, hosts, the transfers in flight, the actions that
// the caller has not fetched yet, and the event that is being handled. Values only.
#pragma once

#include "model_prep/base/clock.h"
#include "model_prep/core/actions.h"
#include "model_prep/core/host_limits.h"
#include "model_prep/core/retry.h"
#include "model_prep/core/source_selector.h"

namespace model_prep {

struct SchedulerSettings {
  RetryPolicy retry{};
  Patience patience{};
  int connections{8};
  std::vector<Endpoint> endpoints{};  ///< in order of preference
  bool offline{false};
  std::optional<TimePoint> deadline{};
};

/// A request in flight, with the redirects that it followed.
struct Transfer {
  ItemId item;
  std::size_t source;
  RequestContext context;
  ByteRange range;                     ///< what it may write
  std::optional<ByteRange> requested;  ///< nothing: the whole file, without a range
  Url url;
  int failure_epoch{0};
  int redirects{0};
  HostLimits::RequestNumber number{0};
  TimePoint sent{};

  /// The payload host that is down, and that this source led to.
  std::string awaited{};

  /// Set when it ends, if the host gave no answer, or a 5xx: why.
  std::optional<Error> no_answer{};
};

struct SchedulerState {
  SchedulerSettings settings;
  HostLimits hosts;
  std::map<TransferId, Transfer> transfers{};  ///< in flight, of all tasks
  std::vector<Action> actions{};               ///< for the caller, not yet fetched
  TransferId next_transfer{1};
  TimePoint now{};   ///< of the event that is being handled
  double jitter{0};  ///< likewise, in [0, 1]
  TimePoint wake{TimePoint::min()};
  int retries{0};
  std::int64_t requests{0};

  void wake_by(TimePoint when) { wake = std::min(wake, when); }
  void notice(LogLevel level, std::string text) {
    actions.push_back(Notice{level, std::move(text)});
  }
};

}  // namespace model_prep
