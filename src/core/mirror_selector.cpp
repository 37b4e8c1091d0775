// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/mirror_selector.h"

#include <algorithm>

#include <fmt/format.h>

namespace model_prep {
namespace {

/// Of several answers the one with the lowest number is told: wrong bytes first, since somebody
/// should look into that; then what may pass, since as long as an endpoint was not asked nobody
/// knows that it lacks anything.
int order(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::digest_mismatch:
    case ErrorKind::lock_mismatch: return 0;
    case ErrorKind::gated:
    case ErrorKind::unauthorized:
    case ErrorKind::disabled: return 2;
    case ErrorKind::protocol: return 3;
    case ErrorKind::revision_not_found: return 4;
    case ErrorKind::not_found: return 5;
    default: return disposition(kind) == Disposition::retry ? 1 : 0;
  }
}

}  // namespace

MirrorSelector::MirrorSelector(std::vector<Source> sources) {
  for (Source& source : sources) {
    const State state = source.substitute ? State::closed : State::open;
    sources_.push_back({std::move(source), state});
  }
}

std::size_t MirrorSelector::left() const {
  return static_cast<std::size_t>(
      std::count_if(sources_.begin(), sources_.end(), [](const Known& known) {
        return known.state == State::open || known.state == State::failed;
      }));
}

bool MirrorSelector::another(std::size_t source) const {
  for (std::size_t i = 0; i < sources_.size(); ++i)
    if (i != source && open(i)) return true;
  return false;
}

bool MirrorSelector::failed(std::size_t source, const Error& error) {
  sources_[source].error = error;
  if (sources_[source].state == State::open) sources_[source].state = State::failed;
  return round_over();
}

bool MirrorSelector::refused(std::size_t source, const Error& error, bool unknown_address) {
  sources_[source].error = error;
  sources_[source].state = State::refused;
  const bool has_substitute =
      source + 1 < sources_.size() && sources_[source + 1].state == State::closed;
  if (unknown_address && has_substitute) sources_[source + 1].state = State::open;
  return round_over();
}

bool MirrorSelector::round_over() {
  if (left() == 0 || std::any_of(sources_.begin(), sources_.end(),
                                 [](const Known& known) { return known.state == State::open; }))
    return false;
  for (Known& known : sources_)
    if (known.state == State::failed) known.state = State::open;
  return true;
}

Error MirrorSelector::error(const std::vector<Endpoint>& endpoints, const Error& last) const {
  const Known* told = nullptr;
  std::string others;
  // Of an endpoint that was asked in two ways the last answer counts.
  const auto counts = [&](std::size_t i) {
    const bool again =
        i + 1 < sources_.size() && sources_[i + 1].source.substitute && sources_[i + 1].error;
    return sources_[i].error.has_value() && !again;
  };
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    if (!counts(i)) continue;
    const Known& known = sources_[i];
    if (told == nullptr || order(known.error->kind) < order(told->error->kind)) told = &known;
    others += fmt::format("{}{} {}", others.empty() ? "" : ", ",
                          endpoints[known.source.endpoint].name, brief(known.error->kind));
  }
  if (told == nullptr) return last;
  Error error = *told->error;
  if (endpoints.size() > 1) error.message += fmt::format(" ({})", others);
  return error;
}

std::string brief(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::network: return "cannot be reached";
    case ErrorKind::timeout: return "does not answer in time";
    case ErrorKind::rate_limited: return "wants to be asked later";
    case ErrorKind::server: return "is out of order";
    case ErrorKind::not_found: return "does not have it";
    case ErrorKind::revision_not_found: return "does not have this revision";
    case ErrorKind::gated:
    case ErrorKind::unauthorized: return "refuses access";
    case ErrorKind::disabled: return "has disabled it";
    case ErrorKind::digest_mismatch:
    case ErrorKind::lock_mismatch: return "has other bytes";
    default: return "gives no usable answer";
  }
}

}  // namespace model_prep
