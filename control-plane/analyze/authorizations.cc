#include <algorithm>

#include "api/text/cat.h"
#include "api/text/position.h"
#include "control-plane/analyze/finding.h"
#include "control-plane/compile/authorization.h"
#include "control-plane/compile/listener.h"
#include "weft/v1/authorization_policy.pb.h"

namespace weft::control::analyze {

namespace {

using registry::Authorization;
using text::cat;

// The services of its namespace that the policy is for; of the mesh's policies none are looked at one by one.
std::vector<std::shared_ptr<const registry::Service>> services_of(const registry::Model& model,
                                                                  const Authorization& policy) {
  std::vector<std::shared_ptr<const registry::Service>> out;
  if (policy.origin.key.namespace_name == registry::kRootNamespace) return out;
  const auto names = model.by_namespace.find({policy.origin.key.namespace_name});
  if (names == nullptr) return out;
  for (const registry::ServiceName& name : *names) {
    const bool holds = policy.services.empty() ||
                       std::find(policy.services.begin(), policy.services.end(), name.name) != policy.services.end();
    if (holds && !name.external) out.push_back(model.services.find(name));
  }
  return out;
}

// Ports whose connections are not HTTP, as "db:5432, cache:6379"; `all` says whether there are no others.
std::string stream_ports(const std::vector<std::shared_ptr<const registry::Service>>& services, bool* all) {
  std::string text;
  *all = true;
  for (const auto& service : services) {
    for (const registry::ServicePort& port : service->ports) {
      if (compile::is_http(port.app_protocol)) {
        *all = false;
      } else {
        text::append(&text, text.empty() ? "" : ", ", service->name.name, ":", port.port);
      }
    }
  }
  return text;
}

void find_in_rules(const registry::Model& model, const Authorization& policy, Findings* out) {
  bool only_streams = false;
  const std::string ports = stream_ports(services_of(model, policy), &only_streams);
  if (ports.empty()) return;
  for (int i = 0; i < policy.spec->rules_size(); ++i) {
    if (!compile::asks_for_requests(policy.spec->rules(i))) continue;
    const std::string path = text::index_path("spec.rules", static_cast<size_t>(i));
    if (policy.action == Authorization::Action::kDeny) {
      out->push_back(
          {Severity::kWarning, "DenyWithoutRequests", policy.origin.key, path,
           cat("connections to ", ports,
               " are not HTTP, so of this rule only what it asks of connections "
               "counts there, and it refuses more than it says; name the HTTP ports in to.operation.ports")});
    } else if (only_streams) {
      out->push_back({Severity::kWarning, "RuleNeverMatches", policy.origin.key, path,
                      cat("connections to ", ports,
                          " are not HTTP, and the rule asks for what only requests have; ask "
                          "for principals, namespaces, addresses or ports")});
    }
  }
}

}  // namespace

void find_in_authorizations(const Input& input, Findings* out) {
  input.model.authorizations.for_each([&](const registry::NamespaceName&, const auto& of_namespace) {
    for (const Authorization& policy : of_namespace->policies) {
      find_in_rules(input.model, policy, out);
      if (policy.spec->rules().empty() && policy.action == Authorization::Action::kAllow) {
        out->push_back(
            {Severity::kInfo, "AllowsNothing", policy.origin.key, "spec.rules",
             "without a rule an ALLOW policy allows nothing by itself: what no other one allows is refused"});
      } else if (policy.spec->rules().empty()) {
        out->push_back({Severity::kWarning, "PolicyWithoutRules", policy.origin.key, "spec.rules",
                        "without a rule the policy matches nothing; `rules: [{}]` matches everything"});
      }
    }
  });
}

}  // namespace weft::control::analyze
