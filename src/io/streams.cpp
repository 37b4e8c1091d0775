// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/streams.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <system_error>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

namespace model_prep {
namespace {

constexpr int kSlowReader = 1000;  // milliseconds; who takes longer may never read on

/// As write(2), of a part of the text.
ssize_t write_some(int fd, std::string_view text) {
  // A file takes all of it at once, so that what others append does not come in between.
  struct stat info{};
  if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) return write(fd, text.data(), text.size());

  pollfd writable{fd, POLLOUT, 0};
  if (poll(&writable, 1, kSlowReader) == 0) {
    sigset_t before{};
    pthread_sigmask(SIG_BLOCK, nullptr, &before);
    SignalFd::exit_immediately_on_next_signal();
    poll(&writable, 1, -1);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  return write(fd, text.data(), std::min<std::size_t>(text.size(), PIPE_BUF));
}

}  // namespace

Result<std::string> read_to_end(const std::string& path, std::size_t max, const SignalFd& signals) {
  UniqueFd file;
  const bool is_stdin = path == "-" || path == "/dev/stdin";
  if (!is_stdin) {
    file = UniqueFd(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (!file) return io_error("open", path, errno);
  }

  const int fd = is_stdin ? STDIN_FILENO : file.get();
  bool must_wait = is_stdin;  // others share it, so it may block
  std::string content;
  std::array<char, 64 * 1024> block;
  while (content.size() <= max) {
    std::array<pollfd, 2> events = {pollfd{fd, POLLIN, 0}, pollfd{signals.get(), POLLIN, 0}};
    if (must_wait && poll(events.data(), events.size(), -1) < 0) continue;
    if (events[1].revents != 0) return Error{ErrorKind::interrupted, "stopped by a signal"};

    const ssize_t count = read(fd, block.data(), block.size());
    must_wait = is_stdin || count < 0;
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count < 0) return io_error("read", path, errno);
    if (count == 0) return content;
    content.append(block.data(), static_cast<std::size_t>(count));
  }
  return Error{ErrorKind::io, fmt::format("{} is larger than {} bytes", path, max)};
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = write_some(fd, text);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (count <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

Status append_to_file(const std::string& path, std::string_view text) {
  const UniqueFd fd(open(
      path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, kFileMode));
  if (!fd) return io_error("open", path, errno);

  return write_all(fd.get(), text) ? ok() : Status(io_error("write", path, errno));
}

Status write_output(int fd, std::string_view text) {
  const auto failed = [&] {
    return Error{ErrorKind::io,
                 fmt::format("cannot write to {}: {}", fd == STDOUT_FILENO ? "stdout" : "stderr",
                             std::generic_category().message(errno)),
                 "the output is incomplete: check where it goes, and run again"};
  };
  if (!write_all(fd, text)) return failed();

  // NFS reports some failures only when a descriptor is closed.
  const int copy = dup(fd);
  return copy >= 0 && close(copy) != 0 ? Status(failed()) : ok();
}

}  // namespace model_prep
