#include "control-plane/registry/authorization.h"

#include <algorithm>

#include "api/text/cat.h"
#include "control-plane/registry/status.h"
#include "control-plane/registry/validate.h"
#include "weft/v1/authorization_policy.pb.h"
#include "weft/v1/request_authentication.pb.h"

namespace weft::control::registry {

namespace {

using source::Key;
using source::Object;
using text::cat;

const google::protobuf::RepeatedPtrField<v1::TargetReference>& targets_of(const Object& object) {
  if (object.key.kind == source::Kind::kRequestAuthentication) {
    return source::content_as<v1::RequestAuthentication>(object).spec().target_refs();
  }
  return source::content_as<v1::AuthorizationPolicy>(object).spec().target_refs();
}

std::vector<std::string> services_of(const Object& object) {
  std::vector<std::string> out;
  for (const auto& target : targets_of(object)) out.push_back(target.name());
  return out;
}

Authorization::Action action_of(const v1::AuthorizationPolicySpec& spec) {
  if (spec.action() == "CUSTOM") return Authorization::Action::kCustom;
  if (spec.action() == "DENY") return Authorization::Action::kDeny;
  return spec.action() == "AUDIT" ? Authorization::Action::kAudit : Authorization::Action::kAllow;
}

bool is_dry_run(const Object& policy) {
  const auto& annotations = source::metadata_of(*policy.content).annotations();
  const auto found = annotations.find(kDryRunAnnotation);
  return found != annotations.end() && found->second == "true";
}

Authorization compiled(const Object& policy) {
  Authorization out;
  out.origin = {policy.key, policy.revision};
  // Shares the object's content.
  out.spec = {policy.content, &source::content_as<v1::AuthorizationPolicy>(policy).spec()};
  out.action = action_of(*out.spec);
  out.dry_run = is_dry_run(policy);
  out.services = services_of(policy);
  return out;
}

// The name of whom it asks; empty if it asks nobody.
std::string provider_of(const Object& object) {
  if (object.key.kind != source::Kind::kAuthorizationPolicy) return "";
  const auto& spec = source::content_as<v1::AuthorizationPolicy>(object).spec();
  return action_of(spec) == Authorization::Action::kCustom ? spec.provider().name() : "";
}

}  // namespace

void AuthorizationTable::add(const Object& policy) {
  policies_[policy.key.namespace_name].insert_or_assign(policy.key, policy);
}

void AuthorizationTable::remove(const Object& policy) {
  const auto found = policies_.find(policy.key.namespace_name);
  if (found == policies_.end()) return;
  found->second.erase(policy.key);
  if (found->second.empty()) policies_.erase(found);
}

std::shared_ptr<const NamespaceAuthorizations> AuthorizationTable::of(
    const std::string& namespace_name, const AuthorizerTable& authorizers,
    const SharedMap<ServiceName, Service>& services) const {
  const auto found = policies_.find(namespace_name);
  if (found == policies_.end()) return nullptr;
  auto out = std::make_shared<NamespaceAuthorizations>();
  for (const auto& [key, object] : found->second) {
    if (key.kind == source::Kind::kAuthorizationPolicy) {
      out->policies.push_back(compiled(object));
      const std::string provider = provider_of(object);
      if (provider.empty()) continue;
      out->policies.back().authorizer = authorizers.find(namespace_name, provider, services);
    } else {
      const auto& spec = source::content_as<v1::RequestAuthentication>(object).spec();
      out->tokens.push_back({{key, object.revision}, {object.content, &spec}, services_of(object)});
    }
  }
  return out;
}

std::set<Key> AuthorizationTable::naming(const ServiceName& service) const {
  std::set<Key> keys;
  const auto found = policies_.find(service.namespace_name);
  if (service.external || found == policies_.end()) return keys;
  for (const auto& [key, policy] : found->second) {
    const auto& targets = targets_of(policy);
    const bool names =
        std::any_of(targets.begin(), targets.end(), [&](const auto& target) { return target.name() == service.name; });
    if (names) keys.insert(key);
  }
  return keys;
}

std::set<Key> AuthorizationTable::asking(const Key& authorizer) const {
  std::set<Key> keys;
  const auto add_those_of = [&](const std::map<Key, Object>& policies) {
    for (const auto& [key, policy] : policies) {
      if (provider_of(policy) == authorizer.name) keys.insert(key);
    }
  };
  if (authorizer.namespace_name == kRootNamespace) {
    for (const auto& [space, policies] : policies_) add_those_of(policies);
  } else if (const auto found = policies_.find(authorizer.namespace_name); found != policies_.end()) {
    add_those_of(found->second);
  }
  return keys;
}

std::shared_ptr<v1::AuthorizationPolicyStatus> AuthorizationTable::judge(
    const Object& policy, const AuthorizerTable& authorizers, const SharedMap<ServiceName, Service>& services) {
  std::string missing;
  for (const auto& target : targets_of(policy)) {
    if (services.find({policy.key.namespace_name, target.name()}) != nullptr) continue;
    text::append(&missing, missing.empty() ? "" : "; ", "the service ", policy.key.namespace_name, "/", target.name(),
                 " does not exist");
  }
  const char* reason = missing.empty() ? "ResolvedRefs" : "TargetNotFound";
  const std::string provider = provider_of(policy);
  const std::string trouble =
      provider.empty() ? "" : authorizers.find(policy.key.namespace_name, provider, services)->trouble;
  if (!trouble.empty()) {
    reason = "ProviderNotFound";
    text::append(&missing, missing.empty() ? "" : "; ", trouble);
  }
  auto status = std::make_shared<v1::AuthorizationPolicyStatus>();
  const uint32_t generation = source::metadata_of(*policy.content).generation();
  add_condition({"Accepted", true, "Accepted", ""}, generation, status->mutable_conditions());
  add_condition({"ResolvedRefs", missing.empty(), reason, missing}, generation, status->mutable_conditions());
  return status;
}

}  // namespace weft::control::registry
