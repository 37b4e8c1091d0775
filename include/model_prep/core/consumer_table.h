// SPDX-License-Identifier: Apache-2.0
// Which libraries load a snapshot, and what to write in the service, judged by the snapshot's file
// names and two members of its config.json.
//
// The table in the source has a row for each kind of file that a library loads. A row says whether
// the library takes the model's id (`by name`) or only a file or a directory (`by path only`), and
// the line of code. It holds for the versions that tests/consumers runs, with which its tests
// compare this answer.
//
// What the table does not know: the class for the model's task (`AutoModel`, `ORTModelFor…`),
// whether the library supports the architecture, and other repositories that the model needs.
//
// Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model_prep/base/enum_names.h"
#include "model_prep/base/types.h"

namespace model_prep {

enum class Loads : std::uint8_t { no, by_path, by_name };

/// As in the table of `verify` and in the summary.
template <>
inline constexpr std::string_view kNames<Loads>[] = {"no", "by path only", "by name"};

/// What decides about a model.
struct SnapshotFacts {
  std::string repo;      ///< as services write it
  std::string revision;  ///< the ref under which they find it; empty for `main`
  Strings files{};       ///< the paths of the selected files, sorted
  std::string config{};  ///< the text of its config.json; empty if there is none
  Strings missing{};     ///< other repositories that it needs and the cache lacks
};

struct ConsumerVerdict {
  std::string library;
  std::string versions;  ///< for which this was judged
  Loads loads{Loads::no};
  std::string write{};  ///< a line of Python; or why not
  std::string hint{};   ///< what to do if it does not load
};

/// All libraries of the table, as `--for` knows them.
Strings consumer_libraries();

/// One verdict for each of `asked`. If none is asked for, one for each library that loads the
/// model, or is the one that the model is made for.
std::vector<ConsumerVerdict> judge_consumers(const SnapshotFacts& facts, const Strings& asked);

}  // namespace model_prep
