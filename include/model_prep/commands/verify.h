// SPDX-License-Identifier: Apache-2.0
// The command `verify`: is what the cache holds what record and lock say, byte for byte, and in
// reach of services?
//
// Reads only, asks nobody, and works on a read-only volume. The record's trust (size and time)
// counts for nothing here: every byte is hashed. Nor is the record written: what verify finds good
// without a record is hashed once more by the next download, which then writes it under its locks;
// a reader has no business there.
//
// `--repair` mends with the ordinary download, so under its locks and with its order of writing.
// Before that, it makes readable what is not, moves away what does not belong there, and lets the
// record forget what is damaged; so a damaged blob is hashed again by the download, and replaced by
// one rename when the right bytes are there (a repair without a network makes nothing worse). Then
// all of it is looked at again; files that were good and have not been touched since are not hashed
// twice.
//
// What counts for the exit code is the cache (`core/cache_faults.h`), not where services look
// (`commands/consumers.h`).
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "model_prep/commands/session.h"
#include "model_prep/core/cache_faults.h"
#include "model_prep/core/response_check.h"
#include "model_prep/report/run_report.h"

namespace model_prep {

int run_verify(Session& session);

class Verify {
 public:
  explicit Verify(Session& session);

  RunReport run(std::vector<ModelSpec> specs);

 private:
  struct Model {
    ModelSpec spec;
    std::optional<ResolvedSnapshot> snapshot{};
    std::vector<std::string> contents{};  ///< as in `Inspection`
    std::vector<CacheFault> faults{};
    std::optional<Error> error{};             ///< it could not be judged
    std::optional<ModelReport> downloaded{};  ///< what the repair did
    bool good() const { return !error && faults.empty(); }
  };
  /// A file that was hashed, as it was then.
  struct Hashed {
    FileInfo facts;
    HashResult answer;
  };

  void check(const std::vector<Model*>& models);
  void look(Model& model) const;
  void hash(const std::vector<Model*>& models);
  void judge(Model& model) const;
  void tell(const Model& model);
  void repair();
  void prepare(Model& model);
  ModelReport report_of(const Model& model) const;
  std::vector<ConsumerReport> ask() const;
  std::string folder_of(const Model& model) const;

  Session& session_;
  unsigned umask_;
  std::vector<Model> models_;
  std::map<std::string, Hashed> hashed_;
  std::set<std::string> told_;
  std::int64_t bytes_{0};
  std::optional<int> signal_;
  std::int64_t requests_{0};
  int retries_{0};
};

}  // namespace model_prep
