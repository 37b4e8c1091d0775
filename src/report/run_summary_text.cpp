// SPDX-License-Identifier: Apache-2.0
#include "model_prep/report/run_summary_text.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "model_prep/base/text.h"

namespace model_prep {
namespace {

constexpr std::size_t kKubernetesKeeps = 4096;
constexpr std::size_t kMostNames = 12;  // in a line; all of them are in the summary

struct ReportedError {
  std::string who;  ///< a model's key; empty: the whole run
  Error error;
};

/// The run's error first: it is why the others are there.
std::vector<ReportedError> errors_of(const RunReport& report) {
  std::vector<ReportedError> errors;
  if (report.error) errors.push_back({{}, *report.error});
  for (const ModelReport& model : report.models)
    if (model.error && model.error != report.error) errors.push_back({model.key, *model.error});
  return errors;
}

/// Literal text in Markdown. Every mark that begins something in GitHub's dialect is escaped, the
/// dot and the colon for its links out of bare addresses.
std::string markdown(std::string_view text) {
  constexpr std::string_view kMarks = "\\`*_~[]<>&|#!$@:.{}";
  std::string result;
  for (const char c : sanitize(text)) {
    if (kMarks.find(c) != std::string_view::npos) result += '\\';
    result += c;
  }
  return result;
}

std::string size_cell(std::int64_t bytes) {
  return bytes > 0 ? markdown(format_bytes(bytes)) : "-";
}

std::string chosen_by(const ModelReport& model) {
  return model.include.empty() && model.exclude.empty() ? model.variant : "patterns";
}

std::string row(const ModelReport& model) {
  std::string variant = chosen_by(model);
  if (variant == model.variant && model.variant != model.variant_requested)
    variant += ", no " + model.variant_requested;
  const std::string commit = model.commit.empty() ? "-" : model.commit.substr(0, 12);
  return fmt::format("| {} | {} | {} | {} | {} | {} | {} |\n", markdown(model.key),
                     markdown(model.repo), commit, markdown(variant), size_cell(model.bytes),
                     to_string(model.status), size_cell(model.bytes_downloaded));
}

/// GitHub's escapes for what a command says; a property's value must not end there either.
std::string command_data(std::string_view text) {
  std::string result;
  for (const char c : sanitize_for_log(text)) result += c == '%' ? "%25" : std::string(1, c);
  return result;
}

std::string command_property(std::string_view text) {
  std::string result;
  for (const char c : command_data(text))
    result += c == ':' ? "%3A" : c == ',' ? "%2C" : std::string(1, c);
  return result;
}

/// The models that are ready, or that are not, each as `words` says; the rest of a long list is
/// counted.
template <class Words>
std::string listed(const RunReport& report, bool ready, Words words) {
  std::vector<std::string> names;
  std::size_t more = 0;
  for (const ModelReport& model : report.models) {
    if (model.success() != ready) continue;
    if (names.size() < kMostNames)
      names.push_back(words(model));
    else
      ++more;
  }
  std::string text = fmt::format("{}", fmt::join(names, ", "));
  if (more > 0) text += fmt::format(" and {} more", more);
  return text;
}

std::string cleanup_words(const std::vector<PrunedRepository>& repositories) {
  std::size_t revisions = 0;
  std::int64_t bytes = 0;
  for (const PrunedRepository& repository : repositories) {
    revisions += repository.revisions.size();
    bytes += repository.bytes;
  }
  return fmt::format("{} old revision{} and {} removed", revisions, revisions == 1 ? "" : "s",
                     format_bytes(bytes));
}

}  // namespace

std::string result_line(const RunReport& report) {
  const Totals totals = totals_of(report);
  const std::string fetched =
      totals.downloaded > 0 ? format_bytes(totals.downloaded) + " fetched" : "nothing fetched";
  const std::string hashed =
      report.bytes_hashed ? format_bytes(*report.bytes_hashed) + " hashed, " : "";
  const char* good = report.dry_run ? "planned" : report.bytes_hashed ? "verified" : "ready";
  const std::string removed = report.cleanup ? ", " + cleanup_words(*report.cleanup) : "";
  if (report.cleanup && report.models.empty()) return cleanup_words(*report.cleanup);
  const std::string retries = report.retries > 0 ? ", " + format_retries(report.retries) : "";
  return fmt::format("{} of {} models {}, {}{}{}, {} requests{}, {:.1f} s",
                     totals.models - totals.failed, totals.models, good, hashed, fetched, removed,
                     report.requests, retries, report.duration_s);
}

std::vector<SummaryLine> closing_lines(const RunReport& report, const RunContext& around) {
  if (report.models.empty() && !report.cleanup) return {};
  if (report.dry_run && report.success()) return {};
  std::vector<SummaryLine> lines;
  const auto say = [&](std::string text) { lines.push_back({false, std::move(text)}); };
  if (report.command == "download" && !report.dry_run && !report.signal) {
    const auto name_of = [](const ModelReport& model) {
      const std::string ref =
          model.ref.empty() || model.ref == "main" ? "" : ", revision " + model.ref;
      return fmt::format("{} ({}, {}{})", model.key, chosen_by(model), model.commit.substr(0, 12),
                         ref);
    };
    const auto fault_of = [](const ModelReport& model) {
      return fmt::format("{} ({})", model.key,
                         model.error ? to_string(model.error->kind) : "failed");
    };
    const Totals totals = totals_of(report);
    if (const auto ready = listed(report, true, name_of); !ready.empty()) say("ready: " + ready);
    if (const auto failed = listed(report, false, fault_of); !failed.empty())
      lines.push_back({true, "not ready: " + failed});
    if (report.success()) {
      const std::string free =
          around.free ? fmt::format("; {} free", format_bytes(*around.free)) : "";
      say(fmt::format("cache: {}, {} in {} files{}", report.cache_dir, format_bytes(totals.bytes),
                      totals.files, free));
      say("services need: " + services_environment(report.cache_dir));
    }
    if (!around.summary.empty()) say("summary: " + around.summary);
  }
  lines.push_back({!report.success(), result_line(report)});
  return lines;
}

std::string services_environment(const std::string& cache_dir) {
  constexpr std::string_view kHub = "/hub";
  const bool of_home = cache_dir.ends_with(kHub) && cache_dir.size() > kHub.size();
  std::string folder = of_home ? cache_dir.substr(0, cache_dir.size() - kHub.size()) : cache_dir;
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("/._-+:@%,").find(c) != std::string_view::npos ||
           static_cast<unsigned char>(c) >= 0x80;
  };
  if (!std::all_of(folder.begin(), folder.end(), plain)) {
    std::string quoted;
    for (const char c : folder) quoted += c == '\'' ? "'\\''" : std::string(1, c);
    folder = "'" + quoted + "'";
  }
  return fmt::format("{}={} HF_HUB_OFFLINE=1", of_home ? "HF_HOME" : "HF_HUB_CACHE", folder);
}

