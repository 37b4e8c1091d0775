// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/oci_layout.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "model_prep/io/hasher.h"

namespace model_prep {
namespace {

/// Far more than any layout has.
constexpr std::size_t kMaxIndex = 4 * 1024 * 1024;

}  // namespace

OciLayout::OciLayout(const std::string& folder, std::unique_ptr<ExportLock> lock)
    : names_(folder), directory_(folder), lock_(std::move(lock)) {}

OciLayout::~OciLayout() {
  if (is_directory(names_.temporary)) static_cast<void>(directory_.remove(names_.temporary));
}

Status OciLayout::check(const std::string& folder) {
  const OciLayoutNames names(folder);
  const auto refuse_unless = [](bool is_good, const std::string& path) -> Status {
    if (is_good) return ok();
    return Error{ErrorKind::usage, path + " is not that of an OCI image layout",
                 "choose another folder: files of others are not touched"};
  };
  if (lstat_path(names.marker)) {
    const auto marker = read_file(names.marker, kMaxIndex);
    if (Status good = refuse_unless(marker && is_oci_marker(*marker), names.marker); !good)
      return good;
    // Here, because it is replaced only when all layers are written.
    if (!lstat_path(names.index)) return ok();
    const auto index = read_file(names.index, kMaxIndex);
    return refuse_unless(index && is_oci_index(*index), names.index);
  }

  Strings others = list_directory(names.root);
  std::erase_if(others, [&](const std::string& path) {
    return (path == names.temporary && is_directory(path)) || path == names.lock;
  });
  if (others.empty()) return ok();
  return Error{ErrorKind::usage, fmt::format("{} is not empty and no OCI image layout", names.root),
               "choose another folder: files of others are not touched"};
}

Result<std::unique_ptr<OciLayout>> OciLayout::open(const std::string& folder) {
  if (Status made = create_directories(folder); !made) return made.error();

  // Before anything is written there, also the lock.
  if (Status ours = check(folder); !ours) return ours.error();
  const OciLayoutNames names(folder);
  auto lock = ExportLock::try_acquire(folder, names.lock);
  if (!lock) return lock.error();
  if (!*lock)
    return Error{ErrorKind::io, "another export is writing to " + folder,
                 "wait until it has ended"};

  std::unique_ptr<OciLayout> layout(new OciLayout(folder, std::move(*lock)));
  if (Status prepared = layout->prepare(); !prepared) return prepared.error();
  return layout;
}

Status OciLayout::prepare() {
  for (const std::string& leftover : list_directory(names_.temporary))
    if (leftover.ends_with(".tmp") && lock_->is_leftover(leftover))
      if (Status removed = directory_.remove(leftover); !removed) return removed;

  // The marker comes before everything that is not temporary: without it the folder is refused.
  if (Status made = directory_.create_directories(names_.temporary); !made) return made;
  if (!lstat_path(names_.marker))
    if (Status marked =
            directory_.write_atomically(names_.marker, kOciMarkerText, names_.temporary);
        !marked)
      return marked;
  if (Status made = directory_.create_directories(names_.blobs); !made) return made;

  for (const std::string& path : list_directory(names_.blobs))
    if (const auto found = lstat_path(path);
        found && found->is_file && is_lower_hex(file_name(path), 64))
      blobs_[found->size].insert(path);
  return ok();
}

/// Opened each time: many blobs may have the size, and nearly all of them differ early.
bool OciLayout::has_at(const std::string& path, Bytes offset, std::string_view bytes) const {
  const auto fd = directory_.open_file(path, O_RDONLY);
  std::string there(bytes.size(), '\0');
  return fd && pread(fd->get(), there.data(), there.size(), offset) == std::ssize(there) &&
         there == bytes;
}

Result<OciBlob> OciLayout::add(Bytes size, const Fill& fill) {
  if (has_size(size)) {
    RunningDigest digest(DigestKind::sha256, size);
    std::set<std::string> same = blobs_.at(size);
    Bytes done = 0;
    const Status filled = fill([&](std::string_view bytes) {
      digest.update(bytes);
      std::erase_if(same, [&](const std::string& path) { return !has_at(path, done, bytes); });
      done += static_cast<Bytes>(bytes.size());
      return ok();
    });
    if (!filled) return filled.error();
    const Digest found = digest.finish();
    if (same.contains(names_.blob(found))) return OciBlob{found, size};
  }

  const std::string temporary = temporary_name(names_.temporary, "blob");
  const auto digest = write_temporary(temporary, size, fill);
  Status done = digest ? directory_.rename(temporary, names_.blob(*digest)) : digest.error();
  if (done) done = directory_.sync(names_.blobs);
  if (!done) {
    static_cast<void>(directory_.remove(temporary));  // the first error is the one to report
    return done.error();
  }
  blobs_[size].insert(names_.blob(*digest));
  return OciBlob{*digest, size};
}

Result<OciBlob> OciLayout::add(const std::string& text) {
  return add(static_cast<Bytes>(text.size()),
             [&](const ByteConsumer& consume) { return consume(text); });
}

Result<Digest> OciLayout::write_temporary(const std::string& temporary, Bytes size,
                                          const Fill& fill) {
  const auto fd = directory_.open_file(temporary, O_WRONLY | O_CREAT | O_EXCL);
  if (!fd) return fd.error();

  RunningDigest digest(DigestKind::sha256, size);
  Bytes done = 0;
  const Status filled = fill([&](std::string_view bytes) {
    digest.update(bytes);
    Status written = write_at(*fd, bytes, done, names_.root);
    done += static_cast<Bytes>(bytes.size());
    return written;
  });
  if (!filled) return filled.error();
  if (done != size)
    return Error{ErrorKind::internal,
                 fmt::format("a blob of {} has {} bytes, expected {}", names_.root, done, size)};

  // Otherwise a power cut after the rename could leave the digest as the name of other bytes.
  if (fdatasync(fd->get()) != 0) return io_error("sync a blob in", names_.root, errno);
  return digest.finish();
}

Status OciLayout::set_tag(const std::string& tag, const OciBlob& image) {
  const bool is_new = !lstat_path(names_.index);
  const auto existing = is_new ? std::nullopt : read_file(names_.index, kMaxIndex);
  if (!is_new && !existing)
    return Error{ErrorKind::io, "cannot read " + names_.index, "choose another folder"};

  const auto text = oci_layout_index(existing, image, tag);
  if (!text)
    return Error{text.error().kind, names_.root + ": " + text.error().message, text.error().hint};
  return directory_.write_atomically(names_.index, *text, names_.temporary);
}

}  // namespace model_prep
