// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/source_selector.h"

#include <algorithm>

#include <fmt/format.h>

namespace model_prep {
namespace {

/// Of several errors the one with the lowest number is reported. Wrong bytes come first, because
/// somebody should look into that. Failures that may pass come before a missing file: an endpoint
/// that did not answer may well have it.
int order(ErrorKind kind) {
  using enum ErrorKind;
  switch (kind) {
    case gated:
    case unauthorized:
    case disabled: return 2;
    case protocol: return 3;
    case revision_not_found: return 4;
    case not_found: return 5;
    default: return disposition(kind) == Disposition::retry ? 1 : 0;
  }
}

}  // namespace

std::size_t SourceSelector::remaining() const {
  return static_cast<std::size_t>(std::ranges::count_if(sources_, [](const Candidate& candidate) {
    return candidate.state == State::available || candidate.state == State::failed;
  }));
}

bool SourceSelector::mark_failed(std::size_t source, const Error& error) {
  sources_[source].error = error;
  if (is_available(source)) sources_[source].state = State::failed;
  return next_round();
}

bool SourceSelector::mark_unavailable(std::size_t source, const Error& error,
                                      bool unknown_address) {
  sources_[source].error = error;
  sources_[source].state = State::unavailable;
  if (unknown_address && source + 1 < size() && sources_[source + 1].state == State::reserved)
    sources_[source + 1].state = State::available;
  return next_round();
}

bool SourceSelector::next_round() {
  if (remaining() == 0 || has_alternative(size())) return false;

  for (Candidate& candidate : sources_)
    if (candidate.state == State::failed) candidate.state = State::available;
  return true;
}

Error SourceSelector::error(const std::vector<Endpoint>& endpoints, const Error& last) const {
  const Error* chosen = nullptr;
  std::string all;
  for (std::size_t i = 0; i < size(); ++i) {
    const auto& [source, state, error] = sources_[i];
    // An endpoint that was asked at two addresses counts with its last response.
    const bool asked_again =
        i + 1 < size() && sources_[i + 1].source.fallback && sources_[i + 1].error;
    if (!error || asked_again) continue;

    if (chosen == nullptr || order(error->kind) < order(chosen->kind)) chosen = &*error;
    all += fmt::format("{}{} {}", all.empty() ? "" : ", ", endpoints[source.endpoint].name,
                       brief(error->kind));
  }
  if (chosen == nullptr) return last;

  Error error = *chosen;
  if (endpoints.size() > 1) error.message += " (" + all + ")";
  return error;
}

std::string brief(ErrorKind kind) {
  using enum ErrorKind;
  switch (kind) {
    case network: return "cannot be reached";
    case timeout: return "did not respond in time";
    case rate_limited: return "is rate-limiting requests";
    case server: return "returned a server error";
    case not_found: return "does not have it";
    case revision_not_found: return "does not have this revision";
    case gated:
    case unauthorized: return "denied access";
    case disabled: return "has disabled it";
    case digest_mismatch: return "sent wrong bytes";
    case lock_mismatch: return "does not match the lock";
    default: return "sent an unusable response";
  }
}

}  // namespace model_prep
