#include "control-plane/compile/capture_outbound.h"

#include <map>
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "control-plane/compile/capture_parts.h"
#include "control-plane/compile/cluster.h"
#include "control-plane/compile/hop_metrics.h"
#include "control-plane/compile/listener.h"
#include "control-plane/compile/names.h"
#include "control-plane/compile/policy.h"
#include "control-plane/compile/reach.h"
#include "control-plane/compile/route.h"
#include "control-plane/compile/stream.h"
#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/config/listener/v3/listener.pb.h"
#include "envoy/config/route/v3/route.pb.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"

namespace weft::control::compile {

namespace {

using envoy::config::cluster::v3::Cluster;
using envoy::config::listener::v3::FilterChain;
using envoy::config::listener::v3::Listener;
using envoy::config::route::v3::RouteAction;
using envoy::config::route::v3::RouteConfiguration;
using envoy::config::route::v3::VirtualHost;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
using registry::AppProtocol;
using registry::Endpoint;
using registry::Service;
using registry::ServicePort;
using snapshot::Reference;
using snapshot::ResourcePointer;
using snapshot::Type;

constexpr char kLoopbackIpv4[] = "127.0.0.1";
constexpr char kLoopbackIpv6[] = "::1";
constexpr uint32_t kRefusedStatus = 502;
constexpr char kRefusedBody[] =
    "weft: the mesh does not know this destination, and outboundTrafficPolicy REGISTRY_ONLY refuses those that it does "
    "not know\n";

ResourcePointer finish(const Audience& audience, Listener listener, std::vector<Reference> references) {
  if (audience.is_weft) measure_hops(v1::HopMetrics::SOURCE, listener);
  return snapshot::make_resource(Type::kListener, listener.name(), listener, std::move(references));
}

void add_references(const std::set<std::string>& clusters, std::vector<Reference>& references) {
  for (const std::string& cluster : clusters) references.push_back({Type::kCluster, cluster});
}

// All captured connections are one listener to who looks at metrics.
Listener captured_listener(std::string name) {
  Listener listener;
  listener.set_name(std::move(name));
  listener.set_stat_prefix(std::string(kCaptured));
  listener.set_traffic_direction(envoy::config::core::v3::OUTBOUND);
  return listener;
}

// One to which the other hands connections.
Listener handed_listener(std::string name, const std::vector<std::pair<std::string, uint16_t>>& addresses) {
  Listener listener = captured_listener(std::move(name));
  listener.mutable_bind_to_port()->set_value(false);
  for (size_t i = 0; i < addresses.size(); ++i) {
    auto* address = i == 0 ? listener.mutable_address() : listener.add_additional_addresses()->mutable_address();
    set_address(addresses[i].first, addresses[i].second, *address);
  }
  return listener;
}

HttpConnectionManager captured_manager(const std::string& route_name) {
  HttpConnectionManager manager = connection_manager(route_name);
  manager.set_stat_prefix(std::string(kCaptured));
  return manager;
}

// The chains of a port by its protocol; `add_rest` adds those for what is not HTTP. Whether HTTP is among them.
template <typename AddRest>
bool add_chains(const std::string& name, AppProtocol protocol, const HttpConnectionManager& manager, Listener& listener,
                AddRest add_rest) {
  if (!is_http(protocol)) {
    add_rest();
    return false;
  }
  FilterChain* http = listener.add_filter_chains();
  http->set_name(name);
  set_http(manager, *http);
  if (protocol == AppProtocol::kDetect) {
    match_http(*http);
    inspect_http(listener);
    add_rest();
    FilterChain* last = listener.mutable_filter_chains(listener.filter_chains_size() - 1);
    if (!last->has_filter_chain_match()) {
      listener.mutable_default_filter_chain()->Swap(last);
      listener.mutable_filter_chains()->RemoveLast();
    }
  }
  return true;
}

ResourcePointer captured_port(const registry::Model& model, const Service& service, const ServicePort& port,
                              const Audience& audience) {
  std::vector<std::pair<std::string, uint16_t>> addresses;
  for (const std::string& address : service.virtual_addresses()) addresses.emplace_back(address, port.port);
  const std::string name = port_name(service.name, port.port);
  Listener listener = handed_listener(captured_name(name), addresses);
  std::set<std::string> clusters;
  const bool has_http = add_chains(name, port.app_protocol, captured_manager(name), listener,
                                   [&] { add_port_chains(model, service, port.port, audience, listener, clusters); });
  std::vector<Reference> references;
  if (has_http) references.push_back({Type::kRoute, name});
  add_references(clusters, references);
  return finish(audience, std::move(listener), std::move(references));
}

ResourcePointer port_route(const registry::Model& model, const Service& service, uint16_t port,
                           const Audience& audience) {
  RouteConfiguration routes;
  routes.set_name(port_name(service.name, port));
  VirtualHost* host = routes.add_virtual_hosts();
  host->set_name(routes.name());
  host->add_domains("*");
  std::set<std::string> clusters;
  compile_routes(model, service, port, audience, *host, clusters);
  std::vector<Reference> references;
  add_references(clusters, references);
  return snapshot::make_resource(Type::kRoute, routes.name(), routes, std::move(references));
}

// What goes to the whole service goes to the endpoint that the caller chose.
void send_to_endpoint(const std::string& service_cluster, const std::string& endpoint_cluster, VirtualHost& host) {
  for (auto& route : *host.mutable_routes()) {
    if (!route.has_route()) continue;
    RouteAction& action = *route.mutable_route();
    if (action.cluster() == service_cluster) action.set_cluster(endpoint_cluster);
    if (!action.has_weighted_clusters()) continue;
    for (auto& weighted : *action.mutable_weighted_clusters()->mutable_clusters()) {
      if (weighted.name() == service_cluster) weighted.set_name(endpoint_cluster);
    }
  }
}

Resources captured_endpoint(const registry::Model& model, const Service& service, const ServicePort& port,
                            const Endpoint& endpoint, const Audience& audience) {
  const std::string of_service = port_name(service.name, port.port);
  ResourcePointer cluster =
      compile_endpoint_cluster(service, port, endpoint, policy_of(model, service.name, port.port), audience);
  const std::string name = cluster->name;
  Listener listener = handed_listener(captured_name(name), {{endpoint.address, endpoint.port}});
  std::set<std::string> clusters = {name};
  HttpConnectionManager manager = captured_manager(name);
  // Too small, and too many, for resources of their own.
  RouteConfiguration& routes = *manager.mutable_route_config();
  routes.set_name(name);
  VirtualHost* host = routes.add_virtual_hosts();
  host->set_name(name);
  host->add_domains("*");
  std::set<std::string> routed;
  compile_routes(model, service, port.port, audience, *host, routed);
  send_to_endpoint(of_service, name, *host);
  routed.erase(of_service);
  const bool has_http = add_chains(name, port.app_protocol, manager, listener, [&] {
    FilterChain* chain = listener.add_filter_chains();
    chain->set_name(name);
    set_tcp(name, *chain);
  });
  if (has_http) clusters.merge(routed);
  std::vector<Reference> references;
  add_references(clusters, references);
  return {std::move(cluster), finish(audience, std::move(listener), std::move(references))};
}

void add_unknown(const Audience& audience, Listener& listener, std::vector<Reference>& references) {
  FilterChain* rest = listener.mutable_default_filter_chain();
  rest->set_name("unknown destination");
  const std::string_view cluster = audience.capture.refuses_unknown ? kNowhere : kPassthrough;
  set_tcp(cluster, *rest);
  references.push_back({Type::kCluster, std::string(cluster)});
}

// Who speaks HTTP is told why, or is passed on.
VirtualHost unknown_host(const Audience& audience) {
  VirtualHost host;
  host.set_name("unknown destination");
  host.add_domains("*");
  auto* route = host.add_routes();
  route->set_name("unknown destination");
  route->mutable_match()->set_prefix("/");
  if (audience.capture.refuses_unknown) {
    route->mutable_direct_response()->set_status(kRefusedStatus);
    route->mutable_direct_response()->mutable_body()->set_inline_string(kRefusedBody);
  } else {
    route->mutable_route()->set_cluster(std::string(kPassthrough));
    // How long a call may take is for the two who know each other to say.
    route->mutable_route()->mutable_timeout();
  }
  return host;
}

ResourcePointer compile_passthrough() {
  Cluster cluster;
  cluster.set_name(std::string(kPassthrough));
  set_original_destination(cluster);
  follow_protocol(cluster);
  return snapshot::make_resource(Type::kCluster, cluster.name(), cluster);
}

// What a port of services that are known by host needs.
struct HostPort {
  std::vector<std::shared_ptr<const Service>> http;
  std::vector<std::shared_ptr<const Service>> tls;
};

Resources captured_host_port(const registry::Model& model, const Audience& audience, uint16_t port,
                             const HostPort& services) {
  const std::string name = captured_port_name(port);
  Listener listener = handed_listener(name, {{kAnyIpv4, port}, {kAnyIpv6, port}});
  std::vector<Reference> references;
  std::set<std::string> clusters;
  std::set<std::string> taken;
  for (const auto& service : services.tls) add_named_chains(model, *service, port, audience, taken, listener, clusters);
  if (listener.filter_chains_size() > 0) inspect_tls(listener);
  Resources resources;
  if (!services.http.empty()) {
    FilterChain* http = listener.add_filter_chains();
    http->set_name(name);
    set_http(captured_manager(name), *http);
    match_http(*http);
    inspect_http(listener);
    references.push_back({Type::kRoute, name});
    resources.push_back(compile_host_route(name, model, services.http, port, audience, unknown_host(audience)));
  }
  set_detection(listener);
  add_unknown(audience, listener, references);
  add_references(clusters, references);
  resources.push_back(finish(audience, std::move(listener), std::move(references)));
  return resources;
}

}  // namespace

bool takes_calls(const Endpoint& endpoint, const Service& service) {
  return endpoint.ready || endpoint.draining || service.publish_not_ready;
}

Resources captured_service(const registry::Model& model, const Service& service, const Audience& audience) {
  Resources resources;
  for (const ServicePort& port : service.ports) {
    if (service.headless) {
      const auto endpoints = model.endpoints.find(service.name);
      if (endpoints == nullptr) continue;
      for (const Endpoint& endpoint : endpoints->of(port.port)) {
        if (!takes_calls(endpoint, service)) continue;
        for (ResourcePointer& each : captured_endpoint(model, service, port, endpoint, audience)) {
          resources.push_back(std::move(each));
        }
      }
      continue;
    }
    if (service.virtual_addresses().empty()) continue;
    if (is_http(port.app_protocol)) resources.push_back(port_route(model, service, port.port, audience));
    resources.push_back(captured_port(model, service, port, audience));
  }
  return resources;
}

Resources captured_service(const registry::Model& model, const Service& service, const Audience& audience,
                           Cache& cache) {
  if (has_consumer_routes(model, service.name, audience)) return captured_service(model, service, audience);
  std::optional<Resources>& known =
      cache.of(service.name).captured[(audience.trust_domain.empty() ? 0 : 1) + (audience.is_weft ? 2 : 0)];
  if (known.has_value()) return *known;
  known.emplace();
  for (ResourcePointer& resource : captured_service(model, service, audience)) {
    known->push_back(cache.interner().intern(std::move(resource)));
  }
  return *known;
}

Resources captured_rest(const Audience& audience) {
  const std::string name(kCaptured);
  Listener listener = captured_listener(name);
  set_address(kLoopbackIpv4, audience.capture.port, *listener.mutable_address());
  if (audience.capture.ipv6) {
    set_address(kLoopbackIpv6, audience.capture.port, *listener.add_additional_addresses()->mutable_address());
  }
  listener.mutable_use_original_dst()->set_value(true);
  restore_destination(listener);
  std::vector<Reference> references;
  // Made to the proxy itself: passed on, it would come back for ever.
  FilterChain* own = listener.add_filter_chains();
  own->set_name("loop");
  own->mutable_filter_chain_match()->mutable_destination_port()->set_value(audience.capture.port);
  match_range("127.0.0.0", 8, *own);
  match_range(kLoopbackIpv6, 128, *own);
  set_tcp(kNowhere, *own);
  references.push_back({Type::kCluster, std::string(kNowhere)});
  if (audience.capture.refuses_unknown) {
    FilterChain* http = listener.add_filter_chains();
    http->set_name("unknown destination, HTTP");
    HttpConnectionManager manager = captured_manager(name);
    manager.mutable_route_config()->set_name(name);
    *manager.mutable_route_config()->add_virtual_hosts() = unknown_host(audience);
    set_http(manager, *http);
    match_http(*http);
    inspect_http(listener);
    set_detection(listener);
  }
  add_unknown(audience, listener, references);
  return {compile_passthrough(), finish(audience, std::move(listener), std::move(references))};
}

bool is_known_by_host(const Service& service) {
  return !service.headless && service.addresses.empty() &&
         (service.name.external || service.resolution != registry::Resolution::kStatic);
}

Resources captured_hosts(const Reach& reach) {
  std::map<uint16_t, HostPort> ports;
  for (const std::shared_ptr<const Service>& service : reach.services()) {
    if (!is_known_by_host(*service)) continue;
    for (const ServicePort& port : service->ports) {
      if (port.app_protocol == AppProtocol::kTls) ports[port.port].tls.push_back(service);
      if (is_http(port.app_protocol)) ports[port.port].http.push_back(service);
    }
  }
  Resources resources;
  for (const auto& [port, services] : ports) {
    for (ResourcePointer& each : captured_host_port(reach.model(), reach.audience(), port, services)) {
      resources.push_back(std::move(each));
    }
  }
  return resources;
}

}  // namespace weft::control::compile
