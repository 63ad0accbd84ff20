#include <algorithm>

#include "api/text/cat.h"
#include "api/text/position.h"
#include "control-plane/analyze/finding.h"
#include "control-plane/compile/authorization.h"
#include "control-plane/compile/listener.h"
#include "control-plane/compile/request_authentication.h"
#include "weft/v1/authorization_policy.pb.h"
#include "weft/v1/request_authentication.pb.h"

namespace weft::control::analyze {

namespace {

using registry::Authorization;
using text::cat;

// The services of its namespace that the policy, or the other that says whom it is for, holds for; of the mesh's none
// are looked at one by one.
template <typename Policy>
std::vector<std::shared_ptr<const registry::Service>> services_of(const registry::Model& model, const Policy& policy) {
  std::vector<std::shared_ptr<const registry::Service>> out;
  if (policy.origin.key.namespace_name == registry::kRootNamespace) return out;
  const auto all = model.by_namespace.find({policy.origin.key.namespace_name});
  if (all == nullptr) return out;
  all->for_each([&](const registry::ServiceName& name, const auto& service) {
    const bool holds = policy.services.empty() ||
                       std::find(policy.services.begin(), policy.services.end(), name.name) != policy.services.end();
    if (holds && !name.external) out.push_back(service);
  });
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a->name < b->name; });
  return out;
}

bool is_any_port(const registry::ServicePort&) { return true; }

// Ports whose connections are not HTTP, as "db:5432, cache:6379", if they are wanted; `all` says whether there are no
// others.
template <typename Wanted>
std::string stream_ports(const std::vector<std::shared_ptr<const registry::Service>>& services, bool* all,
                         const Wanted& wanted) {
  std::string text;
  *all = true;
  for (const auto& service : services) {
    for (const registry::ServicePort& port : service->ports) {
      if (compile::is_http(port.app_protocol)) {
        *all = false;
      } else if (wanted(port)) {
        text::append(&text, text.empty() ? "" : ", ", service->name.name, ":", port.port);
      }
    }
  }
  return text;
}

// It may match connections to the port, as far as it names any: those of the application.
bool may_match(const v1::AuthorizationRule& rule, const registry::ServicePort& port) {
  const std::string number = cat(port.target_port);
  return rule.to().empty() || port.target_port == 0 ||
         std::any_of(rule.to().begin(), rule.to().end(), [&](const v1::AuthorizationTo& to) {
           const auto& ports = to.operation().ports();
           return ports.empty() || std::find(ports.begin(), ports.end(), number) != ports.end();
         });
}

// Some of it holds only with a token.
bool needs_token(const v1::AuthorizationRule& rule) {
  return std::any_of(rule.from().begin(), rule.from().end(),
                     [](const auto& from) { return !from.source().request_principals().empty(); }) ||
         std::any_of(rule.when().begin(), rule.when().end(), [](const auto& condition) {
           return !condition.values().empty() && compile::is_of_token(condition);
         });
}

void append_name(const registry::Service& service, std::string* names) {
  text::append(names, names->empty() ? "" : ", ", service.name.name);
}

void find_missing_tokens(const registry::Model& model, const Authorization& policy, Findings* out) {
  std::string names;
  for (const auto& service : services_of(model, policy)) {
    if (model.caller_rules_for(service->name).tokens.empty()) append_name(*service, &names);
  }
  if (names.empty()) return;
  for (int i = 0; i < policy.spec->rules_size(); ++i) {
    if (!needs_token(policy.spec->rules(i))) continue;
    out->push_back({Severity::kWarning, "TokensNotTaken", policy.origin.key,
                    text::index_path("spec.rules", static_cast<size_t>(i)),
                    cat("the rule asks for what a token says, and no RequestAuthentication holds for ", names,
                        ": there nobody is known by a token")});
  }
}

