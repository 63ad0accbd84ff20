#include "control-plane/registry/policies.h"

#include <google/protobuf/descriptor.h>

#include "control-plane/registry/services.h"
#include "weft/v1/traffic_policy.pb.h"

namespace weft::control::registry {

namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Reflection;
using source::Key;
using source::Object;

const v1::TrafficPolicySpec& spec_of(const Object& policy) {
  return source::content_as<v1::TrafficPolicy>(policy).spec();
}

// Copies the sections of `from` that `out` does not have.
void fill_in(const Object& from, v1::TrafficPolicySpec* out, std::vector<EffectivePolicy::Section>* sections) {
  const v1::TrafficPolicySpec& spec = spec_of(from);
  const Reflection& reflection = *spec.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(spec, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->is_repeated() || reflection.HasField(*out, field)) continue;
    reflection.MutableMessage(out, field)->CopyFrom(reflection.GetMessage(spec, field));
    sections->push_back({field->json_name(), {from.key, from.revision}});
  }
}

}  // namespace

PolicyTarget target_of(const v1::TargetReference& reference, const std::string& namespace_name) {
  PolicyTarget out;
  if (reference.kind() == "Mesh") return out;
  out.object.namespace_name = namespace_name;
  if (reference.kind() == "Namespace") {
    out.kind = PolicyTarget::Kind::kNamespace;
    return out;
  }
  out.kind = PolicyTarget::Kind::kObject;
  // Valid policies name kinds that there are.
  const source::KindInfo* info = source::find_kind_of_group(reference.group(), reference.kind());
  if (info != nullptr) out.object.kind = info->kind;
  out.object.name = reference.name();
  out.section = reference.section_name();
  return out;
}

void PolicyTable::add(const Object& policy) {
  for (const auto& reference : spec_of(policy).target_refs()) {
    policies_[target_of(reference, policy.key.namespace_name)].insert_or_assign({created_ms(policy), policy.key},
                                                                                policy);
  }
}

void PolicyTable::remove(const Object& policy) {
  for (const auto& reference : spec_of(policy).target_refs()) {
    const auto found = policies_.find(target_of(reference, policy.key.namespace_name));
    if (found == policies_.end()) continue;
    found->second.erase({created_ms(policy), policy.key});
    if (found->second.empty()) policies_.erase(found);
  }
}

const Object* PolicyTable::winner(const PolicyTarget& target) const {
  const auto found = policies_.find(target);
  return found == policies_.end() ? nullptr : &found->second.begin()->second;
}

std::vector<Key> PolicyTable::of(const PolicyTarget& target) const {
  std::vector<Key> out;
  const auto found = policies_.find(target);
  if (found == policies_.end()) return out;
  for (const auto& [age, policy] : found->second) out.push_back(policy.key);
  return out;
}

std::set<Key> PolicyTable::of_object(const Key& object) const {
  std::set<Key> out;
  // A section sorts behind the whole.
  for (auto at = policies_.lower_bound({PolicyTarget::Kind::kObject, object, ""});
       at != policies_.end() && at->first.object == object; ++at) {
    for (const auto& [age, policy] : at->second) out.insert(policy.key);
  }
  return out;
}

EffectivePolicyPointer PolicyTable::lay_over(const std::vector<PolicyTarget>& most_specific_first) const {
  auto spec = std::make_shared<v1::TrafficPolicySpec>();
  auto out = std::make_shared<EffectivePolicy>();
  for (const PolicyTarget& target : most_specific_first) {
    const Object* policy = winner(target);
    if (policy != nullptr) fill_in(*policy, spec.get(), &out->sections);
  }
  if (out->sections.empty()) return nullptr;
  out->spec = std::move(spec);
  return out;
}

EffectivePolicyPointer PolicyTable::for_port(const Key& service, const std::string& port_name) const {
  std::vector<PolicyTarget> targets;
  if (!port_name.empty()) targets.push_back({PolicyTarget::Kind::kObject, service, port_name});
  targets.push_back({PolicyTarget::Kind::kObject, service, ""});
  targets.push_back({PolicyTarget::Kind::kNamespace, {{}, service.namespace_name, ""}, ""});
  targets.push_back({PolicyTarget::Kind::kMesh, {}, ""});
  return lay_over(targets);
}

EffectivePolicyPointer PolicyTable::for_rule(const Key& route, const std::string& rule_name) const {
  std::vector<PolicyTarget> targets;
  if (!rule_name.empty()) targets.push_back({PolicyTarget::Kind::kObject, route, rule_name});
  targets.push_back({PolicyTarget::Kind::kObject, route, ""});
  return lay_over(targets);
}

}  // namespace weft::control::registry
