#include "control-plane/registry/registry.h"

#include <google/protobuf/message.h>

#include <algorithm>

#include "api/text/cat.h"
#include "control-plane/registry/services.h"
#include "control-plane/registry/status.h"
#include "control-plane/registry/validate.h"
#include "kubernetes/meta/v1/meta.pb.h"
#include "weft/v1/authorization_policy.pb.h"
#include "weft/v1/external_service.pb.h"
#include "weft/v1/peer_authentication.pb.h"
#include "weft/v1/scope.pb.h"
#include "weft/v1/traffic_policy.pb.h"

namespace weft::control::registry {

using source::Key;
using source::Kind;
using source::Object;
using text::cat;

namespace {

bool is_route(Kind kind) {
  return kind == Kind::kHttpRoute || kind == Kind::kGrpcRoute || kind == Kind::kTcpRoute || kind == Kind::kTlsRoute;
}

bool says_who_may_call(Kind kind) { return kind == Kind::kAuthorizationPolicy || kind == Kind::kRequestAuthentication; }

bool is_service(Kind kind) { return kind == Kind::kService || kind == Kind::kExternalService; }

Key key_of(const ServiceName& name) {
  return {name.external ? Kind::kExternalService : Kind::kService, name.namespace_name, name.name};
}

// Whether a policy for `target` may change what holds for the service.
bool covers(const PolicyTarget& target, const ServiceName& service) {
  switch (target.kind) {
    case PolicyTarget::Kind::kMesh:
      return true;
    case PolicyTarget::Kind::kNamespace:
      return target.object.namespace_name == service.namespace_name;
    case PolicyTarget::Kind::kObject:
      return target.object == key_of(service);
  }
  return false;
}

template <typename Map>
void drop(Map* map, const typename Map::key_type& key, const typename Map::mapped_type::value_type& value) {
  const auto found = map->find(key);
  if (found == map->end()) return;
  found->second.erase(value);
  if (found->second.empty()) map->erase(found);
}

// Sets or erases, and notes that it changed.
template <typename Value>
void replace(const ServiceName& name, std::shared_ptr<const Value> value, SharedMap<ServiceName, Value>* map,
             std::set<ServiceName>* changed) {
  if (value == nullptr && map->find(name) == nullptr) return;
  changed->insert(name);
  if (value == nullptr) return map->erase(name);
  map->set(name, std::move(value));
}

// Brings the index of services by namespace up to date.
void index_namespaces(const std::set<ServiceName>& changed, Model* model) {
  std::map<NamespaceName, std::vector<ServiceName>> by_namespace;
  for (const ServiceName& name : changed) by_namespace[{name.namespace_name}].push_back(name);
  for (const auto& [space, names] : by_namespace) {
    const auto before = model->by_namespace.find(space);
    auto after = std::make_shared<SharedMap<ServiceName, Service>>();
    if (before != nullptr) *after = *before;
    for (const ServiceName& name : names) {
      if (auto service = model->services.find(name); service == nullptr) {
        after->erase(name);
      } else {
        after->set(name, std::move(service));
      }
    }
    if (after->size() == 0) {
      model->by_namespace.erase(space);
    } else {
      model->by_namespace.set(space, std::move(after));
    }
  }
}

bool same(const Endpoints& a, const Endpoints& b) {
  return std::equal(a.ports.begin(), a.ports.end(), b.ports.begin(), b.ports.end(), [](const auto& x, const auto& y) {
    return x.service_port == y.service_port && x.endpoints == y.endpoints;
  });
}

bool leads_to_any(const Routes& routes, const std::set<ServiceName>& services) {
  for (const AttachedRoute& attached : routes.attached) {
    for (const RouteRule& rule : attached.route->rules) {
      const bool leads = std::any_of(rule.backends.begin(), rule.backends.end(),
                                     [&](const Backend& backend) { return services.contains(backend.service); });
      if (leads) return true;
    }
  }
  return false;
}

}  // namespace

const Object* Registry::find(const Key& key) const {
  const auto found = objects_.find(key);
  return found == objects_.end() ? nullptr : &found->second;
}

const Object* Registry::find_service(const ServiceName& name) const { return find(key_of(name)); }

std::shared_ptr<const google::protobuf::Message> Registry::status(const Key& key) const {
  const auto found = statuses_.find(key);
  return found == statuses_.end() ? nullptr : found->second;
}

void Registry::set_status(const Key& key, std::shared_ptr<google::protobuf::Message> status) {
  const auto before = this->status(key);
  set_transition_times(before.get(), now_ms_, status.get());
  statuses_[key] = std::move(status);
}

ChangeSet Registry::apply(source::Revision revision, const std::vector<source::Change>& changes, int64_t now_ms) {
  now_ms_ = now_ms;
  Dirty dirty;
  for (const source::Change& change : changes) {
    if (const Object* old = find(change.key)) {
      const Object before = *old;
      objects_.erase(change.key);
      take_out(before, &dirty);
    }
    if (change.content == nullptr) {
      statuses_.erase(change.key);
      continue;
    }
    // Stores hold what was valid when it came; what another writer or an older version put there may not be.
    if (!change.is_valid && !validate(change.key.kind, *change.content).empty()) continue;
    const Object object{change.key, change.revision, change.content};
    objects_.emplace(change.key, object);
    put_in(object, &dirty);
  }

  auto model = std::make_shared<Model>(*model_);
  model->revision = revision;
  ChangeSet out;
  settle_hosts(&dirty);
  settle_mtls(model.get(), dirty, &out);
  build_services(model.get(), dirty, &out);
  resolve_routes(model.get(), &dirty);
  attach_routes(model.get(), dirty, &out);
  apply_policies(model.get(), dirty, &out);
  judge_policies(dirty);
  settle_scopes(model.get(), dirty, &out);
  judge_mtls(*model, dirty);
  settle_authorizations(model.get(), std::move(dirty), &out);
  model_ = std::move(model);
  return out;
}

ChangeSet Registry::apply_workloads(const std::vector<WorkloadChange>& changes) {
  std::set<ServiceName> services;
  for (const WorkloadChange& change : changes) {
    const ServiceName name{.namespace_name = change.name.namespace_name, .name = change.name.service};
    services.insert(name);
    if (change.workload.has_value()) {
      workloads_[name].insert_or_assign(change.name.node, *change.workload);
      continue;
    }
    const auto of_service = workloads_.find(name);
    if (of_service == workloads_.end()) continue;
    of_service->second.erase(change.name.node);
    if (of_service->second.empty()) workloads_.erase(of_service);
  }
  auto model = std::make_shared<Model>(*model_);
  ChangeSet out;
  for (const ServiceName& name : services) build_endpoints_of(name, model.get(), &out);
  if (!out.empty()) model_ = std::move(model);
  return out;
}

bool Registry::is_attached(const Workload& workload) const {
  const auto service =
      model_->services.find({.namespace_name = workload.name.namespace_name, .name = workload.name.service});
  return service != nullptr && !service->ports_of_app(workload.app_port).empty();
}

void Registry::service_changed(const Object& object, Dirty* dirty) {
  const ServiceName name = service_name_of(object.key);
  dirty->services.insert(name);
  dirty->endpoints.insert(name);
  dirty->attached.insert(name);
  dirty->policies.insert(name);
  const auto naming = routes_naming_.find(name);
  if (naming != routes_naming_.end()) dirty->routes.insert(naming->second.begin(), naming->second.end());
  dirty->policy_statuses.merge(policies_.of_object(object.key));
  dirty->scope_statuses.merge(scopes_.naming(name));
  dirty->mtls_statuses.insert(name.namespace_name);
  dirty->authorization_statuses.merge(authorizations_.naming(name));
  dirty->authorizers.merge(authorizers_.asking(name));
}

void Registry::policy_changed(const Object& policy, Dirty* dirty) {
  dirty->policy_statuses.insert(policy.key);
  for (const auto& reference : source::content_as<v1::TrafficPolicy>(policy).spec().target_refs()) {
    const PolicyTarget target = target_of(reference, policy.key.namespace_name);
    for (const Key& other : policies_.of(target)) dirty->policy_statuses.insert(other);
    if (target.kind == PolicyTarget::Kind::kObject) {
      if (is_route(target.object.kind)) {
        dirty->routes.insert(target.object);
      } else {
        dirty->policies.insert(service_name_of(target.object));
      }
      continue;
    }
    model_->services.for_each([&](const ServiceName& name, const auto&) {
      if (covers(target, name)) dirty->policies.insert(name);
    });
  }
}

// Routes elsewhere that name a service of this namespace.
void Registry::grant_changed(const std::string& namespace_name, Dirty* dirty) {
  for (const auto& [service, routes] : routes_naming_) {
    if (service.namespace_name == namespace_name) dirty->routes.insert(routes.begin(), routes.end());
  }
}

// Whether its endpoints are called by mutual TLS may be another answer for every service that has workloads.
void Registry::mtls_changed(const std::string& namespace_name, Dirty* dirty) {
  dirty->mtls.insert(namespace_name);
  dirty->mtls_statuses.insert(namespace_name);
  const bool everywhere = namespace_name == kRootNamespace;
  for (const auto& [service, workloads] : workloads_) {
    if (everywhere || service.namespace_name == namespace_name) dirty->endpoints.insert(service);
  }
}

void Registry::take_out(const Object& object, Dirty* dirty) {
  const Kind kind = object.key.kind;
  if (is_service(kind)) {
    service_changed(object, dirty);
    if (kind == Kind::kExternalService) {
      for (const std::string& host : source::content_as<v1::ExternalService>(object).spec().hosts()) {
        drop(&claims_of_host_, host, {created_ms(object), object.key});
        dirty->hosts.insert(host);
      }
    }
  } else if (kind == Kind::kEndpointSlice) {
    const ServiceName name = service_name_of_slice(object);
    drop(&slices_of_service_, name, object.key);
    dirty->endpoints.insert(name);
  } else if (is_route(kind)) {
    const RouteReferences names = references_of(object);
    for (const ServiceName& name : names.parents) drop(&routes_naming_, name, object.key);
    for (const ServiceName& name : names.backends) drop(&routes_naming_, name, object.key);
    dirty->routes.insert(object.key);
    dirty->policy_statuses.merge(policies_.of_object(object.key));
  } else if (kind == Kind::kReferenceGrant) {
    grants_.erase(object.key);
    grant_changed(object.key.namespace_name, dirty);
  } else if (kind == Kind::kTrafficPolicy) {
    policies_.remove(object);
    policy_changed(object, dirty);
  } else if (kind == Kind::kScope) {
    scopes_.remove(object);
    dirty->scopes.insert(object.key.namespace_name);
  } else if (kind == Kind::kPeerAuthentication) {
    peer_authentications_.remove(object);
    mtls_changed(object.key.namespace_name, dirty);
  } else if (says_who_may_call(kind)) {
    authorizations_.remove(object);
    dirty->authorizations.insert(object.key.namespace_name);
  } else if (kind == Kind::kExternalAuthorizer) {
    authorizers_.remove(object);
    dirty->authorizers.insert(object.key);
  }
}

void Registry::put_in(const Object& object, Dirty* dirty) {
  const Kind kind = object.key.kind;
  if (is_service(kind)) {
    service_changed(object, dirty);
    if (kind == Kind::kExternalService) {
      for (const std::string& host : source::content_as<v1::ExternalService>(object).spec().hosts()) {
        claims_of_host_[host].insert({created_ms(object), object.key});
        dirty->hosts.insert(host);
      }
    }
  } else if (kind == Kind::kEndpointSlice) {
    const ServiceName name = service_name_of_slice(object);
    slices_of_service_[name].insert(object.key);
    dirty->endpoints.insert(name);
  } else if (is_route(kind)) {
    const RouteReferences names = references_of(object);
    for (const ServiceName& name : names.parents) routes_naming_[name].insert(object.key);
    for (const ServiceName& name : names.backends) routes_naming_[name].insert(object.key);
    dirty->routes.insert(object.key);
    dirty->policy_statuses.merge(policies_.of_object(object.key));
  } else if (kind == Kind::kReferenceGrant) {
    grants_.set(object);
    grant_changed(object.key.namespace_name, dirty);
  } else if (kind == Kind::kTrafficPolicy) {
    policies_.add(object);
    policy_changed(object, dirty);
  } else if (kind == Kind::kScope) {
    scopes_.add(object);
    dirty->scopes.insert(object.key.namespace_name);
  } else if (kind == Kind::kPeerAuthentication) {
    peer_authentications_.add(object);
    mtls_changed(object.key.namespace_name, dirty);
  } else if (says_who_may_call(kind)) {
    authorizations_.add(object);
    dirty->authorizations.insert(object.key.namespace_name);
    dirty->authorization_statuses.insert(object.key);
  } else if (kind == Kind::kExternalAuthorizer) {
    authorizers_.add(object);
    dirty->authorizers.insert(object.key);
  }
}

// An external service lives only while it is the oldest for each of its hosts.
bool Registry::in_conflict(const Object& object) const {
  if (object.key.kind != Kind::kExternalService) return false;
  for (const std::string& host : source::content_as<v1::ExternalService>(object).spec().hosts()) {
    if (claims_of_host_.at(host).begin()->second != object.key) return true;
  }
  return false;
}

void Registry::settle_hosts(Dirty* dirty) {
  std::set<Key> claimants;
  for (const std::string& host : dirty->hosts) {
    const auto claims = claims_of_host_.find(host);
    if (claims == claims_of_host_.end()) continue;
    for (const auto& [age, key] : claims->second) claimants.insert(key);
  }
  for (const Key& key : claimants) {
    const Object& object = objects_.at(key);
    auto status = std::make_shared<v1::ExternalServiceStatus>();
    const bool conflict = in_conflict(object);
    std::string message;
    for (const std::string& host : source::content_as<v1::ExternalService>(object).spec().hosts()) {
      const Key& owner = claims_of_host_.at(host).begin()->second;
      if (owner != key) text::append(&message, message.empty() ? "" : "; ", to_string(owner), " has the host ", host);
    }
    add_condition({"Accepted", !conflict, conflict ? "Conflicted" : "Accepted", message},
                  source::metadata_of(*object.content).generation(), status->mutable_conditions());
    set_status(key, std::move(status));
    const bool was_in = model_->services.find(service_name_of(key)) != nullptr;
    if (was_in == conflict) service_changed(object, dirty);
  }
}

void Registry::build_services(Model* model, const Dirty& dirty, ChangeSet* changes) {
  for (const ServiceName& name : dirty.services) {
    const Object* object = find_service(name);
    std::shared_ptr<Service> service;
    if (object != nullptr && !in_conflict(*object)) service = build_service(*object);
    const bool is_known_by_address = service != nullptr && !service->headless &&
                                     service->resolution != Resolution::kNone && !service->has_wildcard_host();
    if (is_known_by_address && service->addresses.empty()) {
      service->assigned = virtual_addresses_.assign(name);
    } else {
      virtual_addresses_.release(name);
    }
    replace<Service>(name, std::move(service), &model->services, &changes->services);
  }
  index_namespaces(changes->services, model);
  for (const ServiceName& name : dirty.endpoints) build_endpoints_of(name, model, changes);
}

void Registry::build_endpoints_of(const ServiceName& name, Model* model, ChangeSet* changes) {
  const auto service = model->services.find(name);
  std::shared_ptr<const Endpoints> endpoints;
  if (service != nullptr) {
    std::vector<Object> slices;
    const auto keys = slices_of_service_.find(name);
    if (keys != slices_of_service_.end()) {
      for (const Key& key : keys->second) slices.push_back(objects_.at(key));
    }
    const auto announced = workloads_.find(name);
    static const std::map<std::string, Workload> kNone;
    endpoints = build_endpoints(*service, *find_service(name), slices,
                                announced == workloads_.end() ? kNone : announced->second, [&](uint16_t app_port) {
                                  const MtlsMode mode = model->mtls_mode(name.namespace_name, name.name, app_port);
                                  return mode != MtlsMode::kDisable;
                                });
    const auto before = model->endpoints.find(name);
    if (before != nullptr && same(*before, *endpoints)) return;
  }
  replace(name, std::move(endpoints), &model->endpoints, &changes->endpoints);
}

void Registry::resolve_routes(Model* model, Dirty* dirty) {
  for (const Key& key : dirty->routes) {
    const auto before = resolved_.find(key);
    if (before != resolved_.end()) {
      for (const auto& parent : before->second.parents) {
        drop(&routes_attached_, parent.service, key);
        dirty->attached.insert(parent.service);
      }
      resolved_.erase(before);
    }
    const Object* object = find(key);
    if (object == nullptr) continue;
    ResolvedRoute route = resolve_route(*object, model->services, grants_, policies_);
    for (const auto& parent : route.parents) {
      routes_attached_[parent.service].insert(key);
      dirty->attached.insert(parent.service);
    }
    set_status(key, route.status);
    resolved_.emplace(key, std::move(route));
  }
}

void Registry::attach_routes(Model* model, const Dirty& dirty, ChangeSet* changes) {
  for (const ServiceName& name : dirty.attached) {
    std::shared_ptr<Routes> routes;
    if (model->services.find(name) != nullptr) {
      routes = std::make_shared<Routes>();
      const auto keys = routes_attached_.find(name);
      const std::set<Key> none;
      for (const Key& key : keys == routes_attached_.end() ? none : keys->second) {
        const ResolvedRoute& resolved = resolved_.at(key);
        for (const auto& parent : resolved.parents) {
          if (parent.service != name) continue;
          routes->attached.push_back({resolved.route, parent.port, key.namespace_name != name.namespace_name});
        }
      }
      // Of one age, the keys' own order decides: by kind, namespace and name.
      std::stable_sort(routes->attached.begin(), routes->attached.end(),
                       [](const auto& a, const auto& b) { return a.route->created_ms < b.route->created_ms; });
    }
    replace<Routes>(name, std::move(routes), &model->routes, &changes->routes);
  }
}

void Registry::apply_policies(Model* model, const Dirty& dirty, ChangeSet* changes) {
  for (const ServiceName& name : dirty.policies) {
    std::shared_ptr<Policies> policies;
    if (const auto service = model->services.find(name); service != nullptr) {
      policies = std::make_shared<Policies>();
      for (const ServicePort& port : service->ports) {
        policies->ports.push_back(policies_.for_port(key_of(name), port.name));
      }
    }
    replace<Policies>(name, std::move(policies), &model->policies, &changes->policies);
  }
  if (changes->policies.empty()) return;
  // By what a request is hashed stands in the routes that lead to a service, not in its cluster.
  model->routes.for_each([&](const ServiceName& name, const std::shared_ptr<const Routes>& routes) {
    if (leads_to_any(*routes, changes->policies)) changes->routes.insert(name);
  });
}

// What of the target is not there; empty if all is.
std::string Registry::missing_target(const PolicyTarget& target) const {
  if (target.kind != PolicyTarget::Kind::kObject) return "";
  const Object* object = find(target.object);
  if (object == nullptr) return cat(to_string(target.object), " does not exist");
  if (target.section.empty()) return "";
  if (is_route(target.object.kind)) {
    return has_rule(*object, target.section) ? "" : cat(to_string(target.object), " has no rule ", target.section);
  }
  const auto service = build_service(*object);
  const bool found = std::any_of(service->ports.begin(), service->ports.end(),
                                 [&](const ServicePort& port) { return port.name == target.section; });
  return found ? "" : cat(to_string(target.object), " has no TCP port ", target.section);
}

void Registry::judge_policies(const Dirty& dirty) {
  for (const Key& key : dirty.policy_statuses) {
    const Object* policy = find(key);
    if (policy == nullptr) continue;
    auto status = std::make_shared<v1::PolicyStatus>();
    for (const auto& reference : source::content_as<v1::TrafficPolicy>(*policy).spec().target_refs()) {
      const PolicyTarget target = target_of(reference, key.namespace_name);
      const Object* winner = policies_.winner(target);
      const std::string missing = missing_target(target);
      ConditionText condition{"Accepted", true, "Accepted", ""};
      if (!missing.empty()) {
        condition = {"Accepted", false, "TargetNotFound", missing};
      } else if (winner != nullptr && winner->key != key) {
        condition = {"Accepted", false, "Conflicted", cat(to_string(winner->key), " has this target, and is older")};
      }
      v1::PolicyAncestorStatus* ancestor = status->add_ancestors();
      *ancestor->mutable_ancestor_ref() = reference;
      ancestor->set_controller_name(kControllerName);
      add_condition(condition, source::metadata_of(*policy->content).generation(), ancestor->mutable_conditions());
    }
    set_status(key, std::move(status));
  }
}

void Registry::settle_scopes(Model* model, const Dirty& dirty, ChangeSet* changes) {
  std::set<Key> to_judge = dirty.scope_statuses;
  for (const std::string& name : dirty.scopes) {
    auto scopes = scopes_.of(name);
    if (scopes == nullptr) {
      model->scopes.erase({name});
    } else {
      model->scopes.set({name}, std::move(scopes));
    }
    changes->scopes.insert(name);
    to_judge.merge(scopes_.all_of(name));
  }
  for (const Key& key : to_judge) {
    if (const Object* scope = find(key)) set_status(key, scopes_.judge(*scope, model->services));
  }
}

void Registry::settle_mtls(Model* model, const Dirty& dirty, ChangeSet* changes) {
  for (const std::string& name : dirty.mtls) {
    auto mtls = peer_authentications_.of(name);
    if (mtls == nullptr) {
      model->mtls.erase({name});
    } else {
      model->mtls.set({name}, std::move(mtls));
    }
    changes->mtls.insert(name);
  }
}

void Registry::judge_mtls(const Model& model, const Dirty& dirty) {
  for (const std::string& name : dirty.mtls_statuses) {
    for (const Key& key : peer_authentications_.all_of(name)) {
      if (const Object* object = find(key)) set_status(key, peer_authentications_.judge(*object, model.services));
    }
  }
}

void Registry::settle_authorizations(Model* model, Dirty dirty, ChangeSet* changes) {
  for (const Key& key : dirty.authorizers) {
    if (const Object* object = find(key)) set_status(key, AuthorizerTable::judge(*object, model->services));
    for (const Key& policy : authorizations_.asking(key)) {
      dirty.authorizations.insert(policy.namespace_name);
      dirty.authorization_statuses.insert(policy);
    }
  }
  for (const std::string& name : dirty.authorizations) {
    auto policies = authorizations_.of(name, authorizers_, model->services);
    if (policies == nullptr) {
      model->authorizations.erase({name});
    } else {
      model->authorizations.set({name}, std::move(policies));
    }
    changes->authorizations.insert(name);
  }
  for (const Key& key : dirty.authorization_statuses) {
    if (const Object* policy = find(key))
      set_status(key, AuthorizationTable::judge(*policy, authorizers_, model->services));
  }
}

}  // namespace weft::control::registry
