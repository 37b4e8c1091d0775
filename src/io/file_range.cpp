// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/file_range.h"

#include <cerrno>

#include <unistd.h>

namespace model_prep {
namespace {

std::string read_range(int fd, Bytes offset, std::size_t size) {
  std::string bytes(size, '\0');
  std::size_t done = 0;
  while (done < size) {
    const ssize_t count =
        ::pread(fd, bytes.data() + done, size - done, offset + static_cast<Bytes>(done));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    done += static_cast<std::size_t>(count);
  }
  bytes.resize(done);
  return bytes;
}

}  // namespace

std::optional<FileRange> range_of(const UniqueFd& fd) {
  const auto info = stat_fd(fd);
  if (!info) return std::nullopt;
  return FileRange{info->size, [descriptor = fd.get()](Bytes offset, std::size_t size) {
                     return read_range(descriptor, offset, size);
                   }};
}

}  // namespace model_prep
