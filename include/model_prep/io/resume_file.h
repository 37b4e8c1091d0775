// SPDX-License-Identifier: Apache-2.0
// The resume record of one blob on disk, and this process's claim to it.
//
// `core/resume_record.h` says what a record means and who may claim it when. A claim is made by
// creating the file, or by replacing it with a rename, so that a writer that has the old record
// open writes into a file without a name. One thread.
#pragma once

#include "model_prep/core/resume_record.h"
#include "model_prep/io/repository.h"

namespace model_prep {

class ResumeFile {
 public:
  ResumeFile(const Repository& repository, const Digest& blob, const WriterTag& self)
      : directory_(*repository.directory),
        path_(repository.layout.resume(blob)),
        temporary_directory_(repository.layout.own_directory),
        self_(self) {}

  /// Whether the record on disk is ours, as far as we know.
  bool is_ours() const { return ours_; }

  /// Claims a blob that has no record. `other`: one has appeared meanwhile.
  Result<StagingOwner> create(const ResumeRecord& record);

  /// Claims the blob whoever had it, who learns it at the next save. If two do this in the same
  /// instant, the last one has it.
  Status replace(const ResumeRecord& record);

  /// Writes the record with the next sequence number: one line, one pwrite, in the file that was
  /// just read, and never over another's claim. Creates the record if there is none, and replaces a
  /// file that has a second name. `other`: the blob was ours, and another process has claimed it.
  Result<StagingOwner> save(ResumeRecord& record);
  Status remove() { return ours_ ? directory_.remove(path_) : ok(); }

 private:
  Result<StagingOwner> write(const UniqueFd& fd, const ResumeRecord& record);

  const Directory& directory_;
  std::string path_;
  std::string temporary_directory_;
  WriterTag self_;
  bool ours_{false};
};

struct ResumeContent {
  std::string text;  ///< as it is on disk; empty if it cannot be read
  std::optional<ResumeRecord> record{};
  bool unreadable{false};  ///< something is or may be there, but no record can be read

  /// Who writes the blob, for those who wait.
  std::string owner() const { return record ? "process " + record->owner : "another process"; }
};
ResumeContent read_resume(const Repository& repository, const Digest& blob);

}  // namespace model_prep
