#include "control-plane/compile/reach.h"

#include <algorithm>

namespace weft::control::compile {

using registry::HostPattern;
using registry::Service;
using registry::ServiceName;

std::optional<Hosts> scope_of(const registry::Scope* scope, const std::optional<Hosts>& declared) {
  if (scope == nullptr) return declared;
  return declared.has_value() ? registry::intersect(*declared, scope->hosts) : scope->hosts;
}

bool Reach::has(const Service& service) const {
  return service.exported.allows(audience_.namespace_name) &&
         (!audience_.scope.has_value() || registry::matches_any(*audience_.scope, service.name));
}

std::shared_ptr<const Service> Reach::find(const ServiceName& name) const {
  auto service = model_.services.find(name);
  return service == nullptr || !has(*service) ? nullptr : service;
}

std::set<ServiceName> Reach::candidates() const {
  std::set<ServiceName> names;
  for (const HostPattern& pattern : *audience_.scope) {
    if (pattern.is_exact()) {
      for (const bool external : {false, true}) names.insert({pattern.namespace_name, pattern.name, external});
    } else if (pattern.namespace_name == "*") {
      model_.services.for_each([&](const ServiceName& name, const auto&) {
        if (pattern.matches(name)) names.insert(name);
      });
    } else if (const auto all = model_.by_namespace.find({pattern.namespace_name}); all != nullptr) {
      names.insert(all->begin(), all->end());
    }
  }
  return names;
}

std::set<ServiceName> Reach::borrowed() const {
  std::set<ServiceName> names;
  const auto note = [&](const registry::Backend& backend) {
    if (!backend.unresolved_reason.empty()) return;
    const auto service = model_.services.find(backend.service);
    if (service != nullptr && !has(*service)) names.insert(backend.service);
  };
  for_each([&](const std::shared_ptr<const Service>& service) {
    const auto routes = model_.routes.find(service->name);
    if (routes == nullptr || routes->attached.empty()) return;
    for (const registry::ServicePort& port : service->ports) {
      for (const auto& route : model_.routes_for(service->name, port.port, audience_.namespace_name)) {
        for (const registry::RouteRule& rule : route->rules) {
          std::for_each(rule.backends.begin(), rule.backends.end(), note);
          std::for_each(rule.mirrors.begin(), rule.mirrors.end(), note);
        }
      }
    }
  });
  return names;
}

}  // namespace weft::control::compile
