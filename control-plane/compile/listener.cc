#include "control-plane/compile/listener.h"

#include <google/protobuf/io/coded_stream.h>

#include <algorithm>
#include <array>
#include <list>
#include <set>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "api/text/canonical_bytes.h"
#include "control-plane/compile/hop_metrics.h"
#include "control-plane/compile/names.h"
#include "control-plane/compile/reach.h"
#include "control-plane/compile/route.h"
#include "control-plane/compile/stream.h"
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

std::vector<snapshot::Reference> references_to(const std::set<std::string>& clusters) {
  std::vector<snapshot::Reference> references;
  for (const std::string& cluster : clusters) references.push_back({Type::kCluster, cluster});
  return references;
}

// A host alone stands for its HTTP port, or for the only port that it has.
bool is_main_port(const registry::Service& service, uint16_t port) {
  if (port == kHttpPort) return true;
  const auto http_ports = std::count_if(service.ports.begin(), service.ports.end(),
                                        [](const registry::ServicePort& each) { return is_http(each.app_protocol); });
  return http_ports == 1 && service.port(kHttpPort) == nullptr;
}

void render(const registry::Model& model, const registry::Service& service, const Audience& audience, Host& host) {
  VirtualHost message;
  message.set_name(port_name(service.name, host.port));
  for (const std::string& domain : host.domains) message.add_domains(domain);
  compile_routes(model, service, host.port, audience, message, host.clusters);
  host.bytes = text::canonical_bytes(message);
}

std::vector<Host> make_hosts(const registry::Model& model, const registry::Service& service, const Audience& audience) {
  std::vector<Host> all;
  const std::vector<std::string> names = hosts_for(service, audience);
  for (const registry::ServicePort& port : service.ports) {
    if (!is_http(port.app_protocol)) continue;
    Host host{.port = port.port};
    const auto add = [&](const std::string& name) {
      host.domains.push_back(absl::StrCat(name, ":", port.port));
      if (is_main_port(service, port.port)) host.domains.push_back(name);
    };
    std::for_each(names.begin(), names.end(), add);
    if (!service.name.external) host.own_domains = host.domains.size();
    std::for_each(service.addresses.begin(), service.addresses.end(), add);
    if (host.domains.empty()) continue;
    render(model, service, audience, host);
    all.push_back(std::move(host));
  }
  return all;
}

// Made once for all who see the same; `own` keeps what is of this audience alone.
const std::vector<Host>& outbound_hosts(const registry::Model& model, const registry::Service& service,
                                        const Audience& audience, Cache& cache, std::list<std::vector<Host>>& own) {
  if (has_consumer_routes(model, service.name, audience)) {
    return own.emplace_back(make_hosts(model, service, audience));
  }
  const bool is_own_namespace = service.name.namespace_name == audience.namespace_name;
  std::optional<std::vector<Host>>& known = cache.of(service.name).hosts[is_own_namespace ? 0 : 1];
  if (!known.has_value()) known = make_hosts(model, service, audience);
  return *known;
}

// As one more of RouteConfiguration.virtual_hosts.
void append_host(std::string_view bytes, std::string& content) {
  constexpr uint8_t kVirtualHostsTag = 2 << 3 | 2;
  std::array<uint8_t, 6> head{kVirtualHostsTag};
  const uint8_t* end = google::protobuf::io::CodedOutputStream::WriteVarint32ToArray(
      static_cast<uint32_t>(bytes.size()), head.data() + 1);
  content.append(head.begin(), head.begin() + (end - head.data()));
  content += bytes;
}

// The virtual hosts of a route configuration. Of two services with one host the first has it: two equal domains are an
// error on the wire. What it adds outlives it.
class VirtualHosts {
 public:
  VirtualHosts(std::string name, const registry::Model& model, const Services& services, const Audience& audience)
      : name_(std::move(name)),
        model_(model),
        audience_(audience),
        has_external_(
            std::any_of(services.begin(), services.end(), [](const auto& service) { return service->name.external; })) {
    RouteConfiguration routes;
    routes.set_name(name_);
    content_ = text::canonical_bytes(routes);
  }

  // With those of its domains that none has yet.
  void add(const registry::Service& service, const Host& host) {
    std::vector<size_t> lost;
    // The hosts of external services may be anything.
    for (size_t i = has_external_ ? 0 : host.own_domains; i < host.domains.size(); ++i) {
      if (!taken_.insert(host.domains[i]).second) lost.push_back(i);
    }
    if (lost.size() == host.domains.size()) return;
    if (lost.empty()) {
      append_host(host.bytes, content_);
    } else {
      Host rest{.port = host.port};
      for (size_t i = 0; i < host.domains.size(); ++i) {
        if (!std::binary_search(lost.begin(), lost.end(), i)) rest.domains.push_back(host.domains[i]);
      }
      render(model_, service, audience_, rest);
      append_host(rest.bytes, content_);
    }
    clusters_.insert(host.clusters.begin(), host.clusters.end());
  }
  void add(const VirtualHost& host) {
    append_host(text::canonical_bytes(host), content_);
    for (const auto& route : host.routes()) {
      if (!route.route().cluster().empty()) clusters_.insert(route.route().cluster());
    }
  }

  ResourcePointer take() const {
    return snapshot::make_resource(Type::kRoute, name_, content_, references_to(clusters_));
  }

