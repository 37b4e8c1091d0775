// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/resume_file.h"

#include <fcntl.h>

namespace model_prep {
namespace {

constexpr std::size_t kMaxRecord = 64 * 1024;

}  // namespace

ResumeFile::ResumeFile(const Repository& repository, const Digest& blob, const WriterTag& self)
    : directory_(repository.directory()),
      path_(repository.layout().resume(blob)),
      temporary_directory_(repository.layout().own_directory()),
      self_(self) {}

ResumeFile::Content ResumeFile::read() const {
  Content content;
  content.text = read_file(path_, kMaxRecord).value_or("");
  content.record = parse_resume(content.text);
  content.torn = !content.record && lstat_path(path_);
  return content;
}

Status ResumeFile::write(const UniqueFd& fd, const ResumeRecord& record) {
  Status written = write_at(fd.get(), serialize_resume(record), 0, path_);
  if (written) ours_ = true;
  return written;
}

Result<bool> ResumeFile::create(const ResumeRecord& record) {
  if (lstat_path(path_)) {
    Status replaced = replace(record);
    return replaced ? Result<bool>(true) : replaced.error();
  }

  const auto fd = directory_.open_file(path_, O_WRONLY | O_CREAT | O_EXCL);
  if (!fd && lstat_path(path_)) return false;
  if (!fd) return fd.error();
  Status written = write(*fd, record);
  return written ? Result<bool>(true) : written.error();
}

Status ResumeFile::replace(const ResumeRecord& record) {
  ours_ = true;
  return directory_.write_atomically(path_, serialize_resume(record), temporary_directory_);
}

Result<ResumeFile::Saved> ResumeFile::save(ResumeRecord& record) {
  ++record.sequence;
  const auto fd = directory_.open_file(path_, O_RDWR);
  if (!fd && !lstat_path(path_)) return Saved::absent;
  if (!fd) return fd.error();

  const auto text = read_file(fd->get(), kMaxRecord);
  const auto there = text ? parse_resume(*text) : std::nullopt;
  if (there && there->writer != self_) return Saved::claimed_by_other;
  Status written = write(*fd, record);
  return written ? Result<Saved>(Saved::yes) : written.error();
}

Status ResumeFile::remove() { return ours_ ? directory_.remove(path_) : ok(); }

std::optional<ResumeRecord> read_resume(const Repository& repository, const Digest& blob) {
  const auto text = read_file(repository.layout().resume(blob), kMaxRecord);
  return text ? parse_resume(*text) : std::nullopt;
}

}  // namespace model_prep
