// SPDX-License-Identifier: Apache-2.0
// What a pickle imports: the names that its opcodes give to the unpickler.
//
// A pickle is a program for a stack machine. It can only call what it has imported, by GLOBAL and
// INST, whose names are in the opcode, by STACK_GLOBAL, whose names are the two strings on top of
// the stack, or by EXT1, EXT2 and EXT4, whose names are in a registry of the process that loads it.
// So the stack and the memo are followed, but nothing is ever called, and of all values only
// strings are known, by their place in the file. Protocols 0 to 5. Source: CPython's Lib/pickle.py
// and Lib/pickletools.py.
//
// Pure. Data is skipped, not read: at most 64 MiB are read, with a million values on the stack and
// a million in the memo, of eight bytes each.
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "model_prep/core/range_reader.h"

namespace model_prep {

enum class PickleEnd : std::uint8_t {
  stop,      ///< at its STOP
  broken,    ///< at an opcode that would fail to load
  too_long,  ///< at a bound of this parser
  unreadable,
};

struct PickleScan {
  PickleEnd end{PickleEnd::stop};

  /// Something was called before that.
  bool has_called{false};

  /// `module.name`, sanitized, as it would be imported; at most 256 of them.
  std::set<std::string> imports{};
};

/// One pickle, from where the reader stands; afterwards that is behind its STOP.
PickleScan scan_pickle(RangeReader& reader);

/// For a name that is the result of a call, or that a registry has.
inline constexpr std::string_view kComputedImport = "a name that only loading it would tell";

}  // namespace model_prep
