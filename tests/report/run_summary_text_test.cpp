// SPDX-License-Identifier: Apache-2.0
// The texts about a run, and that quoted text cannot break out of them.
#include "model_prep/report/run_summary_text.h"

#include "core/builders.h"
#include "model_prep/base/text.h"
#include "support/catch.h"

using namespace model_prep;

namespace {

ModelReport complete_model() {
  ModelReport model{
      .spec = testing::spec("all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2")};
  model.spec.variant_requested = model.spec.variant = Build::openvino_int8;
  model.status = ModelStatus::downloaded;
  model.commit = "fa97f6e7cb1a59073dff9e6b13e2715cf7475ac9";
  model.bytes = 90'868'988;
  model.bytes_downloaded = 45'434'000;
  return model;
}

ModelReport failed_model(const std::string& key, const std::string& message,
                         const std::string& hint = {}) {
  ModelReport model{.spec = testing::spec(key, "org/name")};
  model.spec.variant_requested = Build::openvino_int8;
  model.error = Error{ErrorKind::gated, message, hint};
  return model;
}

RunReport run_of(std::vector<ModelReport> models) {
  RunReport report;
  report.requests = 61;
  report.duration_s = 12.345;
  report.models = std::move(models);
  return report;
}

/// Models that were not started have the run's error too.
RunReport stopped() {
  RunReport report =
      run_of({complete_model(), failed_model("late", {}), failed_model("later", {})});
  report.error = Error{ErrorKind::interrupted, "stopped by SIGTERM", "run it again"};
  report.models[1].error = report.models[2].error = report.error;
  return report;
}

RunReport refused(const std::string& message, const std::string& hint = {}) {
  RunReport report;
  report.error = Error{ErrorKind::usage, message, hint};
  return report;
}

constexpr const char* kSummary = R"(
### model-prep failed

| model | repository | commit | variant | size | status | downloaded |
|---|---|---|---|---:|---|---:|
| all-MiniLM-L6-v2 | sentence-transformers/all-MiniLM-L6-v2 | fa97f6e7cb1a | openvino-int8 | 90\.9 MB | downloaded | 45\.4 MB |
| mine | org/name | - | fp32, no openvino-int8 | - | failed | - |

1 of 2 models ready, 45\.4 MB downloaded, 61 requests, 12\.3 s

- **mine**: org/name\: access is restricted<br>hint: ask at https\://huggingface\.co/org/name
)";

constexpr const char* kHostile =
    "a|b\n# c <img src=x> `d` [e](http://evil) **f** \\| @g ~~h~~ &lt; ::error::i www.j %0A ##[k]";

}  // namespace

TEST_CASE("the result is one line") {
  CHECK(result_line(run_of({complete_model(), failed_model("x", "y")})) ==
        "1 of 2 models ready, 45.4 MB downloaded, 61 requests, 12.3 s");
  RunReport dry = run_of({complete_model()});
  dry.dry_run = true;
  dry.models[0].bytes_downloaded = 0;
  CHECK(result_line(dry) == "1 of 1 model planned, nothing downloaded, 61 requests, 12.3 s");
  RunReport verified = run_of({complete_model()});
  verified.bytes_hashed = 5'000'000;
  CHECK(result_line(verified) ==
        "1 of 1 model verified, 5.0 MB hashed, 45.4 MB downloaded, 61 requests, 12.3 s");
  verified.command = "export";
  CHECK(result_line(verified) == "1 of 1 model exported, 5.0 MB hashed, 12.3 s");
}

TEST_CASE("the step summary is a table, the result line and the errors") {
  const RunReport report =
      run_of({complete_model(), failed_model("mine", "org/name: access is restricted",
                                             "ask at https://huggingface.co/org/name")});
  CHECK(step_summary(report) == kSummary);
}

TEST_CASE("if patterns selected the files, the table names no variant") {
  RunReport report;
  ModelReport& model = report.models.emplace_back(complete_model());
  model.spec.filter = {.include = {"*.json"}, .from_command_line = true};
  CHECK(step_summary(report).find("| patterns |") != std::string::npos);
}

TEST_CASE("a good run's step summary ends with the result line") {
  const std::string text = step_summary(run_of({complete_model()}));
  CHECK(text.starts_with("\n### model-prep succeeded\n\n| model |"));
  CHECK(text.ends_with("|\n\n1 of 1 model ready, 45\\.4 MB downloaded, 61 requests, 12\\.3 s\n\n"));
}

