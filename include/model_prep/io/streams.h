// SPDX-License-Identifier: Apache-2.0
// Standard input and output, pipes, and files to which others append: what can make us wait for
// somebody else. A signal ends that wait. The exception is a terminal that has room for a part of
// what is written and is not read any more.
#pragma once

#include <string>
#include <string_view>

#include "model_prep/io/posix.h"

namespace model_prep {

/// All of a file, pipe or terminal that the user names; `-` and /dev/stdin are stdin. Waits for
/// those who write to it, until there is a signal to read: then the error is `interrupted`. A named
/// pipe that nobody has opened for writing is empty.
Result<std::string> read_to_end(const std::string& path, std::size_t max, const SignalFd& signals);

/// Writes all of it. Waits whenever a pipe or a terminal can take no more; after a second of that
/// its reader may never read on, and a signal ends the process. False after an error, which is in
/// errno.
bool write_all(int fd, std::string_view text);

/// Appends to a file that others write to as well, and creates it if it does not exist. Links are
/// followed: for a path that the user names. A pipe that nobody has opened for reading is an error,
/// a slow reader is waited for.
Status append_to_file(const std::string& path, std::string_view text);

/// Writes to stdout or stderr, and waits for a slow reader. An error is of kind `io`: it is not our
/// disk that is full.
Status write_output(int fd, std::string_view text);

}  // namespace model_prep
