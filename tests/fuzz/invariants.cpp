// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>
#include <functional>

#include "fuzz/targets.h"
#include "model_prep/base/policy.h"
#include "model_prep/base/text.h"
#include "model_prep/core/model_card.h"

namespace model_prep::fuzz {

std::string Lines::next() {
  const std::size_t end = rest_.find('\n');
  const std::string line(rest_.substr(0, end));
  rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
  return line;
}

std::optional<std::int64_t> number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() ? std::optional(value)
                                                                  : std::nullopt;
}

void check_message(const Error& error) {
  require(!error.message.empty(), "an error says why");
  require(error.message.size() <= 2'000, "a message is not endless");
  require(sanitize(error.message) == error.message, "a message is printable");
}

void check_format(const FormatCheck& check) {
  require(check.why.empty() == (check.format == Format::sound), "what is not sound says why");
  if (!check.why.empty()) check_message({ErrorKind::malformed, check.why});
}

void check_path(const RepoPath& path) {
  const std::string& text = path.text();
  require(!text.empty() && text.size() <= 1024, "a path has a possible length");
  require(is_utf8(text), "a path is UTF-8");
  require(std::none_of(text.begin(), text.end(),
                       [](unsigned char c) { return c < 0x20 || c == 0x7f || c == '\\'; }),
          "a path has no NUL, control character or backslash");
  std::size_t parts = 0;
  for (std::size_t begin = 0; begin <= text.size(); ++parts) {
    const std::size_t end = std::min(text.find('/', begin), text.size());
    const std::string part = text.substr(begin, end - begin);
    require(!part.empty() && part != "." && part != ".." && part.size() <= 255,
            "a path has usable parts");
    begin = end + 1;
  }
  require(parts >= 1, "a path has a part");
}

void check_licenses(const Strings& licenses) {
  require(licenses.size() <= kMaxLicenses, "a bounded number of licenses counts");
  for (const std::string& license : licenses)
    require(license_id(license) == license, "a license is an id");
  require(std::ranges::adjacent_find(licenses, std::ranges::greater_equal()) == licenses.end(),
          "licenses are sorted, each once");
}

void check_files(const std::vector<RemoteFile>& files) {
  for (std::size_t i = 0; i < files.size(); ++i) {
    const RemoteFile& file = files[i];
    check_path(file.path);
    require(file.size >= 0 && file.size <= kMaxFileSize, "a size is possible");
    require(!file.oid || file.oid->kind() == DigestKind::git_sha1, "an oid is a git id");
    require(file.blob.kind() == DigestKind::sha256 || !file.oid || file.blob == *file.oid,
            "a plain file is its oid");
    if (i == 0) continue;
    const std::string& before = files[i - 1].path.text();
    require(before < file.path.text(), "files are sorted and none is there twice");
    require(!file.path.text().starts_with(before + "/"), "no file is a folder too");
  }
}

bool same_files(const std::vector<RemoteFile>& a, const std::vector<RemoteFile>& b) {
  return std::equal(
      a.begin(), a.end(), b.begin(), b.end(), [](const RemoteFile& one, const RemoteFile& other) {
        const auto hash = [](const RemoteFile& file) {
          return is_lower_hex(file.xet_hash, 64) ? file.xet_hash : "";
        };
        return one.path == other.path && one.size == other.size && one.blob == other.blob &&
               one.oid == other.oid && hash(one) == hash(other);
      });
}

}  // namespace model_prep::fuzz
