// SPDX-License-Identifier: Apache-2.0
// Comments and pages cite only what is in the repository.
//
// A citation is a path that ends in `.md`, from the repository's root or from the citing file's
// folder, with a numbered section or without: `docs/developing/hub-protocol.md, section 1.3`. The
// section is the number at the beginning of a heading of that page. A comment may break a citation
// across lines.
#include <algorithm>
#include <cctype>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "repository.h"
#include "support/catch.h"

namespace {

namespace fs = std::filesystem;
using model_prep::testing::kRoot;
using model_prep::testing::read_text;
using Lines = std::vector<std::string>;

Lines lines_of(const std::string& text) {
  Lines lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

std::string without_indent(const std::string& line) {
  return line.substr(std::min(line.find_first_not_of(" \t"), line.size()));
}

bool is_digit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }
bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// ---- comments ----

/// Where the string or character literal that begins at `at` ends.
std::size_t end_of_literal(const std::string& text, std::size_t at) {
  const bool raw = text[at] == '"' && at > 0 && text[at - 1] == 'R';
  if (raw) {
    const std::size_t open = text.find('(', at);
    const std::string close = ")" + text.substr(at + 1, open - at - 1) + "\"";
    return std::min(text.find(close, open), text.size() - close.size()) + close.size();
  }

  std::size_t end = at + 1;
  while (end < text.size() && text[end] != text[at]) end += text[end] == '\\' ? 2U : 1U;
  return end + 1;
}

/// The text of all `//` and `/* */` comments. Those on consecutive lines are joined into one line.
std::string comments_of_cpp(const std::string& text) {
  std::string comments;
  for (std::size_t at = 0; at < text.size();) {
    const bool separator = text[at] == '\'' && at > 0 && is_word(text[at - 1]);  // 1'000
    if ((text[at] == '"' || text[at] == '\'') && !separator) {
      at = end_of_literal(text, at);
      comments += '\n';
    } else if (text.compare(at, 2, "//") == 0) {
      const std::size_t begin = text.find_first_not_of("/<", at);
      const std::size_t end = std::min(text.find('\n', at), text.size());
      if (begin < end) comments += text.substr(begin, end - begin);
      comments += ' ';
      at = end;
    } else if (text.compare(at, 2, "/*") == 0) {
      const std::size_t end = std::min(text.find("*/", at), text.size());
      comments += text.substr(at + 2, end - at - 2) + ' ';
      at = end + 2;
    } else {
      if (!std::isspace(static_cast<unsigned char>(text[at]))) comments += '\n';
      ++at;
    }
  }
  return comments;
}

/// The same for comments that begin with `#` (shell, Python, YAML, CMake) and Python's docstrings.
std::string comments_of_script(const std::string& text) {
  std::string comments;
  bool docstring = false;
  for (const std::string& line : lines_of(text)) {
    const std::string marks = "\"\"\"";
    const std::size_t open = line.find(marks);
    const bool closes_too =
        open != std::string::npos && line.find(marks, open + 3) != std::string::npos;
    const bool was_in_docstring = docstring;
    if (open != std::string::npos && !closes_too) docstring = !docstring;

    std::size_t hash = line.find('#');
    while (hash != std::string::npos && hash > 0 && line[hash - 1] != ' ')
      hash = line.find('#', hash + 1);

    if (was_in_docstring || open != std::string::npos)
      comments += without_indent(line) + ' ';
    else if (hash != std::string::npos)
      comments += line.substr(hash + 1) + ' ';
    else
      comments += '\n';
  }
  return comments;
}

// ---- citations ----

struct Citation {
  std::string page;
  std::string section{};  ///< `1.3`; empty: the page as a whole
  bool malformed{false};  ///< it names a section in other words than `, section 1.3`
};

/// `text` from `at` on begins with `words`, with any blanks between them.
bool reads(const std::string& text, std::size_t at, const std::string& words, std::size_t& end) {
  for (const char c : words) {
    if (c != ' ') {
      if (at >= text.size() || text[at++] != c) return false;
      continue;
    }
    const std::size_t next = text.find_first_not_of(" \t", at);
    if (next == at || next == std::string::npos) return false;
    at = next;
  }
  end = at;
  return true;
}

/// `1.3` at `at`, without the full stop of the sentence; empty if a word begins there
/// (`1_Pooling`).
std::string number_at(const std::string& text, std::size_t at) {
  std::size_t end = at;
  while (end < text.size() && (is_digit(text[end]) || text[end] == '.')) ++end;
  if (end < text.size() && is_word(text[end])) return {};
  while (end > at && text[end - 1] == '.') --end;
  return text.substr(at, end - at);
}

std::vector<Citation> citations_in(const std::string& text) {
  std::vector<Citation> found;
  for (std::size_t at = text.find(".md"); at != std::string::npos; at = text.find(".md", at + 3)) {
    const std::size_t after = at + 3;
    if (after < text.size() && (is_word(text[after]) || text[after] == '.') &&
        !(text[after] == '.' && (after + 1 == text.size() || !is_word(text[after + 1]))))
      continue;  // `.mdx`, `.md.in`

    std::size_t begin = at;
    while (begin > 0 && (is_word(text[begin - 1]) ||
                         std::string("-./:$").find(text[begin - 1]) != std::string::npos))
      --begin;
    Citation citation{text.substr(begin, after - begin)};
    const bool is_name = citation.page != ".md" && citation.page.find("//") == std::string::npos &&
                         citation.page.find('$') == std::string::npos;
    if (!is_name) continue;

    std::size_t number = 0;
    if (reads(text, after, ", section ", number)) citation.section = number_at(text, number);
    const bool names_a_section =
        reads(text, after, ", section", number) || reads(text, after, " section", number) ||
        (reads(text, after, " ", number) && !number_at(text, number).empty()) ||
        (reads(text, after, ", ", number) && !number_at(text, number).empty());
    citation.malformed = names_a_section && citation.section.empty();
    found.push_back(citation);
  }
  return found;
}

// ---- pages ----

/// The lines of a page that are no code block.
Lines prose_of(const std::string& page) {
  Lines prose;
  bool code = false;
  for (const std::string& line : lines_of(page)) {
    const bool fence = without_indent(line).starts_with("```");
    if (fence) code = !code;
    if (!fence && !code) prose.push_back(line);
  }
  return prose;
}

std::vector<std::string> headings_of(const std::string& page) {
  std::vector<std::string> headings;
  for (const std::string& line : prose_of(page)) {
    const std::size_t text = line.find_first_not_of('#');
    if (text != 0 && text != std::string::npos && line[text] == ' ')
      headings.push_back(line.substr(text + 1));
  }
  return headings;
}

bool has_section(const std::string& page, const std::string& section) {
  const auto headings = headings_of(page);
  return std::any_of(headings.begin(), headings.end(),
                     [&](const std::string& heading) { return number_at(heading, 0) == section; });
}

/// The anchor that GitHub gives a heading: lower case, `-` for blanks, no punctuation.
std::string anchor_of(const std::string& heading) {
  std::string anchor;
  for (const char c : heading) {
    if (c == ' ')
      anchor += '-';
    else if (is_word(c) || c == '-' || static_cast<unsigned char>(c) >= 0x80)
      anchor += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return anchor;
}

bool has_anchor(const std::string& page, const std::string& anchor) {
  const auto headings = headings_of(page);
  return std::any_of(headings.begin(), headings.end(),
                     [&](const std::string& heading) { return anchor_of(heading) == anchor; });
}

std::string without_inline_code(const std::string& line) {
  std::string text;
  bool code = false;
  for (const char c : line) {
    if (c == '`') code = !code;
    if (!code) text += c;
  }
  return text;
}

/// The targets of links `[words](target)`, except URLs.
std::vector<std::string> relative_links_in(const std::string& page) {
  std::string text;
  for (const std::string& line : prose_of(page)) text += without_inline_code(line) + ' ';

  std::vector<std::string> targets;
  for (std::size_t at = text.find("]("); at != std::string::npos; at = text.find("](", at + 2)) {
    const std::size_t end = text.find_first_of(") ", at + 2);
    std::string target = text.substr(at + 2, end - at - 2);
    if (target.find("://") == std::string::npos && !target.starts_with("mailto:"))
      targets.push_back(std::move(target));
  }
  return targets;
}

/// Why this link leads nowhere; empty if it leads somewhere.
std::string fault_of_link(const std::string& target, const fs::path& page) {
  const std::size_t hash = target.find('#');
  const std::string path = target.substr(0, hash);
  const fs::path file = path.empty() ? page : page.parent_path() / path;
  if (!fs::exists(file)) return "there is no " + file.lexically_normal().string();

  const bool has_heading =
      hash == std::string::npos || has_anchor(read_text(file), target.substr(hash + 1));
  return has_heading ? "" : "no heading there has the anchor " + target.substr(hash + 1);
}

/// Why this citation leads nowhere; empty if it leads somewhere.
std::string fault_of_citation(const Citation& citation, const fs::path& in) {
  if (citation.malformed) return "write it as `" + citation.page + ", section 1.3`";

  for (const fs::path& folder : {kRoot, in.parent_path()}) {
    const fs::path page = folder / citation.page;
    if (!fs::is_regular_file(page)) continue;
    const bool found = citation.section.empty() || has_section(read_text(page), citation.section);
    return found ? "" : citation.page + " has no section " + citation.section;
  }
  return "there is no page " + citation.page;
}

// ---- the tree ----

std::vector<fs::path> files_below(const Lines& folders) {
  std::vector<fs::path> files;
  for (const std::string& folder : folders) {
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(kRoot / folder)) {
      const bool corpus = entry.path().string().find("/corpus/") != std::string::npos;
      if (entry.is_regular_file() && !corpus) files.push_back(entry.path());
    }
  }
  return files;
}

std::vector<fs::path> pages() {
  std::vector<fs::path> found;
  for (const fs::directory_entry& entry : fs::directory_iterator(kRoot))
    if (entry.path().extension() == ".md") found.push_back(entry.path());
  for (const fs::path& file : files_below({"docs", "docker", "tests"}))
    if (file.extension() == ".md") found.push_back(file);
  return found;
}

std::string comments_in(const fs::path& file) {
  const std::set<std::string> cpp = {".h", ".cpp", ".in"};
  const std::set<std::string> without_comments = {".md", ".json", ".svg", ".dict", ".pyc"};
  const std::string extension = file.extension();
  if (without_comments.contains(extension)) return {};
  return cpp.contains(extension) ? comments_of_cpp(read_text(file))
                                 : comments_of_script(read_text(file));
}

Lines written(const std::vector<Citation>& citations) {
  Lines lines;
  for (const Citation& citation : citations)
    lines.push_back(citation.page + "|" + citation.section +
                    (citation.malformed ? "|malformed" : ""));
  return lines;
}

}  // namespace

