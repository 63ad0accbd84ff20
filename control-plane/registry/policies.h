#pragma once

// Which policy holds where. Belongs to Registry and is not synchronised.

#include <compare>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "control-plane/registry/model.h"

namespace weft::v1 {
class PolicyStatus;
class TargetReference;
class TrafficPolicy;
}  // namespace weft::v1

namespace weft::control::registry {

// What a policy is laid on: the mesh, a namespace, a service or a route, or one section of it.
struct PolicyTarget {
  enum class Kind : uint8_t { kMesh, kNamespace, kObject };
  Kind kind = Kind::kMesh;
  // Of kNamespace: only namespace_name is set.
  source::Key object;
  // The name of a service's port or a route's rule; empty for the whole.
  std::string section;

  auto operator<=>(const PolicyTarget&) const = default;
};

PolicyTarget target_of(const v1::TargetReference& reference, const std::string& namespace_name);

class PolicyTable {
 public:
  void add(const source::Object& policy);
  void remove(const source::Object& policy);

  // What holds for a section of a service (its port's name) after the more general ones; null if there is nothing.
  EffectivePolicyPointer for_port(const source::Key& service, const std::string& port_name) const;
  EffectivePolicyPointer for_rule(const source::Key& route, const std::string& rule_name) const;

  // The policy that holds for the target: the oldest; null if there is none.
  const source::Object* winner(const PolicyTarget& target) const;
  // All that have it as target, the winner first.
  std::vector<source::Key> of(const PolicyTarget& target) const;
  // All that have the object, or a section of it, as target.
  std::set<source::Key> of_object(const source::Key& object) const;

 private:
  EffectivePolicyPointer lay_over(const std::vector<PolicyTarget>& most_specific_first) const;

  struct Age {
    int64_t created_ms;
    source::Key key;
    auto operator<=>(const Age&) const = default;
  };
  std::map<PolicyTarget, std::map<Age, source::Object>> policies_;
};

}  // namespace weft::control::registry
