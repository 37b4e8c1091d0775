// SPDX-License-Identifier: Apache-2.0
// The part of a file's life in which its bytes come from a file nearby.
#include "model_prep/core/file_task.h"

namespace model_prep {
namespace {

// What a signal, a kill or another file may have to wait for.
constexpr Bytes kCopyStep = 8 * 1024 * 1024;

}  // namespace

/// Where the bytes that are missing come from.
void FileTask::get_bytes() {
  if (has_nearby()) return copy_next();
  state_ = State::moving;
  if (!shared_.settings.offline) return;

  failure_ = Error{ErrorKind::offline_missing,
                   work_.context.object +
                       " is not in the cache, and no folder of --from has its bytes; this run is "
                       "offline",
                   "name a folder that has it, or run once online"};
  // What an earlier run has fetched is worth keeping; space that is only reserved is not.
  finish(FileStatus::failed, failure_, have()->empty());
}

void FileTask::copy_next() {
  state_ = State::copying;
  ByteRange range = segments_->take().value();  // nothing else is in flight
  if (range.size() > kCopyStep) {
    segments_->give_back({range.begin + kCopyStep, range.end});
    range.end = range.begin + kCopyStep;
  }
  emit(CopyNearby{id_, nearby_, range, have()->empty()});
}

void FileTask::on_copied(ByteRange range) {
  if (state_ != State::copying) return;
  segments_->wrote(range);
  unsaved_bytes_ += range.size();
  byte_sources_.insert(kNearby);
  max_bytes_ = std::max(max_bytes_, have()->total());
  if (segments_->complete()) return all_on_disk();

  hash_to_watermark();
  copy_next();
}

void FileTask::on_not_copied(const Error& error) {
  if (state_ == State::copying) leave_nearby(work_.context.object + ": " + error.message);
}

/// The nearby file cannot be used: the next one is, or the network. What was copied is dropped.
void FileTask::leave_nearby(const std::string& why) {
  const bool copied = byte_sources_.contains(kNearby);
  ++nearby_;
  shared_.notice(LogLevel::warning, why + (has_nearby()               ? "; using another copy"
                                           : shared_.settings.offline ? "; not used"
                                                                      : "; downloading it"));
  if (copied) {
    max_bytes_ = 0;
    return restart_from_zero();
  }
  // The range that was asked for is free again.
  segments_->give_back({0, work_.blob->size});
  get_bytes();
}

/// The bytes of a nearby file, perhaps with those of an earlier run, are wrong.
void FileTask::on_wrong_copy(const Error& wrong) {
  const std::string& path = work_.nearby[nearby_].path;
  if (!byte_sources_.contains(kEarlierRun))
    return leave_nearby(wrong.message + "; they were copied from " + path + ", which is damaged");

  shared_.notice(LogLevel::info, work_.context.object + ": what an earlier run left and " + path +
                                     " do not fit together; copying all of it");
  max_bytes_ = 0;
  restart_from_zero();
}

std::string FileTask::source_of_bytes() const {
  if (byte_sources_.contains(kNearby)) return work_.nearby[nearby_].folder;

  std::string names;
  const auto& endpoints = shared_.settings.endpoints;
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    const bool was_used = std::ranges::any_of(byte_sources_, [&](std::size_t source) {
      return source != kEarlierRun && failover_.sources()[source].endpoint == i;
    });
    if (was_used) names += (names.empty() ? "" : ",") + endpoints[i].name;
  }
  return names;
}

}  // namespace model_prep
