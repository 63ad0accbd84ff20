#include "control-plane/registry/model.h"

#include <algorithm>

namespace weft::control::registry {

bool Service::has_wildcard_host() const {
  return std::any_of(hosts.begin(), hosts.end(), [](const std::string& host) { return host.starts_with("*."); });
}

const ServicePort* Service::port(uint16_t number) const {
  for (const ServicePort& port : ports) {
    if (port.port == number) return &port;
  }
  return nullptr;
}

std::vector<uint16_t> Service::ports_of_app(uint16_t app_port) const {
  std::vector<uint16_t> numbers;
  for (const ServicePort& port : ports) {
    if (port.target_port == app_port) numbers.push_back(port.port);
  }
  if (numbers.empty() && ports.size() == 1) numbers.push_back(ports.front().port);
  return numbers;
}

const std::vector<Endpoint>& Endpoints::of(uint16_t service_port) const {
  static const std::vector<Endpoint> kNone;
  for (const Port& port : ports) {
    if (port.service_port == service_port) return port.endpoints;
  }
  return kNone;
}

std::vector<std::shared_ptr<const Route>> Model::routes_for(const ServiceName& service, uint16_t port,
                                                            std::string_view client_namespace) const {
  std::vector<std::shared_ptr<const Route>> own;
  std::vector<std::shared_ptr<const Route>> consumers;
  const auto of_service = routes.find(service);
  if (of_service == nullptr) return own;
  for (const AttachedRoute& attached : of_service->attached) {
    if (attached.port.has_value() && *attached.port != port) continue;
    if (!attached.consumer) {
      own.push_back(attached.route);
    } else if (attached.route->origin.key.namespace_name == client_namespace) {
      consumers.push_back(attached.route);
    }
  }
  return consumers.empty() ? own : consumers;
}

ScopePointer Model::scope_for(const std::string& namespace_name, const std::string& service) const {
  if (const auto own = scopes.find({namespace_name}); own != nullptr) {
    const auto found = own->of_service.find(service);
    if (found != own->of_service.end()) return found->second;
    if (own->whole != nullptr) return own->whole;
  }
  const auto root = scopes.find({std::string(kRootNamespace)});
  return root == nullptr ? nullptr : root->whole;
}

MtlsMode Model::mtls_mode(const std::string& namespace_name, const std::string& service, uint16_t app_port) const {
  if (const auto own = mtls.find({namespace_name}); own != nullptr) {
    if (const auto found = own->of_service.find(service); found != own->of_service.end()) {
      const auto port = found->second->ports.find(app_port);
      if (port != found->second->ports.end()) return port->second;
      if (found->second->mode.has_value()) return *found->second->mode;
    }
    if (own->whole != nullptr && own->whole->mode.has_value()) return *own->whole->mode;
  }
  const auto root = mtls.find({std::string(kRootNamespace)});
  const bool has_root = root != nullptr && root->whole != nullptr && root->whole->mode.has_value();
  return has_root ? *root->whole->mode : MtlsMode::kPermissive;
}

bool may_be_disabled(const NamespaceMtls& mtls) {
  const auto is_disabled = [](const Mtls& each) {
    return each.mode == MtlsMode::kDisable || std::any_of(each.ports.begin(), each.ports.end(), [](const auto& port) {
             return port.second == MtlsMode::kDisable;
           });
  };
  if (mtls.whole != nullptr && is_disabled(*mtls.whole)) return true;
  return std::any_of(mtls.of_service.begin(), mtls.of_service.end(),
                     [&](const auto& each) { return is_disabled(*each.second); });
}

bool Model::refuses_unknown(const std::string& namespace_name, const std::string& service) const {
  if (const ScopePointer scope = scope_for(namespace_name, service); scope != nullptr && scope->refuses_unknown) {
    return *scope->refuses_unknown;
  }
  const auto root = scopes.find({std::string(kRootNamespace)});
  return root != nullptr && root->whole != nullptr && root->whole->refuses_unknown.value_or(false);
}

CallerRules Model::caller_rules_for(const ServiceName& service) const {
  CallerRules out;
  const auto add = [&](const std::string& namespace_name) {
    const auto found = authorizations.find({namespace_name});
    if (found == nullptr) return;
    const auto add_those_of = [&](const auto& from, auto* to) {
      for (const auto& each : from) {
        const bool holds = each.services.empty() ||
                           std::find(each.services.begin(), each.services.end(), service.name) != each.services.end();
        if (holds) to->emplace_back(found, &each);
      }
    };
    add_those_of(found->policies, &out.policies);
    add_those_of(found->tokens, &out.tokens);
  };
  add(std::string(kRootNamespace));
  if (service.namespace_name != kRootNamespace) add(service.namespace_name);
  return out;
}

void ChangeSet::merge(const ChangeSet& later) {
  services.insert(later.services.begin(), later.services.end());
  endpoints.insert(later.endpoints.begin(), later.endpoints.end());
  routes.insert(later.routes.begin(), later.routes.end());
  policies.insert(later.policies.begin(), later.policies.end());
  scopes.insert(later.scopes.begin(), later.scopes.end());
  mtls.insert(later.mtls.begin(), later.mtls.end());
  authorizations.insert(later.authorizations.begin(), later.authorizations.end());
}

}  // namespace weft::control::registry