 private:
  const std::string name_;
  const registry::Model& model_;
  const Audience& audience_;
  const bool has_external_;
  absl::flat_hash_set<std::string_view> taken_;
  std::set<std::string> clusters_;
  std::string content_;
};

ResourcePointer compile_outbound_route(const registry::Model& model, const Services& services, const Audience& audience,
                                       Cache& cache) {
  // Keeps what the cache does not have.
  std::list<std::vector<Host>> own;
  VirtualHosts hosts(std::string(kOutbound), model, services, audience);
  for (const auto& service : services) {
    for (const Host& host : outbound_hosts(model, *service, audience, cache, own)) hosts.add(*service, host);
  }
  return hosts.take();
}

// Where a proxy's application comes in.
ResourcePointer compile_entry(const registry::Model& model, const Services& services, const Audience& audience) {
  const std::string name(kOutbound);
  Listener listener;
  listener.set_name(name);
  auto* address = listener.mutable_address()->mutable_socket_address();
  address->set_address(kLoopback);
  address->set_port_value(audience.outbound_port);
  auto* filter = listener.add_filter_chains()->add_filters();
  filter->set_name("envoy.filters.network.http_connection_manager");
  filter->mutable_typed_config()->PackFrom(connection_manager(name));
  std::vector<snapshot::Reference> references = {{Type::kRoute, name}};
  std::set<std::string> of_tls;
  add_tls_chains(model, services, audience, listener, of_tls);
  if (audience.is_weft) measure_hops(v1::HopMetrics::SOURCE, listener);
  for (const std::string& cluster : of_tls) references.push_back({Type::kCluster, cluster});
  return snapshot::make_resource(Type::kListener, name, listener, std::move(references));
}

}  // namespace

bool has_consumer_routes(const registry::Model& model, const registry::ServiceName& name, const Audience& audience) {
  const auto routes = model.routes.find(name);
  return routes != nullptr && std::any_of(routes->attached.begin(), routes->attached.end(), [&](const auto& attached) {
           return attached.consumer && attached.route->origin.key.namespace_name == audience.namespace_name;
         });
}

ResourcePointer compile_host_route(const std::string& name, const registry::Model& model, const Services& services,
                                   uint16_t port, const Audience& audience, const VirtualHost& rest) {
  std::list<std::vector<Host>> made;
  VirtualHosts hosts(name, model, services, audience);
  for (const auto& service : services) {
    for (const Host& host : made.emplace_back(make_hosts(model, *service, audience))) {
      if (host.port == port) hosts.add(*service, host);
    }
  }
  hosts.add(rest);
  return hosts.take();
}

HttpConnectionManager connection_manager(const std::string& route_name) {
  HttpConnectionManager manager;
  manager.set_stat_prefix(route_name);
  // So that nobody comes by a route or a policy with another writing of a path.
  manager.mutable_normalize_path()->set_value(true);
  auto* routes = manager.mutable_rds();
  routes->set_route_config_name(route_name);
  routes->mutable_config_source()->mutable_ads();
  routes->mutable_config_source()->set_resource_api_version(envoy::config::core::v3::V3);
  auto* router = manager.add_http_filters();
  router->set_name("envoy.filters.http.router");
  router->mutable_typed_config()->PackFrom(envoy::extensions::filters::http::router::v3::Router());
  return manager;
}

void add_http_filter(const char* name, const google::protobuf::Message& config, HttpConnectionManager* manager) {
  auto* filters = manager->mutable_http_filters();
  auto* filter = filters->Add();
  filter->set_name(name);
  filter->mutable_typed_config()->PackFrom(config);
  filters->SwapElements(filters->size() - 2, filters->size() - 1);
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
  std::vector<ResourcePointer> resources = {
      snapshot::make_resource(Type::kRoute, routes.name(), routes, references_to(clusters))};
  for (const std::string& name : hosts_for(service, audience)) {
    Listener listener;
    listener.set_name(absl::StrCat(name, ":", port));
    listener.mutable_api_listener()->mutable_api_listener()->PackFrom(connection_manager(route_name));
    resources.push_back(
        snapshot::make_resource(Type::kListener, listener.name(), listener, {{Type::kRoute, route_name}}));
  }
  return resources;
}

std::vector<ResourcePointer> compile_outbound_listener(const Reach& reach, Cache& cache) {
  const registry::Model& model = reach.model();
  const Audience& audience = reach.audience();
  Services services = reach.services();
  // What comes by no rule of the kernel was made to the proxy, whatever it is for.
  if (audience.capture.port == 0) {
    std::erase_if(services, [](const auto& each) { return each->resolution == registry::Resolution::kNone; });
  }
  const bool has_tls = std::any_of(services.begin(), services.end(), [](const auto& service) {
    return std::any_of(service->ports.begin(), service->ports.end(),
                       [](const auto& port) { return port.app_protocol == registry::AppProtocol::kTls; });
  });
  ResourcePointer route = compile_outbound_route(model, services, audience, cache);
  if (has_tls) return {std::move(route), compile_entry(model, services, audience)};
  ResourcePointer& plain = cache.plain({audience.outbound_port, audience.is_weft});
  if (plain == nullptr) plain = compile_entry(model, services, audience);
  return {std::move(route), plain};
}

}  // namespace weft::control::compile
