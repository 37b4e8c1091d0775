// SPDX-License-Identifier: Apache-2.0
// Reads the listing of one commit from one endpoint, page by page, until it is whole.
//
// A listing that may not be the whole commit is doubtful: one that names a directory without a file
// in it, that ends after a full page, or that has fewer files than the repository's info. It is
// completed from the endpoint's other list, that of `?blobs=true`, or else refused. A listing
// without an end is refused too. Errors are `protocol`. Pure.
#pragma once

#include <set>

#include "model_prep/base/listing.h"

namespace model_prep {

class ListingReader {
 public:
  /// `object` names the repository in errors.
  explicit ListingReader(std::string object) : object_(std::move(object)) {}

  /// How many files the repository's info names, if it was requested.
  void expect(std::size_t files) { files_named_ = files; }

  /// Forgets what was read: the listing comes from another endpoint.
  void restart();

  /// A part of it was read.
  bool begun() const { return !urls_.empty(); }

  /// Why the listing may not be whole, once the other list is needed.
  const std::optional<Error>& doubt() const { return doubt_; }

  struct Page {
    std::string_view url;
    std::string_view body;
    bool is_tree{true};                 ///< false: the other list
    std::string_view commit{};          ///< which the other list must not contradict
    std::optional<std::string> next{};  ///< the address of the next page
  };
  enum class Next : std::uint8_t { page, other_list, nothing };

  /// Returns what has to be requested next.
  Result<Next> add(const Page& page);

  /// Once nothing has to be requested.
  Listing& listing() { return listing_; }

 private:
  const char* endless(const Page& page) const;
  std::string missing_part(bool ends_in_full_page) const;

  std::string object_;
  std::size_t files_named_{0};
  Listing listing_;
  std::set<std::string, std::less<>> urls_;
  std::size_t bytes_{0};
  std::optional<Error> doubt_;
};

}  // namespace model_prep
