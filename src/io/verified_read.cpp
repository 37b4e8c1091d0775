// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/verified_read.h"

#include <algorithm>
#include <cerrno>
#include <optional>

#include <unistd.h>

#include "model_prep/io/hasher.h"
#include "model_prep/io/posix.h"

namespace model_prep {
namespace {

constexpr std::size_t kBlock = 256 * 1024;

}  // namespace

Result<Digest> read_verified(const std::string& path, const BlobSpec& expected,
                             const std::string& object, const ByteConsumer& consume) {
  const auto fd = open_for_reading(path);
  if (!fd) return fd.error();

  RunningDigest sha256(DigestKind::sha256, expected.size);
  std::optional<RunningDigest> git_sha1;
  if (expected.digest.kind() == DigestKind::git_sha1)
    git_sha1.emplace(DigestKind::git_sha1, expected.size);

  // One byte more is asked for than there should be, and never passed on.
  std::string block(kBlock, '\0');
  Bytes done = 0;
  while (true) {
    const auto wanted = static_cast<std::size_t>(
        std::min<Bytes>(static_cast<Bytes>(block.size()), expected.size - done + 1));
    const ssize_t count = pread(fd->get(), block.data(), wanted, done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return io_error("read", path, errno);
    if (count == 0) break;

    done += count;
    if (done > expected.size) break;
    const std::string_view bytes(block.data(), static_cast<std::size_t>(count));
    sha256.update(bytes);
    if (git_sha1) git_sha1->update(bytes);
    if (Status consumed = consume(bytes); !consumed) return consumed.error();
  }

  HashResult found;
  if (done == expected.size) found.sha256 = sha256.finish();
  if (done == expected.size && git_sha1) found.git_sha1 = git_sha1->finish();
  if (const auto error = check_digests(found, object, expected)) return *error;
  return *found.sha256;
}

}  // namespace model_prep
