#include "control-plane/registry/scopes.h"

#include <algorithm>

#include "api/text/cat.h"
#include "control-plane/registry/services.h"
#include "control-plane/registry/status.h"
#include "control-plane/registry/validate.h"
#include "weft/v1/scope.pb.h"

namespace weft::control::registry {

namespace {

using source::Key;
using source::Object;
using text::cat;

const v1::ScopeSpec& spec_of(const Object& scope) { return source::content_as<v1::Scope>(scope).spec(); }

std::vector<HostPattern> hosts_of(const Object& scope) {
  std::vector<HostPattern> hosts;
  for (const std::string& host : spec_of(scope).hosts()) {
    auto pattern = parse_host_pattern(host, scope.key.namespace_name);
    if (pattern.has_value()) hosts.push_back(*std::move(pattern));
  }
  if (hosts.empty()) hosts.push_back({.namespace_name = "*", .name = "*"});
  sort_patterns(hosts);
  return hosts;
}

bool is_for(const Object& scope, const std::string& service) {
  const auto& services = spec_of(scope).services();
  if (service.empty()) return services.empty();
  return std::find(services.begin(), services.end(), service) != services.end();
}

// Namespace and name of every service that it names.
std::set<std::pair<std::string, std::string>> names_in(const Object& scope) {
  std::set<std::pair<std::string, std::string>> names;
  for (const HostPattern& host : hosts_of(scope)) {
    if (host.is_exact()) names.emplace(host.namespace_name, host.name);
  }
  for (const std::string& service : spec_of(scope).services()) names.emplace(scope.key.namespace_name, service);
  return names;
}

ScopePointer compiled(const Object* scope) {
  if (scope == nullptr) return nullptr;
  auto out = std::make_shared<Scope>();
  out->origin = {scope->key, scope->revision};
  out->hosts = hosts_of(*scope);
  if (spec_of(*scope).has_outbound_traffic_policy()) {
    out->refuses_unknown = spec_of(*scope).outbound_traffic_policy().mode() == kRegistryOnly;
  }
  return out;
}

// What of a service by this name a workload of `from` cannot have; empty if there is one that it may see.
std::string missing(const SharedMap<ServiceName, Service>& services, const std::string& namespace_name,
                    const std::string& name, const std::string& from) {
  std::string hidden;
  for (const bool external : {false, true}) {
    const auto service = services.find({namespace_name, name, external});
    if (service == nullptr) continue;
    if (service->exported.allows(from) || from == kRootNamespace) return "";
    hidden = cat("the service ", namespace_name, "/", name, " is exported to ", to_string(service->exported),
                 ", not to ", from);
  }
  return hidden.empty() ? cat("the service ", namespace_name, "/", name, " does not exist") : hidden;
}

}  // namespace

void ScopeTable::add(const Object& scope) {
  scopes_[scope.key.namespace_name].insert_or_assign({created_ms(scope), scope.key}, scope);
  for (const auto& name : names_in(scope)) naming_[name].insert(scope.key);
}

void ScopeTable::remove(const Object& scope) {
  const auto found = scopes_.find(scope.key.namespace_name);
  if (found == scopes_.end()) return;
  found->second.erase({created_ms(scope), scope.key});
  if (found->second.empty()) scopes_.erase(found);
  for (const auto& name : names_in(scope)) {
    const auto naming = naming_.find(name);
    if (naming == naming_.end()) continue;
    naming->second.erase(scope.key);
    if (naming->second.empty()) naming_.erase(naming);
  }
}

// The oldest that is for the service, or, without a name, for the whole namespace.
const Object* ScopeTable::winner(const OfNamespace& scopes, const std::string& service) {
  for (const auto& [age, scope] : scopes) {
    if (is_for(scope, service)) return &scope;
  }
  return nullptr;
}

std::shared_ptr<const NamespaceScopes> ScopeTable::of(const std::string& namespace_name) const {
  const auto found = scopes_.find(namespace_name);
  if (found == scopes_.end()) return nullptr;
  auto out = std::make_shared<NamespaceScopes>();
  out->whole = compiled(winner(found->second, ""));
  for (const auto& [age, scope] : found->second) {
    for (const std::string& service : spec_of(scope).services()) {
      ScopePointer& holds = out->of_service[service];
      if (holds == nullptr) holds = compiled(&scope);
    }
  }
  return out;
}

std::set<Key> ScopeTable::all_of(const std::string& namespace_name) const {
  std::set<Key> keys;
  const auto found = scopes_.find(namespace_name);
  if (found == scopes_.end()) return keys;
  for (const auto& [age, scope] : found->second) keys.insert(scope.key);
  return keys;
}

std::set<Key> ScopeTable::naming(const ServiceName& service) const {
  const auto found = naming_.find({service.namespace_name, service.name});
  return found == naming_.end() ? std::set<Key>() : found->second;
}

std::shared_ptr<v1::ScopeStatus> ScopeTable::judge(const Object& scope,
                                                   const SharedMap<ServiceName, Service>& services) const {
  const std::string& own = scope.key.namespace_name;
  const OfNamespace& all = scopes_.at(own);
  std::string taken;
  const auto look_for_older = [&](const std::string& service) {
    const Object* holds = winner(all, service);
    if (holds == nullptr || holds->key == scope.key) return;
    text::append(&taken, taken.empty() ? "" : "; ", to_string(holds->key), " holds for ",
                 service.empty() ? "the namespace" : service, ", and is older");
  };
  std::string unresolved;
  const auto note = [&](const std::string& what) {
    if (!what.empty()) text::append(&unresolved, unresolved.empty() ? "" : "; ", what);
  };
  for (const std::string& service : spec_of(scope).services()) {
    look_for_older(service);
    note(missing(services, own, service, own));
  }
  if (spec_of(scope).services().empty()) look_for_older("");
  for (const HostPattern& host : hosts_of(scope)) {
    if (host.is_exact()) note(missing(services, host.namespace_name, host.name, own));
  }
  auto status = std::make_shared<v1::ScopeStatus>();
  const uint32_t generation = source::metadata_of(*scope.content).generation();
  add_condition({"Accepted", taken.empty(), taken.empty() ? "Accepted" : "Conflicted", taken}, generation,
                status->mutable_conditions());
  add_condition(
      {"ResolvedRefs", unresolved.empty(), unresolved.empty() ? "ResolvedRefs" : "ServiceNotFound", unresolved},
      generation, status->mutable_conditions());
  return status;
}

}  // namespace weft::control::registry
