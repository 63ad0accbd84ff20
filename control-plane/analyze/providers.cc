#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "api/text/cat.h"
#include "control-plane/analyze/finding.h"
#include "control-plane/compile/external_authorization.h"
#include "weft/v1/authorization_policy.pb.h"
#include "weft/v1/external_authorizer.pb.h"

namespace weft::control::analyze {

namespace {

using registry::Authorization;
using text::cat;
using Values = google::protobuf::RepeatedPtrField<std::string>;

// What a provider is asked with by gRPC. With http a question is as the request that it is about.
constexpr std::string_view kGrpcMethod = "POST";
constexpr std::string_view kGrpcPath = "/envoy.service.auth.v3.Authorization/Check";

// Where questions arrive.
struct Place {
  registry::ServiceName service;
  uint16_t port = 0;
  bool is_grpc = false;

  auto operator<=>(const Place&) const = default;
};

std::string name_of(const Place& place) {
  return cat(place.service.namespace_name, "/", place.service.name, ":", place.port);
}

// On account of this policy a question has another one sent there.
struct Question {
  Place to;
  std::shared_ptr<const Authorization> policy;
};
using Questions = std::map<Place, std::vector<Question>>;

// Nothing if nobody is asked.
std::optional<Place> asked_by(const Authorization& policy) {
  if (policy.action != Authorization::Action::kCustom || !policy.authorizer->trouble.empty()) return std::nullopt;
  const registry::Authorizer& authorizer = *policy.authorizer;
  return Place{authorizer.service, authorizer.port, !authorizer.spec->has_http()};
}

// "exact", "prefix*", "*suffix" or "*". Nothing for a template.
std::optional<bool> matches(std::string_view pattern, std::string_view text) {
  if (pattern.find('{') != std::string_view::npos) return std::nullopt;
  if (pattern.ends_with('*')) return text.starts_with(pattern.substr(0, pattern.size() - 1));
  if (pattern.starts_with('*')) return text.ends_with(pattern.substr(1));
  return text == pattern;
}

bool may_match(const Values& values, const Values& not_values, std::string_view text) {
  const bool may = values.empty() || std::any_of(values.begin(), values.end(), [&](const std::string& each) {
                     return matches(each, text).value_or(true);
                   });
  return may && std::none_of(not_values.begin(), not_values.end(),
                             [&](const std::string& each) { return matches(each, text).value_or(false); });
}

// As far as it is known what questions are like; who asks, and for which host, is not looked at.
bool may_match(const Authorization& policy, bool is_grpc, uint16_t app_port) {
  const auto is_meant = [&](const v1::AuthorizationTo& to) {
    const v1::AuthorizationOperation& operation = to.operation();
    // A port that has a name is another one for each workload.
    if (app_port != 0 && !may_match(operation.ports(), operation.not_ports(), cat(app_port))) return false;
    return !is_grpc || (may_match(operation.methods(), operation.not_methods(), kGrpcMethod) &&
                        may_match(operation.paths(), operation.not_paths(), kGrpcPath));
  };
  const auto& rules = policy.spec->rules();
  return std::any_of(rules.begin(), rules.end(), [&](const v1::AuthorizationRule& rule) {
    return rule.to().empty() || std::any_of(rule.to().begin(), rule.to().end(), is_meant);
  });
}

// Whether policies hold for its workloads: these have sidecars, or may have once there are any.
bool may_have_sidecars(const registry::Model& model, const registry::ServiceName& name) {
  if (name.external) return false;
  const auto endpoints = model.endpoints.find(name);
  bool has_any = false;
  bool has_sidecar = false;
  for (const auto& port : endpoints == nullptr ? std::vector<registry::Endpoints::Port>() : endpoints->ports) {
    has_any = has_any || !port.endpoints.empty();
    // Who announced himself has an account.
    has_sidecar = has_sidecar || std::any_of(port.endpoints.begin(), port.endpoints.end(), [](const auto& endpoint) {
                    return !endpoint.labels.service_account.empty();
                  });
  }
  return has_sidecar || !has_any;
}

// What is asked about the questions that arrive there.
std::vector<Question> questions_at(const registry::Model& model, const Place& place) {
  const auto service = model.services.find(place.service);
  if (service == nullptr || !may_have_sidecars(model, place.service)) return {};
  const registry::ServicePort* port = service->port(place.port);
  const uint16_t app_port = port == nullptr ? 0 : port->target_port;
  std::vector<uint16_t> ports = {place.port};
  if (app_port != 0) ports = service->ports_of_app(app_port);
  std::vector<Question> out;
  const registry::Authorizations policies = model.caller_rules_for(place.service).policies;
  for (const auto& policy : compile::policies_at(policies, place.service, ports)) {
    const std::optional<Place> to = asked_by(*policy);
    if (to.has_value() && may_match(*policy, place.is_grpc, app_port)) out.push_back({*to, policy});
  }
  return out;
}

Questions all_questions(const registry::Model& model) {
  Questions out;
  model.authorizations.for_each([&](const auto&, const auto& of_namespace) {
    for (const Authorization& policy : of_namespace->policies) {
      const std::optional<Place> place = asked_by(policy);
      if (place.has_value() && !out.contains(*place)) out.emplace(*place, questions_at(model, *place));
    }
  });
  return out;
}

// The places of the shortest way, both ends included; empty if there is none.
std::vector<Place> way(const Questions& questions, const Place& from, const Place& to) {
  // By which place each was reached first.
  std::map<Place, Place> before = {{from, from}};
  std::deque<Place> waiting = {from};
  while (!waiting.empty() && !before.contains(to)) {
    const Place place = waiting.front();
    waiting.pop_front();
    for (const Question& question : questions.at(place)) {
      if (before.emplace(question.to, place).second) waiting.push_back(question.to);
    }
  }
  if (!before.contains(to)) return {};
  std::vector<Place> out = {to};
  while (out.back() != from) out.push_back(before.at(out.back()));
  std::reverse(out.begin(), out.end());
  return out;
}

std::string leg(const Place& from, const Question& question) {
  return cat("at ", name_of(from), " has ", name_of(question.to), " asked (", to_string(question.policy->origin.key),
             ")");
}

}  // namespace

void find_in_providers(const Input& input, Findings* out) {
  const Questions questions = all_questions(input.model);
  std::set<source::Key> told;
  for (const auto& [place, asked] : questions) {
    for (const Question& question : asked) {
      const source::Key& key = question.policy->origin.key;
      const std::vector<Place> back = told.contains(key) ? std::vector<Place>() : way(questions, question.to, place);
      if (back.empty()) continue;
      told.insert(key);
      std::string circle = leg(place, question);
      for (size_t i = 0; i + 1 < back.size(); ++i) {
        const std::vector<Question>& next = questions.at(back[i]);
        const auto found =
            std::find_if(next.begin(), next.end(), [&](const Question& each) { return each.to == back[i + 1]; });
        text::append(&circle, ", one ", leg(back[i], *found));
      }
      out->push_back({Severity::kWarning, "ProviderCycle", key, "spec.provider",
                      cat("questions about questions may never end: one ", circle,
                          "; what matches is then refused when its time is over. Let the policies not hold for the "
                          "providers' own ports, by targetRefs or by to.operation.ports")});
    }
  }
}

}  // namespace weft::control::analyze
