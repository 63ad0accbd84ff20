#include "control-plane/compile/compile.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <set>
#include <utility>

#include "control-plane/compile/capture_outbound.h"
#include "control-plane/compile/cluster.h"
#include "control-plane/compile/listener.h"
#include "control-plane/compile/name_table.h"
#include "control-plane/compile/names.h"
#include "control-plane/compile/policy.h"
#include "control-plane/compile/stream.h"

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

// What is compiled of the service's endpoints is then this audience's own.
bool has_first_zone(const registry::Model& model, const registry::Service& service, const Audience& audience) {
  return std::any_of(service.ports.begin(), service.ports.end(), [&](const registry::ServicePort& port) {
    return !first_zone(policy_of(model, service.name, port.port), audience).empty();
  });
}

size_t cluster_kind(const Audience& audience) {
  if (audience.is_grpc_client) return 0;
  return 1 + (audience.trust_domain.empty() ? 0 : 1) + (audience.capture.port == 0 ? 0 : 2);
}

Resources clusters_of(const registry::Model& model, const registry::Service& service, const Audience& audience,
                      Cache& cache) {
  if (!is_for(service, audience)) return {};
  // An endpoint that the caller resolves stands in the cluster, where its zone counts.
  const bool is_own = is_resolved_by_caller(service) && has_first_zone(model, service, audience);
  std::optional<Resources> own;
  std::optional<Resources>& known = is_own ? own : cache.of(service.name).clusters[cluster_kind(audience)];
  if (known.has_value()) return *known;
  known.emplace();
  for (const registry::ServicePort& port : service.ports) {
    known->push_back(
        cache.interner().intern(compile_cluster(service, port, endpoints_of(model, service.name, port.port),
                                                policy_of(model, service.name, port.port), audience)));
  }
  return *known;
}

Resources assignments_of(const registry::Model& model, const registry::Service& service, const Audience& audience,
                         Cache& cache) {
  if (!is_for(service, audience)) return {};
  // What the caller resolves stands in the cluster.
  if (is_resolved_by_caller(service)) return clusters_of(model, service, audience, cache);
  std::optional<Resources> own;
  std::optional<Resources>& known = has_first_zone(model, service, audience) ? own : cache.of(service.name).endpoints;
  if (known.has_value()) return *known;
  known.emplace();
  for (const registry::ServicePort& port : service.ports) {
    known->push_back(
        cache.interner().intern(compile_endpoints(service, port.port, endpoints_of(model, service.name, port.port),
                                                  policy_of(model, service.name, port.port), audience)));
  }
  return *known;
}

Resources listeners_of(const registry::Model& model, const registry::Service& service, const Audience& audience) {
  Resources resources;
  if (!audience.is_grpc_client || !is_for(service, audience)) return resources;
  for (const registry::ServicePort& port : service.ports) {
    if (!is_http(port.app_protocol)) continue;
    Resources of_port = compile_client_listeners(model, service, port.port, audience);
    resources.insert(resources.end(), std::make_move_iterator(of_port.begin()), std::make_move_iterator(of_port.end()));
  }
  return resources;
}

Resources names_of(const registry::Model& model, const registry::Service& service, const Audience& audience,
                   Cache& cache) {
  if (!audience.resolves_names) return {};
  const bool is_own = service.name.namespace_name == audience.namespace_name;
  std::optional<Resources>& known = cache.of(service.name).names[(is_own ? 1 : 0) + (audience.capture.ipv6 ? 2 : 0)];
  if (known.has_value()) return *known;
  known.emplace();
  ResourcePointer names = compile_names(service, model.endpoints.find(service.name).get(), audience);
  if (names != nullptr) known->push_back(cache.interner().intern(std::move(names)));
  return *known;
}

// Of all that the audience reaches, not of one service.
Resources compile_outbound(const Reach& reach, Cache& cache) {
  if (reach.audience().is_grpc_client) return {};
  Resources resources = compile_tcp_listeners(reach);
  if (reach.audience().outbound_port == 0) return resources;
  Resources http = compile_outbound_listener(reach, cache);
  resources.insert(resources.end(), std::make_move_iterator(http.begin()), std::make_move_iterator(http.end()));
  return resources;
}

class Changes {
 public:
  explicit Changes(snapshot::Interner& interner) : interner_(interner) {}

  void set(Resources resources) {
    for (ResourcePointer& resource : resources) {
      const Type type = resource->type;
      std::string name = resource->name;
      set_.emplace(type, name);
      changes_.push_back({type, std::move(name), interner_.intern(std::move(resource))});
    }
  }
  // Gone, unless it is set.
  void remove(Type type, std::string name) { removed_.emplace(type, std::move(name)); }

  std::vector<Change> take() {
    for (const auto& [type, name] : removed_) {
      if (!set_.contains({type, name})) changes_.push_back({type, name, nullptr});
    }
    return std::move(changes_);
  }

 private:
  using Names = std::set<std::pair<Type, std::string>>;

  snapshot::Interner& interner_;
  std::vector<Change> changes_;
  Names set_;
  Names removed_;
};

void remove_all(const Resources& resources, Changes& changes) {
  for (const ResourcePointer& resource : resources) changes.remove(resource->type, resource->name);
}

