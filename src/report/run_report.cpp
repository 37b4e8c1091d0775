// SPDX-License-Identifier: Apache-2.0
#include "model_prep/report/run_report.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "model_prep/base/enum_names.h"

namespace model_prep {
namespace {

using Json = nlohmann::ordered_json;

double rounded(double value, double steps) { return std::round(value * steps) / steps; }

Json text_or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }

Json error_json(const std::optional<Error>& error) {
  if (!error) return nullptr;
  return {{"kind", to_string(error->kind)},
          {"message", error->message},
          {"hint", text_or_null(error->hint)}};
}

Json file_json(const FileReport& file) {
  Json json = {{"path", file.path}, {"size", file.size}, {"sha256", text_or_null(file.sha256)}};
  if (!file.git_sha1.empty()) json["git_sha1"] = file.git_sha1;
  json["status"] = file.status;
  json["attempts"] = file.attempts;
  json["duration_s"] = rounded(file.duration_s, 1000);
  json["error"] = error_json(file.error);
  return json;
}

Json fault_json(const CacheFault& fault) {
  return {{"kind", to_string(fault.kind)},
          {"path", fault.path},
          {"message", fault.message},
          {"expected", text_or_null(fault.expected)},
          {"found", text_or_null(fault.found)}};
}

Json service_json(const ConsumerReport& service) {
  Json missing = Json::object();
  for (const ConsumerReport::Missing& one : service.missing) missing[one.key] = one.reason;
  return {{"name", service.name},
          {"looks_in", text_or_null(service.looks_in)},
          {"found", service.found},
          {"missing", std::move(missing)},
          {"advice", text_or_null(service.advice)}};
}

template <class Items, class Make>
Json list_json(const Items& items, Make make) {
  Json list = Json::array();
  for (const auto& item : items) list.push_back(make(item));
  return list;
}

Json model_json(const ModelReport& model, bool of_verify) {
  Json json = {
      {"success", model.success()},
      {"status", to_string(model.status)},
      {"repo", model.repo},
      {"revision", model.revision},
      {"commit", text_or_null(model.commit)},
      {"pinned", model.pinned},
      {"ref", model.ref},
      {"variant_requested", model.variant_requested},
      {"variant", model.variant},
      {"snapshot", text_or_null(model.snapshot)},
      {"size_mb", rounded(static_cast<double>(model.bytes) / 1e6, 10)},
      {"bytes_downloaded", model.bytes_downloaded},
      {"bytes_reused", model.bytes_reused},
      {"duration_s", rounded(model.duration_s, 1000)},
      {"error", error_json(model.error)},
  };
  if (!model.include.empty() || !model.exclude.empty()) {
    json["include"] = model.include;
    json["exclude"] = model.exclude;
  }
  json["files"] = list_json(model.files, file_json);
  if (of_verify) json["faults"] = list_json(model.faults, fault_json);
  return json;
}

Json cleaned_json(const PrunedRepository& repository) {
  Json revisions = Json::array();
  for (const PrunedRepository::Revision& revision : repository.revisions)
    revisions.push_back(
        {{"commit", revision.commit}, {"refs", revision.refs}, {"bytes", revision.bytes}});
  return {{"repo", repository.repo},
          {"revisions", std::move(revisions)},
          {"blobs", repository.blobs},
          {"unfinished", repository.unfinished},
          {"bytes", repository.bytes},
          {"kept_because", text_or_null(repository.kept_because)},
          {"error", error_json(repository.error)}};
}

Json totals_json(const RunReport& report) {
  const Totals totals = totals_of(report);
  return {{"models", totals.models},
          {"failed", totals.failed},
          {"files", totals.files},
          {"bytes", totals.bytes},
          {"bytes_downloaded", totals.downloaded},
          {"bytes_reused", totals.reused},
          {"requests", report.requests},
          {"retries", report.retries}};
}

std::string text_of(const Json& json) {
  std::string text = json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  // The same JSON, but on stdout no command to a CI runner, which looks for `##[…]` anywhere in a
  // line.
  for (std::size_t at = 0; (at = text.find("##", at)) != std::string::npos;)
    text.replace(++at, 1, "\\u0023");
  return text;
}

constexpr std::string_view kStatuses[] = {"downloaded", "cached", "planned",    "verified",
                                          "repaired",   "failed", "interrupted"};

constexpr std::string_view kStates[] = {"missing", "partial", "cached", "other revision"};

}  // namespace

std::string_view to_string(ModelStatus status) {
  return name_of<ModelStatus::interrupted>(kStatuses, status);
}

std::string_view to_string(CacheState state) {
  return name_of<CacheState::other_revision>(kStates, state);
}

std::string list_text(const std::vector<ListedModel>& models, const std::string& cache_dir) {
  const auto make = [](const ListedModel& model) {
    return Json{{"key", model.key},
                {"repo", model.repo},
                {"revision", model.revision},
                {"commit", text_or_null(model.commit)},
                {"variant_requested", model.variant_requested},
                {"variant", model.variant},
                {"size", model.size ? Json(*model.size) : Json()},
                {"state", to_string(model.state)},
                {"where", text_or_null(model.where)}};
  };
  return text_of(
      {{"schema_version", 1}, {"cache_dir", cache_dir}, {"models", list_json(models, make)}});
}

Totals totals_of(const RunReport& report) {
  Totals totals;
  for (const ModelReport& model : report.models) {
    totals.models += 1;
    totals.failed += model.success() ? 0 : 1;
    totals.files += static_cast<std::int64_t>(model.files.size());
    totals.bytes += model.bytes;
    totals.downloaded += model.bytes_downloaded;
    totals.reused += model.bytes_reused;
  }
  return totals;
}

bool RunReport::success() const {
  if (error) return false;
  // Models that are complete are not less so if something beside them could not be removed.
  if (models.empty())
    return cleanup &&
           std::none_of(cleanup->begin(), cleanup->end(), [](const PrunedRepository& repository) {
             return repository.error.has_value();
           });
  return std::all_of(models.begin(), models.end(),
                     [](const ModelReport& model) { return model.success(); });
}

int exit_code(const RunReport& report) {
  if (report.success()) return 0;
  return report.signal ? 128 + *report.signal : 1;
}

std::string serialize_summary(const RunReport& report) {
  Json models = Json::object();
  for (const ModelReport& model : report.models)
    models[model.key] = model_json(model, report.services.has_value());
  Json json = {
      {"schema_version", 1},
      {"tool", report.tool},
      {"command", report.command},
      {"timestamp", report.timestamp},
      {"duration_s", rounded(report.duration_s, 1000)},
      {"success", report.success()},
      {"exit_code", exit_code(report)},
      {"dry_run", report.dry_run},
      {"offline", report.offline},
      {"cache_dir", report.cache_dir},
      {"endpoint", report.endpoints.empty() ? "" : report.endpoints.front()},
      {"openvino", report.variant == Variant::openvino_int8},
      {"error", error_json(report.error)},
      {"totals", totals_json(report)},
      {"models", std::move(models)},
  };
  if (report.endpoints.size() > 1) json["endpoints"] = report.endpoints;
  if (report.cleanup) json["cleanup"] = list_json(*report.cleanup, cleaned_json);
  if (report.services) json["services"] = list_json(*report.services, service_json);
  return text_of(json);
}

}  // namespace model_prep
