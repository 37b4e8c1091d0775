// SPDX-License-Identifier: Apache-2.0
#include "model_prep/report/summary_json.h"

#include <cmath>

#include <nlohmann/json.hpp>

#include "model_prep/base/text.h"

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

/// Member by member: an initializer list copies each of them several times, and there may be tens
/// of thousands of files.
Json file_json(const FileReport& file) {
  Json::object_t json;
  json.reserve(9);
  json.emplace_back("path", file.path);
  json.emplace_back("size", file.size);
  json.emplace_back("sha256", text_or_null(file.sha256));
  if (!file.git_sha1.empty()) json.emplace_back("git_sha1", file.git_sha1);
  json.emplace_back("status", to_string(file.status));
  if (!file.source.empty()) json.emplace_back("source", file.source);
  json.emplace_back("attempts", file.attempts);
  json.emplace_back("duration_s", rounded(file.duration_s, 1000));
  json.emplace_back("error", error_json(file.error));
  return Json(std::move(json));
}

Json fault_json(const CacheFault& fault) {
  return {{"kind", to_string(fault.kind)},
          {"path", fault.path},
          {"message", fault.message},
          {"expected", text_or_null(fault.expected)},
          {"found", text_or_null(fault.found)}};
}

Json dependency_json(const Dependency& dependency) {
  return {{"repo", dependency.repo.text()}, {"revision", dependency.revision.text()},
          {"reason", dependency.reason},    {"file", dependency.file.text()},
          {"code", dependency.code},        {"present", dependency.present}};
}

Json consumer_json(const ConsumerReport& consumer) {
  Json missing = Json::object();
  for (const ConsumerReport::Missing& each : consumer.missing) missing[each.key] = each.reason;
  return {{"name", consumer.name},
          {"looks_in", text_or_null(consumer.looks_in)},
          {"found", consumer.found},
          {"missing", std::move(missing)},
          {"advice", text_or_null(consumer.advice)}};
}

Json load_json(const LoadReport& load) {
  return {{"model", load.model},
          {"library", load.verdict.library},
          {"versions", load.verdict.versions},
          {"loads", to_string(load.verdict.loads)},
          {"write", load.verdict.write}};
}

template <class Items, class Make>
Json list_json(const Items& items, Make make) {
  Json list = Json::array();
  for (const auto& item : items) list.push_back(make(item));
  return list;
}

Json scan_json(const std::optional<ScanVerdict>& scan) {
  if (!scan) return {};
  Json findings = Json::object();
  for (const auto& [path, level] : scan->findings) findings[path] = level;
  return {{"complete", scan->complete}, {"findings", std::move(findings)}};
}

Json model_json(const ModelReport& model, bool with_faults) {
  const ModelSpec& spec = model.spec;
  Json json = {
      {"success", model.success()},
      {"status", to_string(model.status)},
      {"repo", spec.repo.text()},
      {"revision", spec.revision.text()},
      {"commit", text_or_null(model.commit)},
      {"pinned", spec.revision.commit().has_value()},
      {"ref", spec.ref},
      {"variant_requested", spec.variant_requested.text()},
      {"variant", spec.variant.text()},
      {"license", model.facts.licenses ? Json(*model.facts.licenses) : Json()},
      {"scan", scan_json(model.facts.scan)},
      {"snapshot", text_or_null(model.snapshot)},
      {"size_mb", rounded(static_cast<double>(model.bytes) / 1e6, 10)},
      {"bytes_downloaded", model.bytes_downloaded},
      {"bytes_reused", model.bytes_reused},
      {"duration_s", rounded(model.duration_s, 1000)},
      {"error", error_json(model.error)},
  };
  if (spec.filter.from_command_line) {
    json["include"] = spec.filter.include;
    json["exclude"] = spec.filter.exclude;
  }
  if (model.signed_by) json["signed_by"] = model.signed_by->key.hex();
  json["files"] = list_json(model.files, file_json);
  json["dependencies"] = list_json(model.dependencies, dependency_json);
  if (with_faults) json["faults"] = list_json(model.faults, fault_json);
  return json;
}

Json revision_json(const SnapshotRemoval& revision) {
  return {{"commit", revision.commit.hex()}, {"refs", revision.refs}, {"bytes", revision.bytes}};
}

Json pruned_json(const PrunedRepository& repository) {
  const PrunePlan& removed = repository.removed;
  return {{"repo", repository.repo},
          {"revisions", list_json(removed.revisions, revision_json)},
          {"blobs", removed.blobs.size()},
          {"unfinished", removed.leftovers.size()},
          {"bytes", repository.bytes},
          {"kept_because", text_or_null(removed.kept_because)},
          {"error", error_json(repository.error)}};
}

Json export_json(const ExportReport& exported) {
  const auto make_layer = [](const OciBlob& layer) {
    return Json{{"digest", oci_digest(layer.digest)}, {"size", layer.size}};
  };
  return {{"to", exported.to},
          {"digest", text_or_null(exported.digest)},
          {"layers", list_json(exported.layers, make_layer)},
          {"folders", exported.folders}};
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
  return escape_for_log(json.dump(2, ' ', false, Json::error_handler_t::replace)) + "\n";
}

}  // namespace

std::string serialize_summary(const RunReport& report) {
  Json models = Json::object();
  for (const ModelReport& model : report.models)
    models[model.spec.key] = model_json(model, report.services.has_value());
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
      {"openvino",
       report.variant.build == Build::openvino || report.variant.build == Build::openvino_int8},
      {"error", error_json(report.error)},
      {"totals", totals_json(report)},
      {"models", std::move(models)},
  };
  if (report.endpoints.size() > 1) json["endpoints"] = report.endpoints;
  if (report.cleanup) json["cleanup"] = list_json(*report.cleanup, pruned_json);
  if (report.exported) json["export"] = export_json(*report.exported);
  if (report.services) {
    json["services"] = list_json(*report.services, consumer_json);
    json["loads"] = list_json(report.loads, load_json);
  }
  return text_of(json);
}

std::string list_text(const std::vector<ListedModel>& models, const std::string& cache_dir) {
  const auto make = [](const ListedModel& model) {
    const ModelSpec& spec = model.spec;
    return Json{{"key", spec.key},
                {"repo", spec.repo.text()},
                {"revision", spec.revision.text()},
                {"commit", text_or_null(model.commit)},
                {"variant_requested", spec.variant_requested.text()},
                {"variant", spec.variant.text()},
                {"size", spec.size ? Json(*spec.size) : Json()},
                {"state", to_string(model.state)},
                {"where", text_or_null(model.where)}};
  };
  return text_of(
      {{"schema_version", 1}, {"cache_dir", cache_dir}, {"models", list_json(models, make)}});
}

std::string builds_text(const std::vector<ModelBuilds>& models) {
  const auto make_build = [](const AvailableBuild& build) {
    return Json{{"build", build.variant.text()}, {"size", build.size}, {"files", build.files}};
  };
  const auto make = [&](const ModelBuilds& model) {
    return Json{{"key", model.spec.key},
                {"repo", model.spec.repo.text()},
                {"revision", model.spec.revision.text()},
                {"commit", model.commit},
                {"builds", list_json(model.builds, make_build)}};
  };
  return text_of({{"schema_version", 1}, {"models", list_json(models, make)}});
}

}  // namespace model_prep
