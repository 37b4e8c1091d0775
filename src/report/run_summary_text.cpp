// SPDX-License-Identifier: Apache-2.0
#include "model_prep/report/run_summary_text.h"

#include <algorithm>

#include <fmt/ranges.h>

#include "model_prep/base/text.h"

namespace model_prep {
namespace {

constexpr std::size_t kMaxTerminationMessage = 4096;  // bytes; Kubernetes cuts the rest off
constexpr std::size_t kMaxNamesShown = 12;            // in a line; the summary has all of them

struct ReportedError {
  std::string object;  ///< the key of a model, or what was cleaned up; empty: the whole run
  Error error;
};

/// The run's error first: it is the cause of the others.
std::vector<ReportedError> errors_of(const RunReport& report) {
  std::vector<ReportedError> errors;
  if (report.error) errors.push_back({{}, *report.error});
  for (const ModelReport& model : report.models)
    if (model.error && model.error != report.error)
      errors.push_back({model.spec.key, *model.error});
  if (!report.cleanup) return errors;

  for (const PrunedRepository& repository : *report.cleanup)
    if (repository.error) errors.push_back({repository.repo, *repository.error});
  return errors;
}

/// Literal text in Markdown. Every character that starts something in GitHub's dialect is escaped;
/// the dot and the colon because GitHub turns bare URLs into links.
std::string markdown(std::string_view text) {
  constexpr std::string_view kSpecial = "\\`*_~[]<>&|#!$@:.{}";
  std::string result;
  for (const char c : sanitize(text)) {
    if (kSpecial.find(c) != std::string_view::npos) result += '\\';
    result += c;
  }
  return result;
}

std::string size_cell(Bytes bytes) { return bytes > 0 ? markdown(format_bytes(bytes)) : "-"; }

std::string table_row(const ModelReport& model) {
  const ModelSpec& spec = model.spec;
  std::string variant = selected_by(spec);
  if (!spec.filter.from_command_line && spec.variant != spec.variant_requested)
    variant.append(", no ").append(spec.variant_requested.text());
  const std::string commit = model.commit.empty() ? "-" : model.commit.substr(0, 12);
  return fmt::format("| {} | {} | {} | {} | {} | {} | {} |\n", markdown(spec.key),
                     markdown(spec.repo.text()), commit, markdown(variant), size_cell(model.bytes),
                     to_string(model.status), size_cell(model.bytes_downloaded));
}

/// Escaped as GitHub Actions reads the message of a command.
std::string command_data(std::string_view text) {
  std::string result;
  for (const char c : sanitize_for_log(text)) result += c == '%' ? "%25" : std::string(1, c);
  return result;
}

/// In a property's value, `:` and `,` would end it.
std::string command_property(std::string_view text) {
  std::string result;
  for (const char c : command_data(text))
    result += c == ':' ? "%3A" : c == ',' ? "%2C" : std::string(1, c);
  return result;
}

/// The models that are ready, or those that are not, each with `describe`; empty if there are none.
template <class Describe>
std::string list_models(const RunReport& report, bool ready, Describe describe) {
  Strings names;
  for (const ModelReport& model : report.models)
    if (model.success() == ready) names.push_back(describe(model));

  const std::size_t hidden = names.size() - std::min(names.size(), kMaxNamesShown);
  names.resize(names.size() - hidden);
  std::string text = fmt::format("{}", fmt::join(names, ", "));
  if (hidden > 0) text += fmt::format(" and {} more", hidden);
  return text;
}

std::string describe_ready(const ModelReport& model) {
  // A service that asks for the default revision would not find this one.
  const std::string ref = model.spec.ref == "main" ? "" : ", revision " + model.spec.ref;
  return fmt::format("{} ({}, {}{})", model.spec.key, selected_by(model.spec),
                     model.commit.substr(0, 12), ref);
}

std::string describe_failed(const ModelReport& model) {
  return fmt::format("{} ({})", model.spec.key,
                     model.error ? to_string(model.error->kind) : "failed");
}

std::string cleanup_text(const RunReport& report) {
  std::size_t revisions = 0;
  Bytes bytes = 0;
  for (const PrunedRepository& repository : *report.cleanup) {
    revisions += repository.removed.revisions.size();
    bytes += repository.bytes;
  }
  return fmt::format("{} {}, {} in all", report.dry_run ? "would remove" : "removed",
                     format_count(revisions, "old revision"), format_bytes(bytes));
}

}  // namespace

std::string result_line(const RunReport& report) {
  if (report.cleanup && report.models.empty()) return cleanup_text(report);

  const Totals totals = totals_of(report);
  const bool is_export = report.command == "export";
  const char* success = report.dry_run        ? "planned"
                        : is_export           ? "exported"
                        : report.bytes_hashed ? "verified"
                                              : "ready";
  std::string line = fmt::format("{} of {} {}", totals.models - totals.failed,
                                 format_count(totals.models, "model"), success);
  if (report.bytes_hashed) line += fmt::format(", {} hashed", format_bytes(*report.bytes_hashed));
  if (is_export) return line + fmt::format(", {:.1f} s", report.duration_s);

  line += totals.downloaded > 0 ? fmt::format(", {} downloaded", format_bytes(totals.downloaded))
                                : ", nothing downloaded";
  if (report.cleanup) line += ", " + cleanup_text(report);
  line += ", " + format_count(report.requests, "request");
  if (report.retries > 0) line += ", " + format_retries(report.retries);
  return line + fmt::format(", {:.1f} s", report.duration_s);
}

std::vector<SummaryLine> closing_lines(const RunReport& report, const RunContext& context) {
  // A usage error has been logged already, and so has the table of a dry run.
  if (report.models.empty() && !report.cleanup) return {};
  if (report.dry_run && report.success()) return {};

  std::vector<SummaryLine> lines;
  const auto add = [&](std::string text) { lines.push_back({false, std::move(text)}); };
  if (report.command == "download" && !report.dry_run && !report.signal) {
    if (const auto ready = list_models(report, true, describe_ready); !ready.empty())
      add("ready: " + ready);
    if (const auto failed = list_models(report, false, describe_failed); !failed.empty())
      lines.push_back({true, "not ready: " + failed});

    if (report.success()) {
      const Totals totals = totals_of(report);
      const std::string free =
          context.free ? fmt::format("; {} free", format_bytes(*context.free)) : "";
      add(fmt::format("cache: {}, {} in {}{}", report.cache_dir, format_bytes(totals.bytes),
                      format_count(totals.files, "file"), free));
      add("services need: " + services_environment(report.cache_dir));
    }
    if (!context.summary.empty()) add("summary: " + context.summary);
  }
  lines.push_back({!report.success(), result_line(report)});
  return lines;
}

std::string services_environment(const std::string& cache_dir) {
  // HF_HOME is the variable that every library reads; it cannot name a cache that is not `hub`.
  const bool in_home = cache_dir.ends_with("/hub") && cache_dir != "/hub";
  std::string path = in_home ? cache_dir.substr(0, cache_dir.rfind('/')) : cache_dir;

  const std::string plain = fmt::format("{}/.-+:@%,", kWordCharacters);
  const auto is_plain = [&](char c) {
    return plain.find(c) != std::string::npos || static_cast<unsigned char>(c) >= 0x80;
  };
  if (!std::ranges::all_of(path, is_plain)) {
    std::string quoted;
    for (const char c : path) quoted += c == '\'' ? "'\\''" : std::string(1, c);
    path = "'" + quoted + "'";
  }
  return fmt::format("{}={} HF_HUB_OFFLINE=1", in_home ? "HF_HOME" : "HF_HUB_CACHE", path);
}

std::string step_summary(const RunReport& report) {
  std::string text =
      fmt::format("\n### model-prep {}\n\n", report.success() ? "succeeded" : "failed");
  if (!report.models.empty()) {
    text += "| model | repository | commit | variant | size | status | downloaded |\n";
    text += "|---|---|---|---|---:|---|---:|\n";
    for (const ModelReport& model : report.models) text += table_row(model);
    text += "\n";
  }
  if (!report.models.empty() || report.cleanup) text += markdown(result_line(report)) + "\n\n";

  for (const ReportedError& reported : errors_of(report)) {
    text += "- ";
    if (!reported.object.empty()) text += fmt::format("**{}**: ", markdown(reported.object));
    text += markdown(reported.error.message);
    if (!reported.error.hint.empty()) text += "<br>hint: " + markdown(reported.error.hint);
    text += "\n";
  }
  return text;
}

Strings annotations(const RunReport& report) {
  Strings lines;
  for (const ReportedError& reported : errors_of(report)) {
    const std::string title =
        reported.object.empty() ? "model-prep" : "model-prep: " + reported.object;
    std::string message = command_data(reported.error.message);
    if (!reported.error.hint.empty()) message += "%0Ahint: " + command_data(reported.error.hint);
    lines.push_back(fmt::format("::error title={}::{}", command_property(title), message));
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

  constexpr std::size_t kEllipsis = std::string_view("…").size();
  return truncated(line, kMaxTerminationMessage - kEllipsis);
}

}  // namespace model_prep
