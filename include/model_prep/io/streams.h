// SPDX-License-Identifier: Apache-2.0
// What others read or write while we do: pipes, terminals, standard input and output, and files to
// which others append. All of them can make us wait, and a signal ends that wait.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "model_prep/io/posix.h"

namespace model_prep {

/// All of a file, pipe or terminal that the user names; `-` and /dev/stdin are stdin. Waits for
/// those who write to it, until there is a signal to read: then the error is `interrupted`. A named
/// pipe that nobody has opened for writing is empty.
Result<std::string> read_to_end(const std::string& path, std::size_t max, const SignalFd& signals);

/// As write(2), of a part of the text. What a pipe or a terminal cannot take yet is waited for; a
/// signal ends the process meanwhile, because its reader may never read on.
ssize_t write_some(int fd, std::string_view text);

/// Appends to a file that others write to as well, and creates it if it does not exist. Links are
/// followed: for a path that the user names. A pipe that nobody has opened for reading is an error,
/// a slow reader is waited for.
Status append_to_file(const std::string& path, std::string_view text);

/// Writes to stdout or stderr, and waits for a slow reader. An error is of kind `io`: it is not our
/// disk that is full.
Status write_output(int fd, std::string_view text);

}  // namespace model_prep
