// SPDX-License-Identifier: Apache-2.0
// The event loop: asks the scheduler what to do, does it, and reports what happened.
//
// `query` (the Hub's API) and `fetch` (files) drive the same loop, with the same limits, blocked
// hosts, retries and signals. One thread; hash threads and the copying thread respond through their
// mailboxes. Decisions about transfers are in `core`.
//
// Made once per run, after signals are blocked, since it starts a thread. Making it sends no
// request.
#pragma once

#include <functional>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "model_prep/cli/hub_endpoints.h"
#include "model_prep/commands/query_sink.h"
#include "model_prep/commands/session.h"
#include "model_prep/core/scheduler.h"
#include "model_prep/io/copier.h"
#include "model_prep/io/hasher.h"
#include "model_prep/io/http.h"
#include "model_prep/io/staging.h"

namespace model_prep {

struct Query {
  RequestContext context;
  std::vector<Source> sources;
};

class Fetcher {
 public:
  explicit Fetcher(Session& session);

  /// In order of preference, with their tokens.
  const std::vector<HubEndpoint> endpoints;

  /// `on_reply` gets each query's index and reply when it arrives, on this thread; it must not
  /// query. A reply is forgotten afterwards. Those that are held at one time are limited
  /// (query_sink.h): whatever is dropped is requested again at the end, one by one.
  using OnReply = std::function<void(std::size_t query, const Reply&)>;
  void query(const std::vector<Query>& queries, const OnReply& on_reply);

  /// Carries out the plan, which the observer knows already. `on_outcome` gets each job's index and
  /// outcome when it ends, on this thread.
  using OnOutcome = std::function<void(std::size_t job, const FileOutcome&)>;
  void fetch(const FetchPlan& plan, const OnOutcome& on_outcome);

  /// Whether the error of a query or job is that of a signal or of the deadline. It ended all of
  /// them, and was logged once.
  static bool has_logged(const Error& error);

  std::int64_t requests() const { return requests_; }
  int retries() const { return retries_; }

 private:
  class Loop;

  double jitter() { return std::uniform_real_distribution<double>(0, 1)(random_); }

  Session& session_;
  Transport transport_;
  Hasher hasher_;
  Copier copier_;
  SchedulerSettings settings_;
  WriterIdentity self_;
  std::mt19937_64 random_;
  std::int64_t requests_{0};
  int retries_{0};
  HostLimits hosts_;  ///< what one loop learned, for the next
};

}  // namespace model_prep