TEST_CASE("every page and section that a comment cites exists") {
  std::size_t citations = 0;
  for (const fs::path& file : files_below({"src", "include", "tests", "docker"})) {
    for (const Citation& citation : citations_in(comments_in(file))) {
      ++citations;
      CAPTURE(file, citation.page, citation.section);
      CHECK(fault_of_citation(citation, file) == "");
    }
  }
  CHECK(citations > 20);
}

TEST_CASE("every section that a page cites exists") {
  for (const fs::path& page : pages()) {
    std::string text;
    for (const std::string& line : prose_of(read_text(page))) text += without_indent(line) + ' ';
    for (const Citation& citation : citations_in(text)) {
      if (citation.section.empty()) continue;
      CAPTURE(page, citation.page, citation.section);
      CHECK(fault_of_citation(citation, page) == "");
    }
  }
}

TEST_CASE("every relative link of a page leads to a file and a heading that exist") {
  std::size_t links = 0;
  for (const fs::path& page : pages()) {
    for (const std::string& target : relative_links_in(read_text(page))) {
      ++links;
      CAPTURE(page, target);
      CHECK(fault_of_link(target, page) == "");
    }
  }
  CHECK(links > 10);
}

TEST_CASE("a citation is a page with a section or without, on one line or on two") {
  CHECK(written(citations_in("see docs/deploy.md, section 1.3.")) == Lines{"docs/deploy.md|1.3"});
  CHECK(written(citations_in("(docs/deploy.md, section 12)")) == Lines{"docs/deploy.md|12"});
  CHECK(written(citations_in("as `../README.md` says. More.")) == Lines{"../README.md|"});
  CHECK(written(citations_in("ends with README.md.")) == Lines{"README.md|"});
  CHECK(written(citations_in("README.md, 1_Pooling/config.json")) == Lines{"README.md|"});
  CHECK(written(citations_in("https://example.org/d.md, e.mdx, $README.md, .md")).empty());
  CHECK(written(citations_in(comments_of_cpp("/// SECURITY.md, section\n/// 2.1 is long\n"))) ==
        Lines{"SECURITY.md|2.1"});
  CHECK(written(citations_in(comments_of_cpp(
            "int a;  ///< SECURITY.md, section\n        ///< 2.1\n"))) == Lines{"SECURITY.md|2.1"});
  CHECK(written(citations_in(comments_of_script("# SECURITY.md, section\n# 2.1\n"))) ==
        Lines{"SECURITY.md|2.1"});
}

