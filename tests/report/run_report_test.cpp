// SPDX-License-Identifier: Apache-2.0
// The exit code of a run, and the names of fault kinds.
#include "model_prep/report/run_report.h"

#include "core/builders.h"
#include "support/catch.h"

using namespace model_prep;

namespace {

ModelReport with_status(ModelStatus status) {
  return {.spec = testing::spec("key", "org/name"), .status = status};
}

RunReport run(std::vector<ModelReport> models) {
  RunReport report;
  report.models = std::move(models);
  return report;
}

ModelReport good_model() { return with_status(ModelStatus::downloaded); }

}  // namespace

TEST_CASE("every kind of fault has a name and becomes an error with the same message") {
  for (int i = 0; i <= static_cast<int>(CacheFaultKind::foreign); ++i) {
    const CacheFault fault{
        .kind = static_cast<CacheFaultKind>(i), .path = {}, .message = "what is wrong"};
    CHECK(to_string(fault.kind) != (i == 0 ? "" : to_string(CacheFaultKind::missing)));
    CHECK(error_of(fault).message == "what is wrong");
    CHECK(error_of(fault).kind != ErrorKind::internal);
  }
}

TEST_CASE("the hint of a fault names the repair only where that is still to come, and helps") {
  CacheFault fault{.kind = CacheFaultKind::damaged, .path = {}, .message = {}, .file = 0};
  CHECK(error_of(fault).hint == "model-prep verify --repair repairs it");
  CHECK(error_of(fault, Repair::done).hint == "the log says why it could not be repaired");

  // Somebody else's ref, whose message says what to do.
  fault = {.kind = CacheFaultKind::unreadable, .path = {}, .message = {}};
  CHECK(error_of(fault).hint.empty());
}

TEST_CASE("the exit code is 0 when every model is complete") {
  const ModelStatus status =
      GENERATE(ModelStatus::downloaded, ModelStatus::cached, ModelStatus::planned,
               ModelStatus::verified, ModelStatus::repaired, ModelStatus::exported);
  CHECK(exit_code(run({good_model(), with_status(status)})) == 0);
}

TEST_CASE("the exit code is 1 when a model is not complete") {
  const ModelStatus status = GENERATE(ModelStatus::failed, ModelStatus::interrupted);
  CHECK(exit_code(run({good_model(), with_status(status)})) == 1);
}

TEST_CASE("the exit code is 1 when there is no model, or the run itself failed") {
  CHECK(exit_code(run({})) == 1);
  RunReport report = run({good_model()});
  report.error = Error{ErrorKind::disk_full, "no space", {}};
  CHECK(exit_code(report) == 1);
}

TEST_CASE("the exit code is 128 + n when signal n ended the run") {
  RunReport report = run({with_status(ModelStatus::interrupted)});
  report.signal = GENERATE(2, 15);
  CHECK(exit_code(report) == 128 + *report.signal);
}

TEST_CASE("a signal after the last model is complete changes nothing") {
  RunReport report = run({good_model()});
  report.signal = 15;
  CHECK(exit_code(report) == 0);
}
