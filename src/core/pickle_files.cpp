// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/pickle_files.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "model_prep/base/text.h"
#include "model_prep/core/pickle.h"
#include "model_prep/core/weight_names.h"
#include "model_prep/core/zip_entries.h"

namespace model_prep {

/// The text of weights_only_imports.txt: a comment, then a name a line.
extern const std::string_view kWeightsOnlyImports;

namespace {

/// The first reason counts.
void hide(PickleFindings& findings, std::string why) {
  findings.form = PickleForm::opaque;
  if (findings.why.empty()) findings.why = std::move(why);
}

void add_imports(PickleFindings& findings, const PickleScan& scan) {
  for (const std::string& name : scan.imports)
    if (!is_weights_only_import(name)) findings.imports.insert(name);
}

/// What the scan of one pickle says about the file. Whether another one may follow.
bool add_scan(PickleFindings& findings, const PickleScan& scan, Bytes position) {
  add_imports(findings, scan);
  switch (scan.end) {
    case PickleEnd::stop: return true;
    case PickleEnd::broken:
      hide(findings, fmt::format("it is no pickle from byte {} on", position));
      return false;
    case PickleEnd::too_long: hide(findings, "it is too large a pickle"); return false;
    case PickleEnd::unreadable: hide(findings, "it cannot be read"); return false;
  }
  return false;
}

PickleFindings look_into_zip(const FileRange& file, PickleDepth depth) {
  PickleFindings findings;
  const auto entries = zip_entries(file, ".pkl");
  if (!entries) {
    hide(findings, "it is a zip archive that cannot be read");
    return findings;
  }

  constexpr Bytes kMaxScanned = Bytes{256} * 1024 * 1024;
  Bytes scanned = 0;
  std::set<Bytes> begins;
  for (const ZipEntry& entry : *entries) {
    if (findings.form == PickleForm::none) findings.form = PickleForm::pickle;
    if (depth == PickleDepth::form) break;

    // Any number of entries may name the same bytes.
    if (entry.stored && !begins.insert(entry.stored->begin).second) continue;
    if (scanned > kMaxScanned) {
      hide(findings, "it has too many pickles");
      break;
    }
    if (!entry.stored) {
      hide(findings, truncated(entry.name) + " is compressed in its archive");
      continue;
    }
    RangeReader reader(file, entry.stored->begin, entry.stored->end);
    const PickleScan scan = scan_pickle(reader);
    add_scan(findings, scan, reader.position() - entry.stored->begin);
    scanned += reader.position() - entry.stored->begin;
  }
  return findings;
}

/// Whether a pickle of protocol 2 to 5 begins here.
bool begins_pickle(RangeReader& reader) {
  const Bytes begin = reader.position();
  const auto opcode = reader.byte();
  const auto protocol = reader.byte();
  reader.seek(begin);
  return opcode == 0x80 && protocol.value_or(0) >= 2 && *protocol <= 5;
}

PickleFindings look_into_pickles(const FileRange& file) {
  // The number that PyTorch's older form begins with, as its first pickle; four more follow.
  constexpr std::string_view kMagic = "\x80\x02\x8a\nl\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
  constexpr int kLegacyPickles = 5;
  const bool is_legacy = file.read(0, kMagic.size()) == kMagic;

  PickleFindings findings;
  RangeReader reader(file);
  const bool is_certain = begins_pickle(reader);
  PickleScan scan = scan_pickle(reader);
  const bool is_pickle = is_certain || scan.has_called || scan.end != PickleEnd::broken;
  if (!is_pickle) return findings;

  findings.form = PickleForm::pickle;
  for (int pickles = 1; add_scan(findings, scan, reader.position()); ++pickles) {
    if (is_legacy && pickles == kLegacyPickles) break;
    const bool begins = is_legacy || begins_pickle(reader);

    // PyTorch knows its older form by the value of the first pickle, which can be written in other
    // ways, even with imports that it allows, and then loads whatever follows.
    if (!begins && !findings.imports.empty()) break;
    scan = scan_pickle(reader);

    // What is no pickle is the data behind the last one.
    const bool is_data = scan.end == PickleEnd::broken && !scan.has_called && scan.imports.empty();
    if (!begins && (is_data || pickles >= kLegacyPickles)) break;
  }
  return findings;
}

/// Whether the file begins with a header of tar. The oldest form has no magic number: Python's
/// tarfile takes what has the right checksum.
bool is_tar(const FileRange& file) {
  constexpr std::size_t kBlock = 512;
  constexpr std::size_t kMagic = 257;
  constexpr std::size_t kBegin = 148;
  constexpr std::size_t kEnd = 156;
  const std::string header = file.read(0, kBlock);
  if (header.size() < kBlock) return false;
  if (header.substr(kMagic).starts_with("ustar")) return true;

  std::uint64_t of_unsigned = 0;
  std::int64_t of_signed = 0;
  for (std::size_t i = 0; i < kBlock; ++i) {
    const char c = i >= kBegin && i < kEnd ? ' ' : header[i];
    of_unsigned += static_cast<unsigned char>(c);
    of_signed += static_cast<signed char>(c);
  }

  std::uint64_t stated = 0;
  const std::string field = header.substr(kBegin, kEnd - kBegin);
  if ((static_cast<unsigned char>(field.front()) & 0x80U) != 0) {
    for (const char c : field.substr(1)) stated = stated << 8U | static_cast<unsigned char>(c);
  } else {
    for (const char c : field)
      if (c >= '0' && c <= '7') stated = stated * 8 + static_cast<std::uint64_t>(c - '0');
  }
  return stated != 0 && (stated == of_unsigned || static_cast<std::int64_t>(stated) == of_signed);
}

}  // namespace

PickleFindings look_for_pickle(const FileRange& file, PickleDepth depth) {
  constexpr std::size_t kFirstBytes = 64;
  if (is_zip(file)) return look_into_zip(file, depth);

  PickleFindings findings;
  if (is_tar(file))
    hide(findings, "it is a tar archive, in which PyTorch once kept pickles");
  else if (depth == PickleDepth::imports)
    findings = look_into_pickles(file);
  else if (is_pickle(file.read(0, kFirstBytes)))
    findings.form = PickleForm::pickle;
  return findings;
}

bool is_weights_only_import(std::string_view name) {
  const std::string_view list = kWeightsOnlyImports;
  const std::string line = "\n" + std::string(name) + "\n";
  return name.find('\n') == std::string_view::npos && list.find(line) != std::string_view::npos;
}

}  // namespace model_prep
