// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/resume_file.h"

#include <fcntl.h>

namespace model_prep {
namespace {

constexpr std::size_t kMaxResumeRecord = 64 * 1024;

}  // namespace

Result<StagingOwner> ResumeFile::write(const UniqueFd& fd, const ResumeRecord& record) {
  if (Status written = write_at(fd, serialize_resume(record), 0, path_); !written)
    return written.error();

  ours_ = true;
  return StagingOwner::us;
}

Result<StagingOwner> ResumeFile::create(const ResumeRecord& record) {
  const auto fd = directory_.open_file(path_, O_WRONLY | O_CREAT | O_EXCL);
  if (!fd && lstat_path(path_)) return StagingOwner::other;
  return fd ? write(*fd, record) : fd.error();
}

Status ResumeFile::replace(const ResumeRecord& record) {
  ours_ = true;
  return directory_.write_atomically(path_, serialize_resume(record), temporary_directory_);
}

Result<StagingOwner> ResumeFile::save(ResumeRecord& record) {
  ++record.sequence;
  const auto fd = directory_.open_file(path_, O_RDWR);
  const bool is_there = fd || lstat_path(path_);
  if (!fd && is_there && fd.error().kind != ErrorKind::permission) return fd.error();

  if (fd) {
    const auto there = parse_resume(read_file(*fd, kMaxResumeRecord).value_or(""));
    if (!there || there->writer == self_) {
      // A hard link to something precious may have been planted here. A file without any name is
      // one that another process has just replaced, which must keep its claim.
      const auto found = stat_fd(*fd);
      if (found && found->link_count <= 1) return write(*fd, record);
      Status replaced = replace(record);
      return replaced ? Result(StagingOwner::us) : replaced.error();
    }
  } else if (!is_there) {
    const auto created = create(record);
    if (!created || *created == StagingOwner::us) return created;
  }
  // Another process has a claim, which is a loss only if we had one.
  return ours_ ? StagingOwner::other : StagingOwner::us;
}

ResumeContent read_resume(const Repository& repository, const Digest& blob) {
  const std::string path = repository.layout.resume(blob);
  const auto there = try_lstat(path);
  if (there && !*there) return {};

  ResumeContent content{.text = read_file(path, kMaxResumeRecord).value_or("")};
  content.record = parse_resume(content.text);
  content.unreadable = !content.record;
  return content;
}

}  // namespace model_prep