TEST_CASE("a section cited in another form is an error") {
  for (const char* words : {"SECURITY.md 1.3", "SECURITY.md section 1.3",
                            "SECURITY.md, sections 1 and 2", "SECURITY.md, 1.3"}) {
    CAPTURE(words);
    CHECK(written(citations_in(words)) == Lines{"SECURITY.md||malformed"});
  }
}

TEST_CASE("only comments are read") {
  CHECK(citations_in(comments_of_cpp(R"cpp(f("README.md // SECURITY.md", 'a', 1'000,
                                             R"(// "CHANGELOG.md)");)cpp"))
            .empty());
  CHECK(citations_in(comments_of_script("cp README.md ${a#README.md}\n")).empty());
  CHECK(written(citations_in(comments_of_script("def f():\n    \"\"\"See README.md.\"\"\"\n"))) ==
        Lines{"README.md|"});
}

TEST_CASE("a link may lead to a heading") {
  const std::string page =
      "# Top\n\n```text\n# not a heading\n```\n\n## 1.2 What `it` is, and why\n";
  CHECK(has_anchor(page, "12-what-it-is-and-why"));
  CHECK_FALSE(has_anchor(page, "not-a-heading"));
  CHECK(has_section(page, "1.2"));
  CHECK_FALSE(has_section(page, "1"));
  CHECK(relative_links_in("[a](README.md#c), `[no](x)`, [d](https://e), ![f](g.svg)") ==
        Lines{"README.md#c", "g.svg"});
}
