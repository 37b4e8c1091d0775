// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/listing_reader.h"

#include <fmt/format.h>

#include "model_prep/base/text.h"
#include "model_prep/core/hub_json.h"

namespace model_prep {
namespace {

// No repository is larger than this, but a broken server may send a listing without an end.
constexpr std::size_t kMaxPages = 1'000;
constexpr std::size_t kMaxFiles = 200'000;
constexpr std::size_t kMaxBytes = 64 * 1024 * 1024;

/// Entries of one page of the tree (docs/developing/hub-protocol.md, section 3.3).
constexpr std::size_t kPageSize = 1'000;

}  // namespace

void ListingReader::restart() {
  listing_ = {};
  urls_.clear();
  bytes_ = 0;
  doubt_.reset();
}

Result<ListingReader::Next> ListingReader::add(const Page& page) {
  auto read = page.is_tree ? parse_tree_page(page.body, object_)
                           : parse_blobs(page.body, object_, page.commit);
  if (!read) return doubt_.value_or(read.error());

  const std::size_t entries = read->size() + read->folders.size();
  if (doubt_)
    add_missing(listing_, std::move(*read));
  else
    append(listing_, std::move(*read));
  urls_.emplace(page.url);
  bytes_ += page.body.size();

  if (const char* fault = endless(page))
    return Error{ErrorKind::protocol, object_ + ": " + fault,
                 "a mirror or a proxy may be misconfigured: check HF_ENDPOINT"};
  if (page.next) return Next::page;
  if (Status possible = check_listing(listing_, object_); !possible) return possible.error();

  const std::string missing = missing_part(page.is_tree && entries == kPageSize);
  if (missing.empty()) return Next::nothing;
  const Error doubt{
      ErrorKind::protocol, fmt::format("{}: the listing is not complete: {}", object_, missing),
      "a mirror may list only a part: check HF_ENDPOINT, or use a lock, which needs no listing"};
  if (!page.is_tree) return doubt;
  doubt_ = doubt;
  return Next::other_list;
}

/// Why the listing is not read any further, or nullptr.
const char* ListingReader::endless(const Page& page) const {
  if (listing_.size() > kMaxFiles) return "the listing has more than 200,000 files";
  if (bytes_ > kMaxBytes) return "the listing is larger than 64 MiB";
  if (!page.next) return nullptr;
  if (urls_.contains(*page.next)) return "the next-page links of the listing form a loop";
  return urls_.size() >= kMaxPages ? "the listing has more than 1,000 pages" : nullptr;
}

/// What shows that a listing without a further page is not the whole commit.
std::string ListingReader::missing_part(bool ends_in_full_page) const {
  if (const auto folder = empty_folder(listing_))
    return fmt::format("it has the directory '{}', but no file in it", truncated(*folder));
  if (listing_.size() < files_named_)
    return fmt::format("it has {} files, but the repository's info names {}", listing_.size(),
                       files_named_);
  if (!doubt_ && ends_in_full_page)
    return fmt::format("it ends after a full page of {} entries, without a link to the next page",
                       kPageSize);
  return {};
}

}  // namespace model_prep
