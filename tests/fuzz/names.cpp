// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "fuzz/targets.h"
#include "model_prep/base/text.h"
#include "model_prep/core/model_selection.h"

namespace model_prep::fuzz {
namespace {

template <class Name>
void check_refusal(const Result<Name>& name, ErrorKind kind) {
  if (name) return;
  require(name.error().kind == kind, "a name is refused for what it is");
  check_message(name.error());
}

void check_repo(std::string_view text) {
  const auto repo = RepoId::parse(text);
  if (!repo) return check_refusal(repo, ErrorKind::usage);
  require(repo->text() == text, "a name stays as it was typed");
  const std::string_view name = repo->name();
  require(name.size() <= 2 * 96 + 1 && std::count(name.begin(), name.end(), '/') <= 1,
          "a repository has a short name");
  require(text == name || text == std::string(to_string(repo->kind())) + "/" + std::string(name),
          "after its kind");
  require(text.find("..") == text.npos && text.find("--") == text.npos && !text.ends_with(".git"),
          "a repository's name makes a folder's");
  require(std::all_of(text.begin(), text.end(),
                      [](unsigned char c) {
                        return c < 0x80 && (std::isalnum(c) != 0 ||
                                            std::string_view("_-./").find(static_cast<char>(c)) !=
                                                std::string_view::npos);
                      }),
          "a repository's name is plain");
}

void check_free_model(const std::string& text) {
  const auto specs = select_models({}, {.names = {text}}, Build::fp32);
  if (!specs) return;
  require(specs->size() == 1, "one name is one model");
  const ModelSpec& spec = specs->front();
  require(spec.key == text || text.starts_with("hf://") || text.starts_with("https://"),
          "its key is its name, unless that is an address");
  require(spec.key.starts_with(spec.repo.text()), "and its repository's name comes first");
  const auto again = select_models({}, {.names = {spec.key}}, Build::fp32);
  require(
      spec.repo.name().find('/') == std::string::npos || (again && again->front().key == spec.key),
      "a key is a name too");
}

void check_text(std::string_view text) {
  require(is_utf8(sanitize(text)) && sanitize(sanitize(text)) == sanitize(text),
          "what is printable stays so");
  require(truncated(text, 20).size() <= 20 + 3, "what is shown is short");
  require(is_utf8(truncated(text, 20)), "what is shown is UTF-8");
  require(!is_utf8(text) || sanitize(text).size() <= text.size(), "printing adds nothing");
}

}  // namespace

void names(std::string_view input) {
  check_repo(input);
  check_text(input);
  check_free_model(std::string(input));
  if (const auto path = RepoPath::parse(input)) {
    require(path->text() == input, "a path stays as it is");
    check_path(*path);
  } else {
    check_refusal(path, ErrorKind::protocol);
  }
  const auto commit = CommitId::parse(input);
  check_refusal(commit, ErrorKind::protocol);
  const auto digest = Digest::parse(input);
  check_refusal(digest, ErrorKind::protocol);
  require(!digest || is_lower_hex(input, 40) || is_lower_hex(input, 64), "a digest is hex");
  require(commit.has_value() == is_lower_hex(input, 40), "a commit is 40 hex digits");
  const auto revision = Revision::parse(input);
  check_refusal(revision, ErrorKind::usage);
  require(revision.has_value() == RepoPath::parse(input).has_value(),
          "a revision is a path below refs");
  require(!revision || revision->commit().has_value() == commit.has_value(),
          "a revision may be a commit");
}

}  // namespace model_prep::fuzz
