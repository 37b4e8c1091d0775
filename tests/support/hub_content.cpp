// SPDX-License-Identifier: Apache-2.0
#include "support/hub_content.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <new>
#include <system_error>

namespace model_prep::testing {
namespace {

constexpr std::size_t kPieceSize = 262'144;

// splitmix64's finalizer: every input bit changes half of the output bits, so neighbouring blocks
// look unrelated.
constexpr std::uint64_t mix(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30U)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27U)) * 0x94d049bb133111eb;
  return value ^ (value >> 31U);
}

void fill(std::uint64_t seed, std::int64_t offset, std::span<char> into) {
  const std::uint64_t key = mix(seed);
  auto index = static_cast<std::uint64_t>(offset) / sizeof(std::uint64_t);
  auto within = static_cast<std::size_t>(offset) % sizeof(std::uint64_t);
  while (!into.empty()) {
    const std::uint64_t block = mix(index++ ^ key);
    std::array<char, sizeof block> bytes;
    std::memcpy(bytes.data(), &block, sizeof block);
    const std::size_t count = std::min(bytes.size() - within, into.size());
    std::memcpy(into.data(), bytes.data() + within, count);
    into = into.subspan(count);
    within = 0;
  }
}

void make_up(const MadeUpBytes& content, std::int64_t offset, std::span<char> into) {
  fill(content.seed, offset, into);
  const std::string head = head_of(content.format, content.size);
  const auto begin = static_cast<std::size_t>(offset);
  if (begin < head.size()) head.copy(into.data(), into.size(), begin);
}

std::size_t read_disk(const std::filesystem::path& path, std::int64_t offset,
                      std::span<char> into) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  std::size_t done = 0;
  while (done < into.size()) {
    const auto count = ::pread(file, into.data() + done, into.size() - done,
                               offset + static_cast<std::int64_t>(done));
    if (count <= 0) break;
    done += static_cast<std::size_t>(count);
  }
  ::close(file);
  return done;
}

class Digester {
 public:
  explicit Digester(const EVP_MD* algorithm) : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
    if (context_ == nullptr || EVP_DigestInit_ex(context_.get(), algorithm, nullptr) != 1)
      throw std::bad_alloc();
  }

  void update(std::string_view bytes) {
    EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size());
  }

  std::string hex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int length = 0;
    EVP_DigestFinal_ex(context_.get(), digest.data(), &length);
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    for (const unsigned char byte : std::span(digest).first(length)) {
      text += kDigits[byte >> 4U];
      text += kDigits[byte & 15U];
    }
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

std::string git_blob_header(std::size_t size) {
  std::string header = "blob " + std::to_string(size);
  return header += '\0';
}

// The text git keeps instead of the file,
// https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md.
std::string lfs_pointer(const std::string& sha256, std::int64_t size) {
  return "version https://git-lfs.github.com/spec/v1\noid sha256:" + sha256 + "\nsize " +
         std::to_string(size) + "\n";
}

}  // namespace

std::int64_t size_of(const FileContent& content) {
  if (const auto* text = std::get_if<std::string>(&content.source))
    return static_cast<std::int64_t>(text->size());
  if (const auto* made_up = std::get_if<MadeUpBytes>(&content.source)) return made_up->size;
  return static_cast<std::int64_t>(
      std::filesystem::file_size(std::get<DiskBytes>(content.source).path));
}

std::size_t read_content(const FileContent& content, std::int64_t offset, std::span<char> into) {
  if (const auto* disk = std::get_if<DiskBytes>(&content.source))
    return read_disk(disk->path, offset, into);
  const std::int64_t left = std::max<std::int64_t>(0, size_of(content) - offset);
  into =
      into.first(static_cast<std::size_t>(std::min(left, static_cast<std::int64_t>(into.size()))));
  if (const auto* text = std::get_if<std::string>(&content.source)) {
    std::copy_n(text->begin() + std::min<std::int64_t>(offset, size_of(content)), into.size(),
                into.begin());
  } else {
    make_up(std::get<MadeUpBytes>(content.source), offset, into);
  }
  return into.size();
}

FileContent content_for(std::string_view path, FileContent content) {
  if (auto* made_up = std::get_if<MadeUpBytes>(&content.source)) made_up->format = format_of(path);
  return content;
}

std::string content_text(const FileContent& content, std::int64_t offset, std::int64_t length) {
  std::string text(static_cast<std::size_t>(
                       std::min(length, std::max<std::int64_t>(0, size_of(content) - offset))),
                   0);
  text.resize(read_content(content, offset, text));
  return text;
}

std::string content_text(const FileContent& content) {
  return content_text(content, 0, size_of(content));
}

FileDigests digests_of(const HubFile& file) {
  FileDigests digests;
  digests.size = size_of(file.content);
  Digester sha256(EVP_sha256());
  Digester git(EVP_sha1());
  if (!file.lfs) git.update(git_blob_header(static_cast<std::size_t>(digests.size)));
  std::string piece(kPieceSize, 0);
  for (std::int64_t offset = 0; offset < digests.size;) {
    const std::string_view bytes(piece.data(), read_content(file.content, offset, piece));
    if (bytes.empty())
      throw std::filesystem::filesystem_error("cannot read", file.path, std::error_code());
    sha256.update(bytes);
    if (!file.lfs) git.update(bytes);
    offset += static_cast<std::int64_t>(bytes.size());
  }
  digests.sha256 = sha256.hex();
  if (file.lfs) {
    const std::string pointer = lfs_pointer(digests.sha256, digests.size);
    digests.pointer_size = static_cast<std::int64_t>(pointer.size());
    digests.pointer_oid = sha1_hex(git_blob_header(pointer.size()) + pointer);
  } else {
    digests.git_sha1 = git.hex();
  }
  return digests;
}

std::string_view kind_of(std::string_view id) {
  for (const std::string_view kind : {"datasets", "spaces", "kernels"})
    if (id.substr(0, id.find('/')) == kind) return kind;
  return "models";
}

std::string_view name_of(std::string_view id) {
  return kind_of(id) == "models" ? id : id.substr(id.find('/') + 1);
}

HubRepo make_repo(std::string id, std::vector<HubFile> files, std::string commit) {
  if (commit.empty()) commit = sha1_hex("the only commit of " + id);
  HubRepo repo;
  repo.id = std::move(id);
  repo.refs["main"] = commit;
  repo.commits[commit] = std::move(files);
  return repo;
}

std::string sha1_hex(std::string_view bytes) {
  Digester digester(EVP_sha1());
  digester.update(bytes);
  return digester.hex();
}

std::string sha256_hex(std::string_view bytes) {
  Digester digester(EVP_sha256());
  digester.update(bytes);
  return digester.hex();
}

}  // namespace model_prep::testing
