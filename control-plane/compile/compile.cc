#include "control-plane/compile/compile.h"

#include <iterator>
#include <set>
#include <utility>

#include "control-plane/compile/cluster.h"
#include "control-plane/compile/listener.h"

namespace weft::control::compile {

namespace {

using snapshot::Change;
using snapshot::Resource;
using snapshot::ResourcePointer;
using snapshot::Type;

// gRPC's clients resolve no names in a cluster of ours.
bool is_for(const registry::Service& service, const Audience& audience) {
  return !(audience.is_grpc_client && is_resolved_by_caller(service));
}

const std::vector<registry::Endpoint>& endpoints_of(const registry::Model& model, const registry::ServiceName& name,
                                                    uint16_t port) {
  static const std::vector<registry::Endpoint> kNone;
  const auto endpoints = model.endpoints.find(name);
  return endpoints == nullptr ? kNone : endpoints->of(port);
}

std::vector<ResourcePointer> clusters_of(const registry::Model& model, const registry::ServiceName& name,
                                         const Audience& audience) {
  std::vector<ResourcePointer> resources;
  const auto service = model.services.find(name);
  if (service == nullptr || !is_for(*service, audience)) return resources;
  const auto policies = model.policies.find(name);
  for (size_t i = 0; i < service->ports.size(); ++i) {
    const registry::ServicePort& port = service->ports[i];
    const registry::EffectivePolicy* policy =
        policies == nullptr || i >= policies->ports.size() ? nullptr : policies->ports[i].get();
    resources.push_back(compile_cluster(*service, port, endpoints_of(model, name, port.port), policy, audience));
  }
  return resources;
}

std::vector<ResourcePointer> assignments_of(const registry::Model& model, const registry::ServiceName& name,
                                            const Audience& audience) {
  std::vector<ResourcePointer> resources;
  const auto service = model.services.find(name);
  if (service == nullptr || !is_for(*service, audience)) return resources;
  // What the caller resolves stands in the cluster.
  if (is_resolved_by_caller(*service)) return clusters_of(model, name, audience);
  for (const registry::ServicePort& port : service->ports) {
    resources.push_back(compile_endpoints(*service, port.port, endpoints_of(model, name, port.port)));
  }
  return resources;
}

std::vector<ResourcePointer> listeners_of(const registry::Model& model, const registry::ServiceName& name,
                                          const Audience& audience) {
  std::vector<ResourcePointer> resources;
  const auto service = model.services.find(name);
  if (service == nullptr || !audience.is_grpc_client || !is_for(*service, audience)) return resources;
  for (const registry::ServicePort& port : service->ports) {
    if (!is_http(port.app_protocol)) continue;
    std::vector<ResourcePointer> of_port = compile_client_listeners(model, *service, port.port, audience);
    resources.insert(resources.end(), std::make_move_iterator(of_port.begin()), std::make_move_iterator(of_port.end()));
  }
  return resources;
}

// Of the whole mesh, not of one service.
std::vector<ResourcePointer> compile_outbound(const registry::Model& model, const Audience& audience) {
  if (audience.is_grpc_client || audience.outbound_port == 0) return {};
  return compile_outbound_listener(model, audience);
}

using CompilePart = std::vector<ResourcePointer> (*)(const registry::Model&, const registry::ServiceName&,
                                                     const Audience&);

class Changes {
 public:
  explicit Changes(snapshot::Interner& interner) : interner_(interner) {}

  void add(std::vector<ResourcePointer> before, std::vector<ResourcePointer> after) {
    std::set<std::pair<Type, std::string>> now;
    for (ResourcePointer& resource : after) {
      now.emplace(resource->type, resource->name);
      const Type type = resource->type;
      std::string name = resource->name;
      changes_.push_back({type, std::move(name), interner_.intern(std::move(resource))});
    }
    for (const ResourcePointer& resource : before) {
      if (!now.contains({resource->type, resource->name}))
        changes_.push_back({resource->type, resource->name, nullptr});
    }
  }

  std::vector<Change> take() { return std::move(changes_); }

 private:
  snapshot::Interner& interner_;
  std::vector<Change> changes_;
};

}  // namespace

Compiled compile_all(const registry::Model& model, const Audience& audience, snapshot::Interner& interner) {
  Changes changes(interner);
  model.services.for_each([&](const registry::ServiceName& name, const auto&) {
    for (const CompilePart part : {CompilePart(clusters_of), CompilePart(assignments_of), CompilePart(listeners_of)}) {
      changes.add({}, part(model, name, audience));
    }
  });
  changes.add({}, {compile_nowhere_cluster(), compile_nowhere_endpoints()});
  changes.add({}, compile_outbound(model, audience));
  Compiled compiled;
  for (Change& change : changes.take()) {
    compiled[static_cast<size_t>(change.type)].insert_or_assign(std::move(change.name), std::move(change.resource));
  }
  return compiled;
}

std::vector<Change> compile_changes(const registry::Model& before, const registry::Model& after,
                                    const registry::ChangeSet& changed, const Audience& audience,
                                    snapshot::Interner& interner) {
  Changes changes(interner);
  const auto compile = [&](CompilePart part, const std::set<registry::ServiceName>& names) {
    for (const registry::ServiceName& name : names)
      changes.add(part(before, name, audience), part(after, name, audience));
  };
  std::set<registry::ServiceName> of_clusters = changed.services;
  of_clusters.insert(changed.policies.begin(), changed.policies.end());
  std::set<registry::ServiceName> of_endpoints = changed.services;
  of_endpoints.insert(changed.endpoints.begin(), changed.endpoints.end());
  std::set<registry::ServiceName> of_routes = of_clusters;
  of_routes.insert(changed.routes.begin(), changed.routes.end());
  compile(clusters_of, of_clusters);
  compile(assignments_of, of_endpoints);
  compile(listeners_of, of_routes);
  if (!of_routes.empty()) changes.add(compile_outbound(before, audience), compile_outbound(after, audience));
  return changes.take();
}

}  // namespace weft::control::compile
