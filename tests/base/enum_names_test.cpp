// SPDX-License-Identifier: Apache-2.0
#include "model_prep/base/enum_names.h"

#include "model_prep/base/policy.h"
#include "model_prep/cli/options.h"
#include "model_prep/core/cache_faults.h"
#include "model_prep/core/commit_diff.h"
#include "model_prep/core/export_target.h"
#include "model_prep/report/progress.h"
#include "model_prep/report/run_report.h"
#include "support/catch.h"

namespace model_prep {
namespace {

template <auto Last>
constexpr bool names_all_up_to =
    std::size(kNames<decltype(Last)>) == static_cast<std::size_t>(Last) + 1;

static_assert(names_all_up_to<ErrorKind::internal>);
static_assert(names_all_up_to<LogLevel::off>);
static_assert(names_all_up_to<RepoKind::kernel>);
static_assert(names_all_up_to<Build::all>);
static_assert(names_all_up_to<PicklePolicy::forbid>);
static_assert(names_all_up_to<ScanPolicy::required>);
static_assert(names_all_up_to<SignaturePolicy::required>);
static_assert(names_all_up_to<CacheFaultKind::foreign>);
static_assert(names_all_up_to<ChangeKind::removed>);
static_assert(names_all_up_to<FileReportStatus::skipped>);
static_assert(names_all_up_to<ModelStatus::interrupted>);
static_assert(names_all_up_to<CacheState::other_revision>);
static_assert(names_all_up_to<ExportKind::dir_flat>);
static_assert(names_all_up_to<LogFormat::json>);
static_assert(names_all_up_to<LockFormat::cyclonedx>);
static_assert(names_all_up_to<ProgressMode::none>);

}  // namespace

TEST_CASE("each enum value maps to its name, and each name back to its value") {
  CHECK(to_string(Build::fp32) == "fp32");
  CHECK(to_string(Build::all) == "all");
  CHECK(value_of<Build>("openvino-int8") == Build::openvino_int8);
}

TEST_CASE("only an exact name maps to a value") {
  CHECK_FALSE(value_of<Build>("FP32"));
  CHECK_FALSE(value_of<Build>("fp3"));
  CHECK_FALSE(value_of<Build>(""));
}

}  // namespace model_prep
