// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/tar.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace model_prep {
namespace {

constexpr std::size_t kBlock = 512;
constexpr Bytes kMaxOctalSize = 077777777777;  // eleven digits: 8 GiB - 1

/// Where a header has a value.
struct TarField {
  std::size_t at;
  std::size_t size;
};
constexpr TarField kName{0, 100};
constexpr TarField kMode{100, 8};
constexpr TarField kUid{108, 8};
constexpr TarField kGid{116, 8};
constexpr TarField kSize{124, 12};
constexpr TarField kTime{136, 12};
constexpr TarField kChecksum{148, 8};
constexpr TarField kType{156, 1};
constexpr TarField kTarget{157, 100};
constexpr TarField kMagicField{257, 8};  // with the version
constexpr TarField kPrefix{345, 155};

class TarHeader {
 public:
  TarHeader(char type, unsigned mode, Bytes size) {
    put(kType, {&type, 1});
    put_octal(kMode, mode);
    put_octal(kUid, 0);
    put_octal(kGid, 0);
    put_octal(kSize, size);
    put_octal(kTime, 0);
    put(kMagicField, {"ustar\0"
                      "00",
                      8});
  }

  /// What does not fit is cut off.
  void put(const TarField& field, std::string_view text) {
    text = text.substr(0, field.size);
    block_.replace(field.at, text.size(), text);
  }

  std::string finish() {
    put(kChecksum, std::string(kChecksum.size, ' '));
    unsigned sum = 0;
    for (const char c : block_) sum += static_cast<unsigned char>(c);
    put(kChecksum, fmt::format("{:06o}", sum) + '\0');
    return std::move(block_);
  }

 private:
  void put_octal(const TarField& field, Bytes value) {
    put(field, fmt::format("{:0{}o}", value, field.size - 1));
  }

  std::string block_ = std::string(kBlock, '\0');
};

/// The two fields that hold a path; nothing if they are too small.
std::optional<std::pair<std::string_view, std::string_view>> split_path(std::string_view path) {
  if (path.size() <= kName.size) return std::pair{std::string_view(), path};

  const std::size_t slash = path.find('/', path.size() - kName.size - 1);
  if (slash == std::string_view::npos || slash > kPrefix.size || slash + 1 == path.size())
    return std::nullopt;
  return std::pair{path.substr(0, slash), path.substr(slash + 1)};
}

/// Its first number is the length of the whole record.
std::string pax_record(std::string_view key, std::string_view value) {
  const std::size_t rest = key.size() + value.size() + 3;  // blank, equals sign, line end
  const auto with_number = [&](std::size_t length) { return rest + std::to_string(length).size(); };
  std::size_t length = with_number(rest);
  while (with_number(length) != length) length = with_number(length);
  return fmt::format("{} {}={}\n", length, key, value);
}

std::string padded(std::string content) {
  content.append(static_cast<std::size_t>(tar_padding(static_cast<Bytes>(content.size()))), '\0');
  return content;
}

}  // namespace

std::string tar_header(const TarEntry& entry) {
  const bool is_directory = entry.kind == TarKind::directory;
  const std::string path = is_directory ? entry.path + "/" : entry.path;
  const Bytes size = entry.kind == TarKind::file ? entry.size : 0;

  std::string records;
  const auto parts = split_path(path);
  if (!parts) records += pax_record("path", path);
  if (entry.target.size() > kTarget.size) records += pax_record("linkpath", entry.target);
  if (size > kMaxOctalSize) records += pax_record("size", std::to_string(size));

  std::string text;
  if (!records.empty()) {
    TarHeader pax('x', 0644, static_cast<Bytes>(records.size()));
    pax.put(kName, "PaxHeader");
    text = pax.finish() + padded(std::move(records));
  }

  // In the order of TarKind.
  constexpr char kTypes[] = {'5', '0', '2'};
  constexpr unsigned kModes[] = {0755, 0644, 0777};
  const auto kind = static_cast<std::size_t>(entry.kind);
  TarHeader header(kTypes[kind], kModes[kind], size > kMaxOctalSize ? 0 : size);
  header.put(kPrefix, parts ? parts->first : "");
  header.put(kName, parts ? parts->second : path);
  header.put(kTarget, entry.target);
  return text + header.finish();
}

Bytes tar_padding(Bytes size) {
  constexpr auto kSigned = static_cast<Bytes>(kBlock);
  return (kSigned - size % kSigned) % kSigned;
}

Bytes tar_size(const TarEntry& entry) {
  const auto header = static_cast<Bytes>(tar_header(entry).size());
  return entry.kind == TarKind::file ? header + entry.size + tar_padding(entry.size) : header;
}

}  // namespace model_prep
