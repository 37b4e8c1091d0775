// SPDX-License-Identifier: Apache-2.0
#include "model_prep/io/hub_api.h"

#include <fmt/format.h>

#include "model_prep/base/text.h"

namespace model_prep {
Result<Hub> Hub::parse(std::string_view endpoint) {
  while (endpoint.ends_with('/')) endpoint.remove_suffix(1);
  const auto url = parse_url(endpoint);
  if (!url || endpoint.find_first_of("?#") != std::string_view::npos)
    return Error{ErrorKind::usage,
                 fmt::format("the endpoint '{}' is not an http or https URL",
                             truncated(strip_user_info(endpoint))),
                 "write it like https://huggingface.co, without a query"};

  // The rest of a password that contains a `/` would be taken for a path, and shown.
  const auto login = find_user_info(endpoint);
  if (login && login->find('/') != std::string_view::npos)
    return Error{ErrorKind::usage, "the endpoint has an '@' after its host",
                 "write special characters of a user name or password as %XX"};
  return Hub(*url);
}

Url Hub::at(const std::string& path) const {
  return {endpoint_.text + path, endpoint_.origin, endpoint_.https};
}

Url Hub::api(const RepoId& repo, const std::string& rest) const {
  return at(fmt::format("/api/{}/{}/{}", to_string(repo.kind()), repo.name(), rest));
}
Url Hub::info(const RepoId& repo, const Revision& revision) const {
  return api(repo, "revision/" + percent_encode(revision.text()));
}
Url Hub::scan(const RepoId& repo, const CommitId& commit) const {
  return api(repo, fmt::format("revision/{}?securityStatus=true", commit.hex()));
}
Url Hub::tree(const RepoId& repo, const CommitId& commit) const {
  return api(repo, fmt::format("tree/{}?recursive=true&expand=false", commit.hex()));
}
Url Hub::expanded_tree(const RepoId& repo, const CommitId& commit) const {
  return api(repo, fmt::format("tree/{}?recursive=true&expand=true", commit.hex()));
}
Url Hub::blobs(const RepoId& repo, const CommitId& commit) const {
  return api(repo, fmt::format("revision/{}?blobs=true", commit.hex()));
}
Url Hub::resolve(const RepoId& repo, const CommitId& commit, const RepoPath& path) const {
  return at(fmt::format("/{}/resolve/{}/{}", repo.text(), commit.hex(),
                        percent_encode(path.text(), "/")));
}

std::optional<Url> Hub::next_page(std::string_view link, const Url& page) const {
  const auto next = next_link(link);
  if (!next) return std::nullopt;

  auto url = resolve_url(page, *next);
  if (!url || url->text.starts_with(endpoint_.text + "/")) return url;

  // A mirror that passes on the link of the server behind it. Pages differ only in their queries.
  const std::string here = page.text.substr(0, page.text.find('?'));
  const std::size_t query = url->text.find('?');
  const std::string_view there = std::string_view(url->text).substr(0, query);
  const std::size_t tree = here.rfind("/tree/");
  if (tree == std::string::npos || query == std::string::npos ||
      !there.ends_with(here.substr(tree)))
    return std::nullopt;
  return at(here.substr(endpoint_.text.size()) + url->text.substr(query));
}

Result<std::optional<Url>> Hub::next_page_of(std::string_view object, std::string_view link,
                                             const Url& page) const {
  auto next = next_page(link, page);
  if (!next && next_link(link))
    return Error{ErrorKind::protocol,
                 fmt::format("{}: the listing has an unusable next-page link", object),
                 "a mirror or a proxy may be misconfigured: check HF_ENDPOINT"};
  return next;
}

std::string_view Hub::repo_name(const Url& url) {
  const std::string_view text = url.text;
  for (const std::string_view kind : kNames<RepoKind>) {
    const std::string prefix = fmt::format("/api/{}/", kind);
    const std::size_t begin = text.find(prefix);
    if (begin == std::string_view::npos) continue;

    const std::string_view rest = text.substr(begin + prefix.size());
    return rest.substr(0, std::min(rest.find("/revision/"), rest.find("/tree/")));
  }
  return {};
}

}  // namespace model_prep
