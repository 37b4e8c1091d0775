// SPDX-License-Identifier: Apache-2.0
// Fail-over between endpoints: which one is asked next for one file or query, and which error to
// report when none of them has it.
//
// The words: an endpoint is a server of the Hub's API, the Hub itself or a mirror of it. An item's
// source is its address at one endpoint. An origin is scheme, host and port of an address; "host"
// in names means one too. A payload host is where an endpoint redirects for the content.
//
// Endpoints are in order of preference. When one fails for now (unreachable, time-out, 5xx, 429) or
// does not have the file (404, 401, 403, no usable response), the next is tried at once: trust
// comes from digests, so any endpoint may serve any byte. A round ends when every endpoint that is
// left has failed: the item waits, and the next round starts with the first endpoint again. It
// counts as one failure, unless hosts were down and nothing else failed (failover.h). An endpoint
// that took over keeps the item until it fails in turn: otherwise a host that stalls in mid-file
// would be tried again after every quarter of a megabyte.
//
// A moving revision is resolved by the first endpoint that answers. From then on there is a commit,
// and an endpoint that does not know that commit does not have the file. Pure; not thread-safe.
#pragma once

#include <vector>

#include "model_prep/base/error.h"
#include "model_prep/base/response.h"

namespace model_prep {

/// The run's token goes to the Hub's own origin, or to an endpoint that is the only one. Any other
/// endpoint gets only a token that was given with it: adding a mirror to the list must never leak
/// the token to it.
enum class TokenUse : std::uint8_t {
  none,       ///< there is no token
  sent,       ///< to this endpoint's origin, and not to where it redirects
  withheld,   ///< there is one, but not for this endpoint
  login,      ///< its URL has a user name and a password, which are sent instead
  left_home,  ///< token or login, because the endpoint redirected to another host
};

struct Endpoint {
  std::string name;    ///< for messages: no user name, no password
  std::string origin;  ///< identifies the host
  TokenUse token{TokenUse::none};
};

/// An address at which an item can be requested.
struct Source {
  std::size_t endpoint;  ///< an index
  Url url;

  /// Requested only if the endpoint does not know the address of the source before this one: 400,
  /// 404, 405 or 501 without an error code of the Hub.
  bool fallback{false};
};

/// The sources of one item, and how each has responded.
class SourceSelector {
 public:
  explicit SourceSelector(std::vector<Source> sources) {
    for (Source& source : sources) {
      const State state = source.fallback ? State::reserved : State::available;
      sources_.push_back({std::move(source), state});
    }
  }

  std::size_t size() const { return sources_.size(); }
  const Source& operator[](std::size_t source) const { return sources_[source].source; }

  /// Whether this source may be asked in this round.
  bool is_available(std::size_t source) const {
    return source < size() && sources_[source].state == State::available;
  }

  /// Whether any other source may be.
  bool has_alternative(std::size_t source) const {
    for (std::size_t i = 0; i < size(); ++i)
      if (i != source && is_available(i)) return true;
    return false;
  }

  /// How many sources may be asked in this round or a later one.
  std::size_t remaining() const;

  /// Whether the same endpoint is asked next, at its other address.
  bool has_fallback(std::size_t source) const {
    return is_available(source + 1) && sources_[source + 1].source.fallback;
  }

  /// A failure that may pass. Returns true if it ended the round and a new one began.
  bool mark_failed(std::size_t source, const Error& error);

  /// This source is not asked again: it does not have the item, or its host was given up.
  /// `unknown_address`: see `Source::fallback`. Returns true if this ended the round and a new one
  /// began; false if no source remains.
  bool mark_unavailable(std::size_t source, const Error& error, bool unknown_address);

  /// The most useful of the sources' errors. With several endpoints its message lists, in a few
  /// words each, what all of them responded. `last` if none has failed.
  Error error(const std::vector<Endpoint>& endpoints, const Error& last) const;

 private:
  enum class State : std::uint8_t {
    available,
    failed,       // in this round
    unavailable,  // for good
    reserved,     // a fallback that is not needed yet
  };
  struct Candidate {
    Source source;
    State state;
    std::optional<Error> error{};
  };
  bool next_round();
  std::vector<Candidate> sources_;
};

/// An error in a few words that continue an endpoint's name: `does not have it`.
std::string brief(ErrorKind kind);

}  // namespace model_prep