TEST_CASE("a run without models has a step summary without a table") {
  CHECK(step_summary(refused("--jobs is 'x', but wants a number", "look again")) ==
        "\n### model-prep failed\n\n- --jobs is 'x', but wants a number<br>hint: look again\n");
}

TEST_CASE("a cleanup reports its totals, and each repository that it could not clean") {
  RunReport report;
  report.cleanup = {{.repo = "org/clean", .removed = {}, .bytes = 8'000'000}};
  report.cleanup->front().removed.revisions.push_back({testing::commit('a'), {}, 0});
  CHECK(step_summary(report) ==
        "\n### model-prep succeeded\n\nremoved 1 old revision, 8\\.0 MB in all\n\n");
  CHECK(termination_message(report) == "removed 1 old revision, 8.0 MB in all");

  report.cleanup->push_back(
      {.repo = "org/bad", .removed = {}, .error = Error{ErrorKind::io, "no access", "look"}});
  CHECK(step_summary(report).starts_with("\n### model-prep failed\n\nremoved 1 old revision"));
  CHECK(step_summary(report).ends_with("\n\n- **org/bad**: no access<br>hint: look\n"));
  CHECK(termination_message(report) ==
        "removed 1 old revision, 8.0 MB in all: no access (hint: look)");
  CHECK(annotations(report) ==
        std::vector<std::string>{"::error title=model-prep%3A org/bad::no access%0Ahint: look"});
}

TEST_CASE("quoted text is literal in the step summary") {
  const RunReport report = run_of({failed_model(kHostile, kHostile, kHostile)});
  const std::string text = step_summary(report);
  const std::string literal =
      "a\\|b?\\# c \\<img src=x\\> \\`d\\` \\[e\\](http\\://evil) \\*\\*f\\*\\* \\\\\\| \\@g \\~\\~h\\~\\~ \\&lt; "
      "\\:\\:error\\:\\:i www\\.j %0A \\#\\#\\[k\\]";
  CHECK(text.find("\n| " + literal + " | org/name | - |") != std::string::npos);
  CHECK(text.ends_with("\n- **" + literal + "**: " + literal + "<br>hint: " + literal + "\n"));
}

TEST_CASE("an error of the whole run is reported once") {
  CHECK(annotations(stopped()) ==
        std::vector<std::string>{
            "::error title=model-prep::stopped by SIGTERM%0Ahint: run it again"});
  const std::string text = step_summary(stopped());
  CHECK(text.find("SIGTERM") == text.rfind("SIGTERM"));
  CHECK(
      termination_message(stopped()) ==
      "1 of 3 models ready, 45.4 MB downloaded, 61 requests, 12.3 s: stopped by SIGTERM (hint: run it again)");
}

TEST_CASE("each model that failed has an annotation, and a good run has none") {
  CHECK(annotations(run_of({failed_model("one", "no luck"), complete_model(),
                            failed_model("two", "no net", "plug it in")})) ==
        std::vector<std::string>{"::error title=model-prep%3A one::no luck",
                                 "::error title=model-prep%3A two::no net%0Ahint: plug it in"});
  CHECK(annotations(run_of({complete_model()})).empty());
}

TEST_CASE("quoted text stays inside its annotation") {
  CHECK(
      annotations(run_of({failed_model("a:b,c%3A\r\n::d", "100 %,\r\n::error::e ##[f]", "%0A")})) ==
      std::vector<std::string>{
          "::error title=model-prep%3A a%3Ab%2Cc%253A??%3A%3Ad::100 %25,??::error::e #?[f]%0Ahint: %250A"});
}

TEST_CASE("the termination message is one line with the first error") {
  CHECK(termination_message(run_of({complete_model()})) ==
        "1 of 1 model ready, 45.4 MB downloaded, 61 requests, 12.3 s");
  CHECK(termination_message(
            run_of({failed_model("one", "no\nluck"), failed_model("two", "no net")})) ==
        "0 of 2 models ready, nothing downloaded, 61 requests, 12.3 s: no?luck");
  CHECK(termination_message(refused("unknown flag", "see --help")) ==
        "failed: unknown flag (hint: see --help)");
}

