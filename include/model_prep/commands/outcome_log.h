// SPDX-License-Identifier: Apache-2.0
// What the log says of a file when it ends. One thread.
#pragma once

#include <set>

#include "model_prep/commands/session.h"
#include "model_prep/core/fetch_plan.h"

namespace model_prep {

/// `org/name path`, for messages.
std::string object_of(const FetchJob& job);

class OutcomeLog {
 public:
  /// `session` must outlive it.
  explicit OutcomeLog(Session& session) : session_(session) {}

  void write(const FetchJob& job, const FileOutcome& outcome);

 private:
  void write_failure(const FetchJob& job, const Error& error);

  Session& session_;
  std::set<std::size_t> reported_models_;  // an error was logged for a file of theirs
};

}  // namespace model_prep
