#include "control-plane/compile/listener.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "control-plane/compile/names.h"
#include "control-plane/compile/reach.h"
#include "control-plane/compile/route.h"
#include "envoy/config/listener/v3/listener.pb.h"
#include "envoy/config/route/v3/route.pb.h"
#include "envoy/extensions/filters/http/router/v3/router.pb.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"

namespace weft::control::compile {

namespace {

using envoy::config::listener::v3::Listener;
using envoy::config::route::v3::RouteConfiguration;
using envoy::config::route::v3::VirtualHost;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
using snapshot::ResourcePointer;
using snapshot::Type;

constexpr uint16_t kHttpPort = 80;
constexpr char kLoopback[] = "127.0.0.1";

ResourcePointer route_resource(const RouteConfiguration& routes, const std::set<std::string>& clusters) {
  std::vector<snapshot::Reference> references;
  for (const std::string& cluster : clusters) references.push_back({Type::kCluster, cluster});
  return snapshot::make_resource(Type::kRoute, routes.name(), routes, std::move(references));
}

// A host alone stands for its HTTP port, or for the only port that it has.
bool is_main_port(const registry::Service& service, uint16_t port) {
  if (port == kHttpPort) return true;
  const auto http_ports = std::count_if(service.ports.begin(), service.ports.end(),
                                        [](const registry::ServicePort& each) { return is_http(each.app_protocol); });
  return http_ports == 1 && service.port(kHttpPort) == nullptr;
}

}  // namespace

HttpConnectionManager connection_manager(const std::string& route_name) {
  HttpConnectionManager manager;
  manager.set_stat_prefix(route_name);
  auto* routes = manager.mutable_rds();
  routes->set_route_config_name(route_name);
  routes->mutable_config_source()->mutable_ads();
  routes->mutable_config_source()->set_resource_api_version(envoy::config::core::v3::V3);
  auto* router = manager.add_http_filters();
  router->set_name("envoy.filters.http.router");
  router->mutable_typed_config()->PackFrom(envoy::extensions::filters::http::router::v3::Router());
  return manager;
}

bool is_http(registry::AppProtocol protocol) {
  return protocol != registry::AppProtocol::kTls && protocol != registry::AppProtocol::kTcp;
}

std::vector<ResourcePointer> compile_client_listeners(const registry::Model& model, const registry::Service& service,
                                                      uint16_t port, const Audience& audience) {
  const std::string route_name = port_name(service.name, port);
  RouteConfiguration routes;
  routes.set_name(route_name);
  VirtualHost* host = routes.add_virtual_hosts();
  host->set_name(route_name);
  host->add_domains("*");
  std::set<std::string> clusters;
  compile_routes(model, service, port, audience, *host, clusters);
  std::vector<ResourcePointer> resources = {route_resource(routes, clusters)};
  for (const std::string& name : hosts_for(service, audience)) {
    Listener listener;
    listener.set_name(absl::StrCat(name, ":", port));
    listener.mutable_api_listener()->mutable_api_listener()->PackFrom(connection_manager(route_name));
    resources.push_back(
        snapshot::make_resource(Type::kListener, listener.name(), listener, {{Type::kRoute, route_name}}));
  }
  return resources;
}

std::vector<ResourcePointer> compile_outbound_listener(const registry::Model& model, const Audience& audience) {
  const std::string name(kOutbound);
  RouteConfiguration routes;
  routes.set_name(name);
  std::set<std::string> clusters;
  std::set<std::string> taken;
  Reach(model, audience).for_each([&](const std::shared_ptr<const registry::Service>& service) {
    for (const registry::ServicePort& port : service->ports) {
      if (!is_http(port.app_protocol)) continue;
      VirtualHost host;
      host.set_name(port_name(service->name, port.port));
      const auto add = [&](std::string domain) {
        // Of two external services with one host, the first has it; two equal domains are an error on the wire.
        if (taken.insert(domain).second) host.add_domains(std::move(domain));
      };
      std::vector<std::string> hosts = hosts_for(*service, audience);
      hosts.insert(hosts.end(), service->addresses.begin(), service->addresses.end());
      for (const std::string& each : hosts) {
        add(absl::StrCat(each, ":", port.port));
        if (is_main_port(*service, port.port)) add(each);
      }
      if (host.domains().empty()) continue;
      compile_routes(model, *service, port.port, audience, host, clusters);
      *routes.add_virtual_hosts() = std::move(host);
    }
  });

  Listener listener;
  listener.set_name(name);
  auto* address = listener.mutable_address()->mutable_socket_address();
  address->set_address(kLoopback);
  address->set_port_value(audience.outbound_port);
  auto* filter = listener.add_filter_chains()->add_filters();
  filter->set_name("envoy.filters.network.http_connection_manager");
  filter->mutable_typed_config()->PackFrom(connection_manager(name));
  return {route_resource(routes, clusters),
          snapshot::make_resource(Type::kListener, name, listener, {{Type::kRoute, name}})};
}

}  // namespace weft::control::compile
