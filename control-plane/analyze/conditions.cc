#include "api/text/cat.h"
#include "control-plane/analyze/finding.h"
#include "control-plane/registry/status.h"
#include "gateway/v1/reference.pb.h"
#include "weft/v1/authorization_policy.pb.h"
#include "weft/v1/external_service.pb.h"
#include "weft/v1/traffic_policy.pb.h"

namespace weft::control::analyze {

namespace {

using kubernetes::meta::v1::Condition;
using source::Kind;

// What a condition's reason is called as a finding, and what a person can do.
struct Meaning {
  std::string_view reason;
  Severity severity;
  std::string_view code;
  std::string_view advice;
};

constexpr Meaning kMeanings[] = {
    {"NoMatchingParent", Severity::kError, "ParentNotFound",
     "the route is not in force there; create the service, or correct parentRefs"},
    {"BackendNotFound", Severity::kError, "BackendNotFound",
     "its share of the traffic fails; create the service or the port, or correct backendRefs"},
    {"RefNotPermitted", Severity::kError, "RefNotPermitted",
     "its share of the traffic fails; add a ReferenceGrant in the backend's namespace"},
    {"InvalidKind", Severity::kError, "InvalidKind",
     "its share of the traffic fails; refer to a Service or an ExternalService"},
    {"UnsupportedProtocol", Severity::kError, "UnsupportedProtocol", "correct the port's appProtocol, or name another"},
    {"TargetNotFound", Severity::kWarning, "PolicyTargetNotFound",
     "the policy does nothing there; create the target, or correct targetRefs"},
    {"ProviderNotFound", Severity::kError, "ProviderNotFound",
     "what the policy matches is refused; create the ExternalAuthorizer or mend it, or correct provider"},
};
// What the same reasons mean of an ExternalAuthorizer.
constexpr std::string_view kUnasked =
    "what the policies that name it match is refused; create the service or the port, or correct backendRef";

void add(const source::Key& key, const std::string& path, const Condition& condition, Findings* out) {
  if (condition.status() == "True") return;
  for (const Meaning& meaning : kMeanings) {
    if (condition.reason() != meaning.reason) continue;
    const std::string_view advice = key.kind == Kind::kExternalAuthorizer ? kUnasked : meaning.advice;
    out->push_back(
        {meaning.severity, std::string(meaning.code), key, path, text::cat(condition.message(), ": ", advice)});
    return;
  }
  // What is in conflict is told by what it is.
  if (condition.reason() == "Conflicted" && key.kind == Kind::kTrafficPolicy) {
    out->push_back(
        {Severity::kWarning, "PolicyConflict", key, path,
         text::cat(condition.message(), ", so it wins: join the two, or aim one at something more specific")});
  } else if (condition.reason() == "Conflicted") {
    out->push_back(
        {Severity::kError, "DuplicateHost", key, path,
         text::cat(condition.message(), ", and is older: the service is not in force; give each host once")});
  } else {
    out->push_back({Severity::kWarning, condition.reason(), key, path, condition.message()});
  }
}

}  // namespace

void find_conditions(const Input& input, Findings* out) {
  for (const Judged& each : input.objects) {
    const source::Key& key = each.object.key;
    if (each.status == nullptr) continue;
    if (const auto* route = dynamic_cast<const gateway::v1::RouteStatus*>(each.status.get())) {
      for (int i = 0; i < route->parents_size(); ++i) {
        for (const Condition& condition : route->parents(i).conditions()) {
          const bool is_of_parent = condition.type() == "Accepted";
          add(key, is_of_parent ? text::index_path("spec.parentRefs", static_cast<size_t>(i)) : "", condition, out);
        }
      }
    } else if (const auto* policy = dynamic_cast<const v1::PolicyStatus*>(each.status.get())) {
      for (int i = 0; i < policy->ancestors_size(); ++i) {
        for (const Condition& condition : policy->ancestors(i).conditions()) {
          add(key, text::index_path("spec.targetRefs", static_cast<size_t>(i)), condition, out);
        }
      }
    } else if (const auto* callers = dynamic_cast<const v1::AuthorizationPolicyStatus*>(each.status.get())) {
      const bool is_authorizer = key.kind == Kind::kExternalAuthorizer;
      for (const Condition& condition : callers->conditions()) {
        const bool is_of_provider = condition.reason() == "ProviderNotFound";
        add(key,
            is_authorizer    ? "spec.backendRef"
            : is_of_provider ? "spec.provider"
                             : "spec.targetRefs",
            condition, out);
      }
    } else if (const auto* external = dynamic_cast<const v1::ExternalServiceStatus*>(each.status.get())) {
      for (const Condition& condition : external->conditions()) add(key, "spec.hosts", condition, out);
    }
  }
}

}  // namespace weft::control::analyze