// Keys that a service of the mesh is to have which is not there.
void find_missing_keys(const registry::Model& model, const registry::RequestAuthentication& tokens, Findings* out) {
  for (int i = 0; i < tokens.spec->jwt_rules_size(); ++i) {
    const auto address = registry::parse_web_address(tokens.spec->jwt_rules(i).jwks_uri());
    const auto name = address.has_value() ? compile::mesh_service(*address) : std::nullopt;
    if (!name.has_value()) continue;
    const auto service = model.services.find(*name);
    if (service != nullptr && service->port(address->port) != nullptr) continue;
    out->push_back({Severity::kError, "KeysNotFound", tokens.origin.key,
                    text::field_path(text::index_path("spec.jwtRules", static_cast<size_t>(i)), "jwksUri"),
                    cat("the service ", name->namespace_name, "/", name->name,
                        service == nullptr ? " does not exist" : cat(" has no port ", address->port), ": tokens of ",
                        tokens.spec->jwt_rules(i).issuer(), " are refused")});
  }
}

void find_in_tokens(const registry::Model& model, const registry::RequestAuthentication& tokens, Findings* out) {
  find_missing_keys(model, tokens, out);
  std::string open;
  const auto services = services_of(model, tokens);
  for (const auto& service : services) {
    const registry::Authorizations policies = model.caller_rules_for(service->name).policies;
    const bool is_asked = std::any_of(policies.begin(), policies.end(), [](const auto& policy) {
      const auto& rules = policy->spec->rules();
      return std::any_of(rules.begin(), rules.end(), compile::speaks_of_tokens);
    });
    if (!is_asked) append_name(*service, &open);
  }
  bool only_streams = false;
  const std::string ports = stream_ports(services, &only_streams, is_any_port);
  if (!ports.empty() && only_streams) {
    out->push_back({Severity::kWarning, "TokensWithoutRequests", tokens.origin.key, "spec.targetRefs",
                    cat("connections to ", ports, " are not HTTP, and have no tokens")});
  } else if (!open.empty()) {
    out->push_back({Severity::kInfo, "TokensNotRequired", tokens.origin.key, "spec.targetRefs",
                    cat("requests to ", open,
                        " may come without a token; an AuthorizationPolicy can ask for one, by from.source."
                        "requestPrincipals")});
  }
}

void find_in_rules(const registry::Model& model, const Authorization& policy, Findings* out) {
  const auto services = services_of(model, policy);
  for (int i = 0; i < policy.spec->rules_size(); ++i) {
    const v1::AuthorizationRule& rule = policy.spec->rules(i);
    bool only_streams = false;
    const std::string ports =
        stream_ports(services, &only_streams, [&](const registry::ServicePort& port) { return may_match(rule, port); });
    if (ports.empty()) continue;
    const std::string path = text::index_path("spec.rules", static_cast<size_t>(i));
    if (policy.action == Authorization::Action::kCustom) {
      out->push_back({Severity::kWarning, "CustomWithoutRequests", policy.origin.key, path,
                      cat("connections to ", ports,
                          " are not HTTP, so that no provider can be asked about them, and those that the rule matches "
                          "by what it asks of connections are closed; name the HTTP ports in to.operation.ports")});
      continue;
    }
    if (!compile::asks_for_requests(rule)) continue;
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
      find_missing_tokens(input.model, policy, out);
      if (policy.spec->rules().empty() && policy.action == Authorization::Action::kAllow) {
        out->push_back(
            {Severity::kInfo, "AllowsNothing", policy.origin.key, "spec.rules",
             "without a rule an ALLOW policy allows nothing by itself: what no other one allows is refused"});
      } else if (policy.spec->rules().empty()) {
        out->push_back({Severity::kWarning, "PolicyWithoutRules", policy.origin.key, "spec.rules",
                        "without a rule the policy matches nothing; `rules: [{}]` matches everything"});
      }
    }
    for (const registry::RequestAuthentication& tokens : of_namespace->tokens) find_in_tokens(input.model, tokens, out);
  });
}

}  // namespace weft::control::analyze
