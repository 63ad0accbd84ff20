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

Services Reach::in_scope() const {
  Services services;
  const auto add = [&](const ServiceName& name) {
    if (auto service = model_.services.find(name)) services.push_back(std::move(service));
  };
  // Patterns are in the order of names, each once, so services are too, as long as each pattern is of one name.
  bool is_sorted = true;
  for (const HostPattern& pattern : *audience_.scope) {
    if (pattern.is_exact()) {
      for (const bool external : {false, true}) add({pattern.namespace_name, pattern.name, external});
      continue;
    }
    is_sorted = false;
    if (pattern.namespace_name == "*") {
      model_.services.for_each([&](const ServiceName& name, const auto& service) {
        if (pattern.matches(name)) services.push_back(service);
      });
    } else if (const auto all = model_.by_namespace.find({pattern.namespace_name}); all != nullptr) {
      all->for_each([&](const ServiceName&, const auto& service) { services.push_back(service); });
    }
  }
  if (is_sorted) return services;
  const auto by_name = [](const auto& a, const auto& b) { return a->name < b->name; };
  std::sort(services.begin(), services.end(), by_name);
  services.erase(std::unique(services.begin(), services.end()), services.end());
  return services;
}

const Services& Reach::services() const {
  if (services_.has_value()) return *services_;
  Services& services = services_.emplace();
  if (audience_.scope.has_value()) {
    services = in_scope();
  } else {
    model_.services.for_each([&](const ServiceName&, const auto& service) { services.push_back(service); });
  }
  std::erase_if(services, [&](const auto& service) { return !service->exported.allows(audience_.namespace_name); });
  return services;
}

std::set<ServiceName> Reach::borrowed() const {
  std::set<ServiceName> names;
  const auto lend = [&](const ServiceName& name) {
    const auto service = model_.services.find(name);
    if (service != nullptr && !has(*service)) names.insert(name);
  };
  const auto note = [&](const registry::Backend& backend) {
    if (backend.unresolved_reason.empty()) lend(backend.service);
  };
  std::for_each(audience_.authorizers.begin(), audience_.authorizers.end(), lend);
  for (const std::shared_ptr<const Service>& service : services()) {
    const auto routes = model_.routes.find(service->name);
    if (routes == nullptr || routes->attached.empty()) continue;
    for (const registry::ServicePort& port : service->ports) {
      for (const auto& route : model_.routes_for(service->name, port.port, audience_.namespace_name)) {
        for (const registry::RouteRule& rule : route->rules) {
          std::for_each(rule.backends.begin(), rule.backends.end(), note);
          std::for_each(rule.mirrors.begin(), rule.mirrors.end(), note);
        }
      }
    }
  }
  return names;
}

}  // namespace weft::control::compile