std::string step_summary(const RunReport& report) {
  std::string text =
      fmt::format("\n### model-prep {}\n\n", report.success() ? "succeeded" : "failed");
  if (!report.models.empty()) {
    text += "| model | repository | commit | variant | size | status | fetched |\n";
    text += "|---|---|---|---|---:|---|---:|\n";
    for (const ModelReport& model : report.models) text += row(model);
    text += "\n" + markdown(result_line(report)) + "\n\n";
  }
  for (const ReportedError& told : errors_of(report)) {
    text += "- ";
    if (!told.who.empty()) text += fmt::format("**{}**: ", markdown(told.who));
    text += markdown(told.error.message);
    if (!told.error.hint.empty()) text += "<br>hint: " + markdown(told.error.hint);
    text += "\n";
  }
  return text;
}

std::vector<std::string> annotations(const RunReport& report) {
  std::vector<std::string> lines;
  for (const ReportedError& told : errors_of(report)) {
    const std::string title = told.who.empty() ? "model-prep" : "model-prep: " + told.who;
    std::string said = command_data(told.error.message);
    if (!told.error.hint.empty()) said += "%0Ahint: " + command_data(told.error.hint);
    lines.push_back(fmt::format("::error title={}::{}", command_property(title), said));
  }
  return lines;
}

std::string termination_message(const RunReport& report) {
  std::string line = report.models.empty() && !report.cleanup ? "failed" : result_line(report);
  if (const auto errors = errors_of(report); !errors.empty()) {
    const Error& first = errors.front().error;
    line += ": " + first.message;
    if (!first.hint.empty()) line += " (hint: " + first.hint + ")";
  }
  constexpr std::size_t kMark = std::string_view("…").size();
  return truncated(line, kKubernetesKeeps - kMark - 1) + "\n";
}

}  // namespace model_prep
