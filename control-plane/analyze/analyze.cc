#include "control-plane/analyze/analyze.h"

#include <algorithm>
#include <set>
#include <tuple>

namespace weft::control::analyze {

Findings analyze(const Input& input) {
  Findings out;
  for (const source::directory::Refusal& refusal : input.refusals) {
    out.push_back({Severity::kError, "RefusedFile", {}, "", refusal.reason});
  }
  find_conditions(input, &out);
  find_in_routes(input, &out);
  find_in_services(input, &out);
  find_in_grants(input, &out);
  find_in_authorizations(input, &out);
  find_in_providers(input, &out);
  const auto order = [](const Finding& a) {
    return std::make_tuple(-static_cast<int>(a.severity), std::cref(a.key), std::cref(a.path), std::cref(a.code),
                           std::cref(a.message));
  };
  std::sort(out.begin(), out.end(), [&](const Finding& a, const Finding& b) { return order(a) < order(b); });
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

Findings of_change(const Findings& before, const Findings& after, const std::vector<source::Key>& keys) {
  const std::set<Finding> known(before.begin(), before.end());
  const std::set<source::Key> changed(keys.begin(), keys.end());
  Findings out;
  for (const Finding& finding : after) {
    if (changed.contains(finding.key) || !known.contains(finding)) out.push_back(finding);
  }
  return out;
}

}  // namespace weft::control::analyze
