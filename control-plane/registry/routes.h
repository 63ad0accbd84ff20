#pragma once

// Routes of the model from their objects, which are valid: what they refer to is looked up, and what is found wrong
// with that stands in their status. Pure; any thread.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "control-plane/registry/model.h"
#include "control-plane/registry/policies.h"
#include "gateway/v1/reference.pb.h"

namespace weft::control::registry {

// The ReferenceGrants, by the namespace that gives them. Not synchronised.
class Grants {
 public:
  void set(const source::Object& grant) { of_namespace_[grant.key.namespace_name][grant.key.name] = grant; }
  void erase(const source::Key& key) { of_namespace_[key.namespace_name].erase(key.name); }
  // Whether objects like `from` may refer to `to`; always within a namespace.
  bool allows(const source::Key& from, const ServiceName& to) const;

 private:
  std::map<std::string, std::map<std::string, source::Object>> of_namespace_;
};

// Whom a route's object names, found or not.
struct RouteReferences {
  std::set<ServiceName> parents;
  std::set<ServiceName> backends;
};
RouteReferences references_of(const source::Object& route);

struct ResolvedRoute {
  std::shared_ptr<const Route> route;
  struct Parent {
    ServiceName service;
    std::optional<uint16_t> port;
  };
  // Those that took it.
  std::vector<Parent> parents;
  // Without times of transition.
  std::shared_ptr<gateway::v1::RouteStatus> status;
};
ResolvedRoute resolve_route(const source::Object& object, const SharedMap<ServiceName, Service>& services,
                            const Grants& grants, const PolicyTable& policies);

// Whether the route has a rule of this name.
bool has_rule(const source::Object& route, const std::string& name);

}  // namespace weft::control::registry