// What is listened for where all connections are brought to the proxy, of services that may have changed.
void change_captured(const Reach& before, const Reach& after, const std::set<registry::ServiceName>& names,
                     Cache& cache, Changes& changes) {
  const Audience& audience = after.audience();
  bool are_hosts_changed = false;
  for (const registry::ServiceName& name : names) {
    if (const auto service = before.find(name); service != nullptr) {
      remove_all(captured_service(before.model(), *service, audience), changes);
      are_hosts_changed = are_hosts_changed || is_known_by_host(*service);
    }
    if (const auto service = after.find(name); service != nullptr) {
      changes.set(captured_service(after.model(), *service, audience, cache));
      are_hosts_changed = are_hosts_changed || is_known_by_host(*service);
    }
  }
  if (!are_hosts_changed) return;
  remove_all(captured_hosts(before), changes);
  changes.set(captured_hosts(after));
}

// The service if the audience has its clusters.
std::shared_ptr<const registry::Service> find(const Borrowing& from, const registry::ServiceName& name) {
  if (from.borrowed.contains(name)) return from.reach.model().services.find(name);
  return from.reach.find(name);
}

void insert(const std::set<registry::ServiceName>& from, std::set<registry::ServiceName>& into) {
  into.insert(from.begin(), from.end());
}

}  // namespace

Compiled compile_all(const Reach& reach, Cache& cache) {
  const registry::Model& model = reach.model();
  const Audience& audience = reach.audience();
  Changes changes(cache.interner());
  const Services& services = reach.services();
  for (const auto& service : services) {
    changes.set(clusters_of(model, *service, audience, cache));
    changes.set(assignments_of(model, *service, audience, cache));
    changes.set(listeners_of(model, *service, audience));
    changes.set(names_of(model, *service, audience, cache));
  }
  if (audience.capture.port != 0) {
    for (const auto& service : services) changes.set(captured_service(model, *service, audience, cache));
    changes.set(captured_rest(audience));
    changes.set(captured_hosts(reach));
  }
  for (const registry::ServiceName& name : reach.borrowed()) {
    const auto service = model.services.find(name);
    changes.set(clusters_of(model, *service, audience, cache));
    changes.set(assignments_of(model, *service, audience, cache));
  }
  changes.set({compile_nowhere_cluster(), compile_nowhere_endpoints()});
  changes.set(compile_outbound(reach, cache));
  Compiled compiled;
  for (Change& change : changes.take()) {
    snapshot::put(std::move(change.resource), compiled[static_cast<size_t>(change.type)]);
  }
  return compiled;
}

std::vector<Change> compile_changes(const Borrowing& before, const Borrowing& after, const registry::ChangeSet& changed,
                                    Cache& cache) {
  const registry::Model& model = after.reach.model();
  const Audience& audience = after.reach.audience();
  std::set<registry::ServiceName> of_clusters = changed.services;
  insert(changed.policies, of_clusters);
  std::set<registry::ServiceName> of_endpoints = changed.services;
  insert(changed.endpoints, of_endpoints);
  // Which zone goes first is a policy's.
  insert(changed.policies, of_endpoints);
  std::set<registry::ServiceName> of_routes = of_clusters;
  insert(changed.routes, of_routes);
  std::set<registry::ServiceName> newly;
  std::set_symmetric_difference(before.borrowed.begin(), before.borrowed.end(), after.borrowed.begin(),
                                after.borrowed.end(), std::inserter(newly, newly.end()));
  insert(newly, of_clusters);
  insert(newly, of_endpoints);

  Changes changes(cache.interner());
  for (const registry::ServiceName& name : of_clusters) {
    if (const auto service = find(before, name); service != nullptr && is_for(*service, audience)) {
      for (const registry::ServicePort& port : service->ports)
        changes.remove(Type::kCluster, port_name(name, port.port));
    }
    if (const auto service = find(after, name); service != nullptr) {
      changes.set(clusters_of(model, *service, audience, cache));
    }
  }
  for (const registry::ServiceName& name : of_endpoints) {
    // Where only the endpoints changed, the ports of the service are still there.
    const bool may_go = changed.services.contains(name) || newly.contains(name);
    const auto service = may_go ? find(before, name) : nullptr;
    if (service != nullptr && is_for(*service, audience) && !is_resolved_by_caller(*service)) {
      for (const registry::ServicePort& port : service->ports) {
        changes.remove(Type::kEndpoint, port_name(name, port.port));
      }
    }
    if (const auto now = find(after, name); now != nullptr) {
      changes.set(assignments_of(model, *now, audience, cache));
    }
  }
  if (audience.resolves_names) {
    std::set<registry::ServiceName> of_names = changed.services;
    insert(changed.endpoints, of_names);
    for (const registry::ServiceName& name : of_names) {
      if (before.reach.find(name) != nullptr) changes.remove(Type::kName, full_name(name));
      if (const auto service = after.reach.find(name); service != nullptr) {
        changes.set(names_of(model, *service, audience, cache));
      }
    }
  }
  for (const registry::ServiceName& name : of_routes) {
    if (!audience.is_grpc_client) break;
    if (const auto service = before.reach.find(name); service != nullptr) {
      for (const ResourcePointer& resource : listeners_of(before.reach.model(), *service, audience)) {
        changes.remove(resource->type, resource->name);
      }
    }
    if (const auto service = after.reach.find(name); service != nullptr) {
      changes.set(listeners_of(model, *service, audience));
    }
  }
  if (audience.capture.port != 0) {
    std::set<registry::ServiceName> of_captured = of_routes;
    // The endpoints of some are listened for one by one.
    insert(of_endpoints, of_captured);
    change_captured(before.reach, after.reach, of_captured, cache, changes);
  }
  if (!of_routes.empty()) {
    for (const auto& [port, target] : audience.outbound_tcp) changes.remove(Type::kListener, tcp_listener_name(port));
    changes.set(compile_outbound(after.reach, cache));
  }
  return changes.take();
}

}  // namespace weft::control::compile