TEST_CASE(
    "the termination message is no longer than what Kubernetes keeps, and cuts no character") {
  const std::string letter = GENERATE("x", "\xc3\xa9", "\xe4\xb8\xad", "\xf0\x9f\x98\x80");
  std::string words;
  while (words.size() < 10'000) words += letter;
  const std::string message = termination_message(refused(words));
  CHECK(message.size() <= 4096);
  CHECK(message.size() > 4090);
  CHECK(message.ends_with("…"));
  CHECK(is_utf8(message));
}

namespace {

using Texts = std::vector<std::string>;

Texts texts(const std::vector<SummaryLine>& lines) {
  Texts found;
  for (const SummaryLine& line : lines)
    found.push_back(line.is_error ? "error " + line.text : line.text);
  return found;
}

RunReport download(std::vector<ModelReport> models) {
  RunReport report = run_of(std::move(models));
  report.command = "download";
  report.cache_dir = "/app/models/hub";
  return report;
}

}  // namespace

TEST_CASE("a download that went well ends in five lines, with what services need") {
  CHECK(texts(closing_lines(download({complete_model()}),
                            {.free = 33'100'000'000, .summary = "/app/models/s.json"})) ==
        Texts{"ready: all-MiniLM-L6-v2 (openvino-int8, fa97f6e7cb1a)",
              "cache: /app/models/hub, 90.9 MB in 0 files; 33.1 GB free",
              "services need: HF_HOME=/app/models HF_HUB_OFFLINE=1", "summary: /app/models/s.json",
              "1 of 1 model ready, 45.4 MB downloaded, 61 requests, 12.3 s"});
}

TEST_CASE("a model not at main is listed with its revision") {
  ModelReport model = complete_model();
  model.spec.ref = "v1.0";
  CHECK(texts(closing_lines(download({model}), {})).front() ==
        "ready: all-MiniLM-L6-v2 (openvino-int8, fa97f6e7cb1a, revision v1.0)");
}

TEST_CASE("if patterns selected the files, the last lines name no variant") {
  ModelReport model = complete_model();
  model.spec.filter = {.include = {"*.json"}, .from_command_line = true};
  CHECK(texts(closing_lines(download({model}), {})).front() ==
        "ready: all-MiniLM-L6-v2 (patterns, fa97f6e7cb1a)");
}

TEST_CASE(
    "a failed download lists what is ready, what is not and why, and no environment for services") {
  RunReport report = download({complete_model(), failed_model("secret", "no access")});
  report.retries = 2;
  CHECK(texts(closing_lines(report, {.free = 5, .summary = "/s.json"})) ==
        Texts{"ready: all-MiniLM-L6-v2 (openvino-int8, fa97f6e7cb1a)",
              "error not ready: secret (gated)", "summary: /s.json",
              "error 1 of 2 models ready, 45.4 MB downloaded, 61 requests, 2 retries, 12.3 s"});
}

TEST_CASE("the last lines name a dozen models at most") {
  const std::string first =
      texts(closing_lines(download(std::vector<ModelReport>(40, complete_model())), {})).front();
  CHECK(first.ends_with("fa97f6e7cb1a) and 28 more"));
}

TEST_CASE("other commands and stopped runs end in one line, a good dry run in none") {
  RunReport verified = run_of({complete_model()});
  verified.command = "verify";
  CHECK(closing_lines(verified, {.free = 5, .summary = "/s"}).size() == 1);
  RunReport report = stopped();
  report.command = "download";
  report.signal = 15;
  CHECK(closing_lines(report, {.free = 5, .summary = "/s"}).size() == 1);
  RunReport planned = download({complete_model()});
  planned.dry_run = true;
  CHECK(closing_lines(planned, {}).empty());
  CHECK(closing_lines(refused("no"), {}).empty());
}

TEST_CASE("services get HF_HOME if the cache is its hub, else HF_HUB_CACHE, quoted for a shell") {
  CHECK(services_environment("/app/models/hub") == "HF_HOME=/app/models HF_HUB_OFFLINE=1");
  CHECK(services_environment("/srv/cache") == "HF_HUB_CACHE=/srv/cache HF_HUB_OFFLINE=1");
  CHECK(services_environment("/hub") == "HF_HUB_CACHE=/hub HF_HUB_OFFLINE=1");
  CHECK(services_environment("/it's $here/hub") == "HF_HOME='/it'\\''s $here' HF_HUB_OFFLINE=1");
}
