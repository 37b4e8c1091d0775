// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/policy_check.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "model_prep/base/text.h"

namespace model_prep {
namespace {

constexpr std::size_t kMaxNamed = 5;

/// A list for a message, of text from outside.
std::string list_of(const Strings& texts) {
  Strings shown;
  for (const std::string& text : texts)
    if (shown.size() < kMaxNamed) shown.push_back(truncated(text));
  if (texts.size() > kMaxNamed) shown.push_back(fmt::format("{} more", texts.size() - kMaxNamed));
  return fmt::format("{}", fmt::join(shown, ", "));
}

std::string place_of(const ResolvedSnapshot& snapshot) {
  return fmt::format("{} at {}", snapshot.spec.repo.text(), snapshot.commit.hex().substr(0, 12));
}

Error unknown_offline(const ResolvedSnapshot& snapshot, std::string_view what) {
  return {
      ErrorKind::offline_missing,
      fmt::format("{}: {} is not known here, and this run is offline", place_of(snapshot), what),
      "run once online with the same policy, or use a lockfile that was made with it"};
}

Status check_licenses(const ResolvedSnapshot& snapshot, HubAsked asked) {
  const Policy& policy = snapshot.spec.policy;
  if (!policy.licenses) return ok();

  const auto& licenses = snapshot.facts.licenses;
  if (!licenses && asked == HubAsked::no) return unknown_offline(snapshot, "its license");

  if (!licenses || licenses->empty())
    return Error{ErrorKind::license_not_allowed, place_of(snapshot) + ": its card names no license",
                 "no list allows a model without one: ask its author, or take another model"};

  const Strings refused = licenses_not_allowed(policy, *licenses);
  if (refused.empty()) return ok();

  const Strings allowed(policy.licenses->begin(), policy.licenses->end());
  const std::string hint =
      allowed.empty()
          ? "no license is allowed: the lists of the manifest and of --allow-license have none in common"
          : fmt::format("allowed are {}; add it to the policy if you may use it", list_of(allowed));
  return Error{
      ErrorKind::license_not_allowed,
      fmt::format("{}: its license {} is not allowed", place_of(snapshot), list_of(refused)), hint};
}

bool is_harmless(std::string_view level) { return level == "safe" || level == "caution"; }

/// `pickle.bin (unsafe)` for each selected file that is flagged.
Strings flagged_files(const ResolvedSnapshot& snapshot) {
  Strings flagged;
  for (const RemoteFile& file : snapshot.files) {
    const auto found = snapshot.facts.scan->findings.find(file.path.text());
    if (found != snapshot.facts.scan->findings.end() && !is_harmless(found->second))
      flagged.push_back(fmt::format("{} ({})", file.path.text(), found->second));
  }
  return flagged;
}

Status check_scan(const ResolvedSnapshot& snapshot, HubAsked asked) {
  const ScanPolicy policy = snapshot.spec.policy.scan_policy();
  const auto& scan = snapshot.facts.scan;
  if (policy == ScanPolicy::off) return ok();
  if (!scan && asked == HubAsked::no)
    return unknown_offline(snapshot, "what the Hub's scanners found in it");

  const Strings flagged = scan ? flagged_files(snapshot) : Strings();
  if (!flagged.empty())
    return Error{
        ErrorKind::unsafe,
        fmt::format("{}: the Hub's scanners flag {}", place_of(snapshot), list_of(flagged)),
        "the page of the model on the Hub says why; select other files, or another model"};

  const bool is_complete = scan && scan->complete;
  if (is_complete || policy == ScanPolicy::refuse_unsafe) return ok();
  return Error{ErrorKind::not_scanned,
               fmt::format("{}: {}", place_of(snapshot),
                           scan ? "the Hub has not finished scanning its files"
                                : "the endpoint does not say whether its files were scanned"),
               scan ? "try again in some minutes; the policy refuse-unsafe does not wait for it"
                    : "only the Hub itself knows; check HF_ENDPOINT"};
}

}  // namespace

MissingFacts missing_facts(const Policy& policy, const HubFacts& facts) {
  const ScanPolicy scan = policy.scan_policy();
  const bool must_be_complete = scan == ScanPolicy::required;
  const bool is_unfinished = facts.scan && !facts.scan->complete;
  return {.licenses = policy.licenses && !facts.licenses,
          .scan = (scan != ScanPolicy::off && !facts.scan) || (must_be_complete && is_unfinished)};
}

Status check_policy(const ResolvedSnapshot& snapshot, HubAsked asked) {
  if (Status licensed = check_licenses(snapshot, asked); !licensed) return licensed;
  return check_scan(snapshot, asked);
}

Strings scan_warnings(const ResolvedSnapshot& snapshot) {
  Strings warnings;
  if (snapshot.spec.policy.scan_policy() == ScanPolicy::off) return warnings;

  const auto& scan = snapshot.facts.scan;
  if (!scan)
    return {place_of(snapshot) + ": the endpoint does not say whether its files were scanned"};
  if (!scan->complete)
    warnings.push_back(place_of(snapshot) + ": the Hub has not finished scanning its files");

  Strings others;
  for (const auto& [path, level] : scan->findings)
    if (level != "safe") others.push_back(fmt::format("{} ({})", path, level));
  if (!others.empty())
    warnings.push_back(
        fmt::format("{}: the Hub's scanners flag {}", place_of(snapshot), list_of(others)));
  return warnings;
}

}  // namespace model_prep
