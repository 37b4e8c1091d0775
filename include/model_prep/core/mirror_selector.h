// SPDX-License-Identifier: Apache-2.0
// Several endpoints: which of them is asked next for one thing, and what it comes to if none of
// them has it.
//
// Their order is preference. What one endpoint cannot give now (no way to it, a timeout, 5xx, 429)
// or does not have (404, 401, 403, an answer that is none) the next is asked for at once: digests
// decide trust, so that any of them may serve any byte. A fault that may pass counts once for all
// of them: when each has been asked in this round, the item waits and a new round begins with the
// first. An endpoint that took over keeps an item until it fails in turn: a host that stalls in the
// middle would else be gone back to with every quarter of a megabyte.
//
// A revision that moves is what the first endpoint that answers says; from then on there is a
// commit, and an endpoint that does not know it lacks it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model_prep/base/error.h"
#include "model_prep/base/response.h"

namespace model_prep {

/// The token of the run goes to the Hub's own origin and to an endpoint that is the only one; to
/// another only what was named with it.
enum class TokenUse : std::uint8_t {
  none,      ///< there is no token
  sent,      ///< to this endpoint's origin, and nowhere behind it
  withheld,  ///< there is one, and it is not for this endpoint
};

struct Endpoint {
  std::string name;    ///< as it is shown: no user name, no password
  std::string origin;  ///< how hosts are told apart
  TokenUse token{TokenUse::none};
};

/// Where an item can be asked for.
struct Source {
  std::size_t endpoint;  ///< an index
  Url url;
  /// RequestContext only if the source before it is nothing that this endpoint knows: 404 or 405,
  /// and not in the Hub's words.
  bool substitute{false};
};

/// The sources of one item, and how each has answered.
class MirrorSelector {
 public:
  explicit MirrorSelector(std::vector<Source> sources);

  std::size_t size() const { return sources_.size(); }
  const Source& operator[](std::size_t source) const { return sources_[source].source; }
  /// It may be asked in this round.
  bool open(std::size_t source) const { return sources_[source].state == State::open; }
  /// How many may be asked at all.
  std::size_t left() const;
  /// The others that are open.
  bool another(std::size_t source) const;

  /// A fault that may pass. True: that was the last of this round, and a new one has begun.
  bool failed(std::size_t source, const Error& error);
  /// It will never give this. `unknown_address`: see `Source::substitute`. True: it was the last of
  /// this round, likewise; never when nothing is left.
  bool refused(std::size_t source, const Error& error, bool unknown_address);

  /// The answer of the most use, and in a few words those of the others: where more than one
  /// endpoint was asked.
  Error error(const std::vector<Endpoint>& endpoints, const Error& last) const;

 private:
  enum class State : std::uint8_t { open, failed, refused, closed };
  struct Known {
    Source source;
    State state;
    std::optional<Error> error{};
  };
  bool round_over();
  std::vector<Known> sources_;
};

/// An answer in two or three words: `does not have it`.
std::string brief(ErrorKind kind);

}  // namespace model_prep
