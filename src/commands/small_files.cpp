// SPDX-License-Identifier: Apache-2.0
#include "model_prep/commands/small_files.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "model_prep/commands/resolve_locally.h"

namespace model_prep {
namespace {

struct Attempt {
  std::size_t file;
  std::set<std::size_t> wrong_endpoints{};
  std::size_t failures{0};
};

Query query_for(const SmallFile& wanted, const Attempt& attempt,
                const std::vector<HubEndpoint>& endpoints) {
  auto sources = sources_at(
      endpoints,
      [&](const Hub& hub) { return hub.resolve(wanted.repo, wanted.commit, wanted.file.path); },
      attempt.wrong_endpoints);
  return {{.object = wanted.object(), .repo = wanted.repo.text()}, std::move(sources)};
}

}  // namespace

void request_small_files(Fetcher& fetcher, std::span<const SmallFile> files,
                         const OnText& on_text) {
  const std::size_t max_failures = std::max<std::size_t>(2, fetcher.endpoints.size());
  std::vector<Attempt> due;
  for (std::size_t i = 0; i < files.size(); ++i) due.push_back({i});

  while (!due.empty()) {
    std::vector<Query> queries;
    for (const Attempt& attempt : due)
      queries.push_back(query_for(files[attempt.file], attempt, fetcher.endpoints));

    std::vector<Attempt> again;
    fetcher.query(queries, [&](std::size_t i, const Reply& reply) {
      Attempt& attempt = due[i];
      const SmallFile& wanted = files[attempt.file];
      if (reply.error) return on_text(attempt.file, *reply.error);

      const Digest& expected = wanted.file.blob;
      const Digest found = digest_of(reply.body, expected.kind());
      if (found == expected) return on_text(attempt.file, std::string_view(reply.body));

      attempt.wrong_endpoints.insert(queries[i].sources[reply.source].endpoint);
      if (++attempt.failures < max_failures) return again.push_back(std::move(attempt));
      on_text(attempt.file, Error{ErrorKind::digest_mismatch,
                                  fmt::format("{}: its bytes hash to {}, expected {}",
                                              wanted.object(), found.hex(), expected.hex()),
                                  "a mirror or a proxy may be wrong: check HF_ENDPOINT"});
    });
    due = std::move(again);
  }
}

}  // namespace model_prep
