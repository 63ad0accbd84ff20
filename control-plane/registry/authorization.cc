#include "control-plane/registry/authorization.h"

#include <algorithm>

#include "api/text/cat.h"
#include "control-plane/registry/status.h"
#include "control-plane/registry/validate.h"
#include "weft/v1/authorization_policy.pb.h"

namespace weft::control::registry {

namespace {

using source::Key;
using source::Object;
using text::cat;

const v1::AuthorizationPolicySpec& spec_of(const Object& policy) {
  return source::content_as<v1::AuthorizationPolicy>(policy).spec();
}

Authorization::Action action_of(const v1::AuthorizationPolicySpec& spec) {
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
  out.spec = std::shared_ptr<const v1::AuthorizationPolicySpec>(policy.content, &spec_of(policy));
  out.action = action_of(*out.spec);
  out.dry_run = is_dry_run(policy);
  for (const auto& target : out.spec->target_refs()) out.services.push_back(target.name());
  return out;
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

std::shared_ptr<const NamespaceAuthorizations> AuthorizationTable::of(const std::string& namespace_name) const {
  const auto found = policies_.find(namespace_name);
  if (found == policies_.end()) return nullptr;
  auto out = std::make_shared<NamespaceAuthorizations>();
  for (const auto& [key, policy] : found->second) out->policies.push_back(compiled(policy));
  return out;
}

std::set<Key> AuthorizationTable::naming(const ServiceName& service) const {
  std::set<Key> keys;
  const auto found = policies_.find(service.namespace_name);
  if (service.external || found == policies_.end()) return keys;
  for (const auto& [key, policy] : found->second) {
    const auto& targets = spec_of(policy).target_refs();
    const bool names =
        std::any_of(targets.begin(), targets.end(), [&](const auto& target) { return target.name() == service.name; });
    if (names) keys.insert(key);
  }
  return keys;
}

std::shared_ptr<v1::AuthorizationPolicyStatus> AuthorizationTable::judge(
    const Object& policy, const SharedMap<ServiceName, Service>& services) {
  std::string missing;
  for (const auto& target : spec_of(policy).target_refs()) {
    if (services.find({policy.key.namespace_name, target.name()}) != nullptr) continue;
    text::append(&missing, missing.empty() ? "" : "; ", "the service ", policy.key.namespace_name, "/", target.name(),
                 " does not exist");
  }
  auto status = std::make_shared<v1::AuthorizationPolicyStatus>();
  const uint32_t generation = source::metadata_of(*policy.content).generation();
  add_condition({"Accepted", true, "Accepted", ""}, generation, status->mutable_conditions());
  add_condition({"ResolvedRefs", missing.empty(), missing.empty() ? "ResolvedRefs" : "TargetNotFound", missing},
                generation, status->mutable_conditions());
  return status;
}

}  // namespace weft::control::registry
