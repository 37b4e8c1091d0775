// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/zip_entries.h"

#include <algorithm>
#include <limits>

#include "model_prep/base/text.h"

namespace model_prep {
namespace {

constexpr Bytes kEndSize = 22;
constexpr Bytes kMaxComment = 65'535;
constexpr Bytes kMaxDirectory = Bytes{64} * 1024 * 1024;
constexpr std::uint64_t kMaxEntries = 100'000;
constexpr std::uint32_t kIn64 = std::numeric_limits<std::uint32_t>::max();

/// Little-endian numbers in a record that is in memory.
std::uint64_t number_at(std::string_view record, std::size_t at, std::size_t size) {
  std::uint64_t number = 0;
  for (std::size_t i = size; i-- > 0;)
    number = number << 8U | static_cast<unsigned char>(record[at + i]);
  return number;
}

struct Directory {
  std::uint64_t count{0};
  std::uint64_t size{0};
  std::uint64_t begin{0};
};

std::optional<std::string> bytes_at(const FileRange& file, std::uint64_t at, std::size_t size) {
  if (at > static_cast<std::uint64_t>(file.size)) return std::nullopt;
  return RangeReader(file, static_cast<Bytes>(at), file.size).bytes(size);
}

/// Of zip64, whose locator is before the ordinary end record.
std::optional<Directory> large_directory(const FileRange& file, Bytes end) {
  constexpr Bytes kLocatorSize = 20;
  constexpr std::size_t kRecordSize = 56;
  if (end < kLocatorSize) return std::nullopt;
  const auto locator = bytes_at(file, static_cast<std::uint64_t>(end - kLocatorSize), kLocatorSize);
  if (!locator || !locator->starts_with("PK\x06\x07")) return std::nullopt;

  const auto record = bytes_at(file, number_at(*locator, 8, 8), kRecordSize);
  if (!record || !record->starts_with("PK\x06\x06")) return std::nullopt;
  return Directory{number_at(*record, 32, 8), number_at(*record, 40, 8), number_at(*record, 48, 8)};
}

std::optional<Directory> find_directory(const FileRange& file) {
  const Bytes begin = std::max(Bytes{0}, file.size - kEndSize - kMaxComment);
  const auto tail = bytes_at(file, static_cast<std::uint64_t>(begin),
                             static_cast<std::size_t>(file.size - begin));
  if (!tail || tail->size() < kEndSize) return std::nullopt;

  // The last one counts, as for PyTorch's miniz.
  const std::size_t at = tail->rfind("PK\x05\x06", tail->size() - kEndSize);
  if (at == std::string::npos) return std::nullopt;

  if (auto large = large_directory(file, begin + static_cast<Bytes>(at))) return large;
  return Directory{number_at(*tail, at + 10, 2), number_at(*tail, at + 12, 4),
                   number_at(*tail, at + 16, 4)};
}

/// One header of the central directory.
struct Header {
  std::uint64_t flags{0};
  std::uint64_t method{0};
  std::uint64_t stored_size{0};
  std::uint64_t size{0};
  std::uint64_t offset{0};
};

/// Takes the values that zip64 keeps in the extra field, in the order of those that are missing.
void read_extra(std::string_view extra, Header& header) {
  constexpr std::size_t kField = 4;
  while (extra.size() >= kField) {
    const std::uint64_t id = number_at(extra, 0, 2);
    const auto size = static_cast<std::size_t>(number_at(extra, 2, 2));
    extra.remove_prefix(kField);
    if (size > extra.size()) return;

    std::string_view values = extra.substr(0, size);
    for (std::uint64_t* value : {&header.size, &header.stored_size, &header.offset}) {
      if (id != 1 || *value != kIn64 || values.size() < sizeof *value) continue;
      *value = number_at(values, 0, sizeof *value);
      values.remove_prefix(sizeof *value);
    }
    extra.remove_prefix(size);
  }
}

/// The local header says where the bytes begin.
std::optional<ZipEntry::Stored> place_of(const FileRange& file, const Header& header) {
  constexpr std::size_t kLocalSize = 30;
  constexpr std::uint64_t kEncrypted = 1;
  if (header.method != 0 || (header.flags & kEncrypted) != 0 || header.size != header.stored_size)
    return std::nullopt;

  const auto local = bytes_at(file, header.offset, kLocalSize);
  if (!local || !local->starts_with("PK\x03\x04")) return std::nullopt;
  const std::uint64_t begin =
      header.offset + kLocalSize + number_at(*local, 26, 2) + number_at(*local, 28, 2);
  const auto size = static_cast<std::uint64_t>(file.size);
  if (begin > size || header.size > size - begin) return std::nullopt;
  return ZipEntry::Stored{static_cast<Bytes>(begin), static_cast<Bytes>(begin + header.size)};
}

/// False if it is none.
bool read_entry(RangeReader& reader, const FileRange& file, std::string_view ending,
                std::vector<ZipEntry>& entries) {
  constexpr std::size_t kFixedSize = 46;
  const auto fixed = reader.bytes(kFixedSize);
  if (!fixed || !fixed->starts_with("PK\x01\x02")) return false;

  auto name = reader.bytes(static_cast<std::size_t>(number_at(*fixed, 28, 2)));
  const auto extra = reader.bytes(static_cast<std::size_t>(number_at(*fixed, 30, 2)));
  if (!name || !extra || !reader.skip(number_at(*fixed, 32, 2))) return false;
  if (!lower_case(*name).ends_with(ending)) return true;

  Header header{number_at(*fixed, 8, 2), number_at(*fixed, 10, 2), number_at(*fixed, 20, 4),
                number_at(*fixed, 24, 4), number_at(*fixed, 42, 4)};
  read_extra(*extra, header);
  entries.push_back({std::move(*name), place_of(file, header)});
  return true;
}

}  // namespace

bool is_zip(const FileRange& file) { return bytes_at(file, 0, 4) == "PK\x03\x04"; }

std::optional<std::vector<ZipEntry>> zip_entries(const FileRange& file, std::string_view ending) {
  const auto directory = find_directory(file);
  const auto size = static_cast<std::uint64_t>(file.size);
  if (!directory || directory->count > kMaxEntries || directory->size > kMaxDirectory ||
      directory->begin > size || directory->size > size - directory->begin)
    return std::nullopt;

  const auto begin = static_cast<Bytes>(directory->begin);
  RangeReader reader(file, begin, begin + static_cast<Bytes>(directory->size));
  std::vector<ZipEntry> entries;
  for (std::uint64_t i = 0; i < directory->count; ++i)
    if (!read_entry(reader, file, ending, entries)) return std::nullopt;
  return entries;
}

}  // namespace model_prep
