#include "control-plane/compile/stream.h"

#include <algorithm>
#include <map>
#include <memory>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "control-plane/compile/duration.h"
#include "control-plane/compile/hop_metrics.h"
#include "control-plane/compile/names.h"
#include "control-plane/compile/policy.h"
#include "control-plane/compile/reach.h"
#include "envoy/config/listener/v3/listener.pb.h"
#include "envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector.pb.h"
#include "envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.pb.h"
#include "gateway/v1/stream_route.pb.h"
#include "weft/v1/traffic_policy.pb.h"

namespace weft::control::compile {

namespace {

using envoy::config::listener::v3::FilterChain;
using envoy::config::listener::v3::Listener;
using envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;
using gateway::v1::TCPRouteSpec;
using gateway::v1::TLSRouteSpec;
using registry::Route;
using registry::Service;
using registry::ServicePort;

constexpr char kLoopback[] = "127.0.0.1";
constexpr uint16_t kHttpsPort = 443;

template <typename Spec>
const Spec* spec_of(const Route& route) {
  const auto* spec = std::get_if<std::shared_ptr<const Spec>>(&route.spec);
  return spec == nullptr ? nullptr : spec->get();
}

// A port of a service, with all that says where its connections go.
struct Port {
  const Service* service;
  uint16_t number;
  const v1::TrafficPolicySpec* policy;
  // In order of precedence.
  std::vector<std::shared_ptr<const Route>> routes;
};

Port port_of(const registry::Model& model, const Service& service, uint16_t number, const Audience& audience) {
  const registry::EffectivePolicy* policy = policy_of(model, service.name, number);
  return {&service, number, policy == nullptr ? nullptr : policy->spec.get(),
          model.routes_for(service.name, number, audience.namespace_name)};
}

// The rule's own section lies over the port's.
void set_policies(const v1::TrafficPolicySpec* of_port, const v1::TrafficPolicySpec* of_rule, TcpProxy& proxy) {
  for (const v1::TrafficPolicySpec* policy : {of_rule, of_port}) {
    if (policy == nullptr || !policy->has_timeouts()) continue;
    if (!policy->timeouts().idle().empty()) *proxy.mutable_idle_timeout() = duration(policy->timeouts().idle());
    break;
  }
  for (const v1::TrafficPolicySpec* policy : {of_rule, of_port}) {
    if (policy == nullptr || !policy->has_retry()) continue;
    const uint32_t attempts = policy->retry().has_attempts() ? policy->retry().attempts() : 1;
    proxy.mutable_max_connect_attempts()->set_value(1 + attempts);
    break;
  }
}

// By the backends' weights; the share of one that leads nowhere is closed.
void set_backends(const registry::RouteRule& rule, TcpProxy& proxy, std::set<std::string>& clusters) {
  std::map<std::string, uint64_t> weights;
  for (const registry::Backend& backend : rule.backends) {
    if (backend.weight == 0) continue;
    const bool is_good = backend.unresolved_reason.empty();
    weights[is_good ? port_name(backend.service, backend.port) : std::string(kNowhere)] += backend.weight;
  }
  if (weights.empty()) weights.emplace(kNowhere, 1);
  for (const auto& [cluster, weight] : weights) {
    clusters.insert(cluster);
    if (weights.size() == 1) {
      proxy.set_cluster(cluster);
    } else {
      auto* weighted = proxy.mutable_weighted_clusters()->add_clusters();
      weighted->set_name(cluster);
      weighted->set_weight(static_cast<uint32_t>(weight));
    }
  }
}

// Where the port's connections go; `route` is null for one straight to the service.
void set_destination(const Port& port, const Route* route, FilterChain& chain, std::set<std::string>& clusters) {
  TcpProxy proxy;
  const std::string name = port_name(port.service->name, port.number);
  proxy.set_stat_prefix(name);
  const v1::TrafficPolicySpec* of_rule = nullptr;
  if (route == nullptr) {
    proxy.set_cluster(name);
    clusters.insert(name);
  } else {
    // Valid ones have one rule.
    const registry::RouteRule& rule = route->rules.front();
    set_backends(rule, proxy, clusters);
    if (rule.policy != nullptr) of_rule = rule.policy->spec.get();
  }
  set_policies(port.policy, of_rule, proxy);
  auto* filter = chain.add_filters();
  filter->set_name("envoy.filters.network.tcp_proxy");
  filter->mutable_typed_config()->PackFrom(proxy);
}

std::string chain_name(const Port& port, const Route* route) {
  if (route == nullptr) return straight_route_name(port.service->name, port.number);
  return absl::StrCat(route_name(route->origin.key, 0), "/", port_name(port.service->name, port.number));
}

// Adds a chain for those of `hosts` that no chain has yet.
void add_chain(const Port& port, const Route* route, const std::vector<std::string>& hosts,
               std::set<std::string>& taken, Listener& listener, std::set<std::string>& clusters) {
  FilterChain chain;
  chain.set_name(chain_name(port, route));
  for (const std::string& host : hosts) {
    if (taken.insert(host).second) chain.mutable_filter_chain_match()->add_server_names(host);
  }
  if (chain.filter_chain_match().server_names().empty()) return;
  set_destination(port, route, chain, clusters);
  *listener.add_filter_chains() = std::move(chain);
}

// Of a port on which a server name tells TLSRoutes apart, and the rest goes by the oldest TCPRoute. Without routes all
// of it goes to the service.
void add_port_chains(const Port& port, Listener& listener, std::set<std::string>& clusters) {
  std::set<std::string> taken;
  const Route* any = nullptr;
  bool has_tls_routes = false;
  const Route* any_name = nullptr;
  for (const auto& route : port.routes) {
    if (const auto* tls = spec_of<TLSRouteSpec>(*route)) {
      has_tls_routes = true;
      add_chain(port, route.get(), {tls->hostnames().begin(), tls->hostnames().end()}, taken, listener, clusters);
      if (tls->hostnames().empty() && any_name == nullptr) any_name = route.get();
    } else if (spec_of<TCPRouteSpec>(*route) != nullptr && any == nullptr) {
      any = route.get();
    }
  }
  if (has_tls_routes) inspect_tls(listener);
  if (any_name != nullptr) {
    FilterChain& chain = *listener.add_filter_chains();
    chain.set_name(chain_name(port, any_name));
    chain.mutable_filter_chain_match()->set_transport_protocol("tls");
    set_destination(port, any_name, chain, clusters);
  }
  // Where TLSRoutes say which names there are, others are not.
  if (any == nullptr && has_tls_routes) return;
  FilterChain& chain = *listener.add_filter_chains();
  chain.set_name(chain_name(port, any));
  set_destination(port, any, chain, clusters);
}

// The service that a caller of this audience names so; null if there is none with this port.
std::shared_ptr<const Service> find_service(const Reach& reach, const TcpTarget& target) {
  for (const std::shared_ptr<const Service>& service : reach.services()) {
    if (service->port(target.port) == nullptr || service->resolution == registry::Resolution::kNone) continue;
    const std::vector<std::string> hosts = hosts_for(*service, reach.audience());
    if (std::find(hosts.begin(), hosts.end(), target.host) != hosts.end()) return service;
  }
  return nullptr;
}

// The port that a server name alone stands for; null if none is TLS.
const ServicePort* main_tls_port(const Service& service) {
  const ServicePort* first = nullptr;
  for (const ServicePort& port : service.ports) {
    if (port.app_protocol != registry::AppProtocol::kTls) continue;
    if (first == nullptr || port.port == kHttpsPort) first = &port;
  }
  return first;
}

}  // namespace

std::string tcp_listener_name(uint16_t port) { return absl::StrCat(std::string(kOutboundTcp), ":", port); }

void inspect_tls(Listener& listener) {
  auto* inspector = listener.add_listener_filters();
  inspector->set_name("envoy.filters.listener.tls_inspector");
  inspector->mutable_typed_config()->PackFrom(envoy::extensions::filters::listener::tls_inspector::v3::TlsInspector());
}

void add_port_chains(const registry::Model& model, const Service& service, uint16_t port, const Audience& audience,
                     Listener& listener, std::set<std::string>& clusters) {
  add_port_chains(port_of(model, service, port, audience), listener, clusters);
}

void add_named_chains(const registry::Model& model, const Service& service, uint16_t number, const Audience& audience,
                      std::set<std::string>& taken, Listener& listener, std::set<std::string>& clusters) {
  const Port port = port_of(model, service, number, audience);
  bool is_by_name = false;
  const Route* any = nullptr;
  for (const auto& route : port.routes) {
    if (const auto* tls = spec_of<TLSRouteSpec>(*route)) {
      is_by_name = true;
      std::vector<std::string> hosts(tls->hostnames().begin(), tls->hostnames().end());
      if (hosts.empty()) hosts = hosts_for(service, audience);
      add_chain(port, route.get(), hosts, taken, listener, clusters);
    } else if (spec_of<TCPRouteSpec>(*route) != nullptr && any == nullptr) {
      any = route.get();
    }
  }
  if (!is_by_name || any != nullptr) add_chain(port, any, hosts_for(service, audience), taken, listener, clusters);
}

std::vector<snapshot::ResourcePointer> compile_tcp_listeners(const Reach& reach) {
  const registry::Model& model = reach.model();
  const Audience& audience = reach.audience();
  std::vector<snapshot::ResourcePointer> resources;
  for (const auto& [port_number, target] : audience.outbound_tcp) {
    const auto service = find_service(reach, target);
    if (service == nullptr) continue;
    Listener listener;
    listener.set_name(tcp_listener_name(port_number));
    auto* address = listener.mutable_address()->mutable_socket_address();
    address->set_address(kLoopback);
    address->set_port_value(port_number);
    std::set<std::string> clusters;
    add_port_chains(port_of(model, *service, target.port, audience), listener, clusters);
    if (audience.is_weft) measure_hops(v1::HopMetrics::SOURCE, listener);
    std::vector<snapshot::Reference> references;
    for (const std::string& cluster : clusters) references.push_back({snapshot::Type::kCluster, cluster});
    resources.push_back(
        snapshot::make_resource(snapshot::Type::kListener, listener.name(), listener, std::move(references)));
  }
  return resources;
}

void add_tls_chains(const registry::Model& model, const std::vector<std::shared_ptr<const Service>>& services,
                    const Audience& audience, Listener& listener, std::set<std::string>& clusters) {
  struct Attached {
    Port port;
    std::shared_ptr<const Route> route;
    std::vector<std::string> hosts;
  };
  std::vector<Attached> attached;
  std::vector<Attached> plain;
  // What chains of a service look at lives as long as the model.
  for (const std::shared_ptr<const Service>& service : services) {
    const ServicePort* main_port = main_tls_port(*service);
    for (const ServicePort& each : service->ports) {
      if (each.app_protocol != registry::AppProtocol::kTls) continue;
      const Port port = port_of(model, *service, each.port, audience);
      bool is_by_name = false;
      std::shared_ptr<const Route> any;
      for (const auto& route : port.routes) {
        if (const auto* tls = spec_of<TLSRouteSpec>(*route)) {
          is_by_name = is_by_name || !tls->hostnames().empty();
          std::vector<std::string> hosts(tls->hostnames().begin(), tls->hostnames().end());
          if (hosts.empty() && &each == main_port) hosts = hosts_for(*service, audience);
          attached.push_back({port, route, std::move(hosts)});
        } else if (spec_of<TCPRouteSpec>(*route) != nullptr && any == nullptr) {
          any = route;
        }
      }
      if (&each == main_port && (!is_by_name || any != nullptr))
        plain.push_back({port, any, hosts_for(*service, audience)});
    }
  }
  std::stable_sort(attached.begin(), attached.end(), [](const Attached& a, const Attached& b) {
    return std::tie(a.route->created_ms, a.route->origin.key) < std::tie(b.route->created_ms, b.route->origin.key);
  });
  const int before = listener.filter_chains_size();
  std::set<std::string> taken;
  for (const std::vector<Attached>* list : {&attached, &plain}) {
    for (const Attached& each : *list) {
      add_chain(each.port, each.route.get(), each.hosts, taken, listener, clusters);
    }
  }
  if (listener.filter_chains_size() == before) return;
  inspect_tls(listener);
  for (int i = 0; i < before; ++i) {
    listener.mutable_filter_chains(i)->mutable_filter_chain_match()->set_transport_protocol("raw_buffer");
  }
}

}  // namespace weft::control::compile
