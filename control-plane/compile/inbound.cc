#include "control-plane/compile/inbound.h"

#include <algorithm>

#include "control-plane/compile/hop_metrics.h"
#include "control-plane/compile/listener.h"
#include "control-plane/compile/names.h"
#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/config/listener/v3/listener.pb.h"
#include "envoy/config/route/v3/route.pb.h"
#include "envoy/extensions/filters/listener/http_inspector/v3/http_inspector.pb.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"
#include "envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.pb.h"
#include "envoy/extensions/upstreams/http/v3/http_protocol_options.pb.h"

namespace weft::control::compile {

namespace {

using envoy::config::cluster::v3::Cluster;
using envoy::config::listener::v3::FilterChain;
using envoy::config::listener::v3::Listener;
using envoy::config::route::v3::RouteConfiguration;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
using envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;
using envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
using registry::AppProtocol;
using snapshot::ResourcePointer;
using snapshot::Type;

constexpr char kLoopback[] = "127.0.0.1";
constexpr char kHttpOptions[] = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
constexpr int64_t kConnectTimeoutS = 5;
// A protocol in which the server speaks first would wait for it.
constexpr int64_t kDetectionMs = 200;
constexpr int64_t kMaxCheckTimeoutMs = 1'000;
constexpr uint32_t kUnhealthyThreshold = 3;
constexpr int64_t kNanosPerMs = 1'000'000;

void set_ms(int64_t ms, google::protobuf::Duration* out) {
  out->set_seconds(ms / 1000);
  out->set_nanos(static_cast<int32_t>(ms % 1000 * kNanosPerMs));
}

void set_protocol(AppProtocol protocol, Cluster& cluster) {
  HttpProtocolOptions options;
  if (protocol == AppProtocol::kHttp2 || protocol == AppProtocol::kGrpc) {
    options.mutable_explicit_http_config()->mutable_http2_protocol_options();
  } else if (protocol == AppProtocol::kDetect) {
    // As the caller speaks.
    options.mutable_use_downstream_protocol_config()->mutable_http_protocol_options();
    options.mutable_use_downstream_protocol_config()->mutable_http2_protocol_options();
  } else {
    return;
  }
  (*cluster.mutable_typed_extension_protocol_options())[kHttpOptions].PackFrom(options);
}

void set_health_check(const HealthProbe& probe, AppProtocol protocol, Cluster& cluster) {
  if (probe.kind == HealthProbe::Kind::kNone) return;
  auto* check = cluster.add_health_checks();
  set_ms(probe.interval_ms, check->mutable_interval());
  // An application that nobody calls is asked as often.
  set_ms(probe.interval_ms, check->mutable_no_traffic_interval());
  set_ms(std::min(probe.interval_ms, kMaxCheckTimeoutMs), check->mutable_timeout());
  check->mutable_unhealthy_threshold()->set_value(kUnhealthyThreshold);
  check->mutable_healthy_threshold()->set_value(1);
  if (probe.kind == HealthProbe::Kind::kHttp) {
    auto* http = check->mutable_http_health_check();
    http->set_path(probe.target);
    auto* good = http->add_expected_statuses();
    good->set_start(200);
    good->set_end(300);
    const bool is_http2 = protocol == AppProtocol::kHttp2 || protocol == AppProtocol::kGrpc;
    if (is_http2) http->set_codec_client_type(envoy::type::v3::HTTP2);
  } else if (probe.kind == HealthProbe::Kind::kGrpc) {
    check->mutable_grpc_health_check()->set_service_name(probe.target);
  } else {
    check->mutable_tcp_health_check();
  }
}

ResourcePointer compile_cluster(const Inbound& inbound, AppProtocol protocol) {
  const std::string name(kInbound);
  Cluster cluster;
  cluster.set_name(name);
  cluster.set_type(Cluster::STATIC);
  name_own_cluster(inbound.service, cluster);
  cluster.mutable_connect_timeout()->set_seconds(kConnectTimeoutS);
  cluster.mutable_load_assignment()->set_cluster_name(name);
  auto* address = cluster.mutable_load_assignment()
                      ->add_endpoints()
                      ->add_lb_endpoints()
                      ->mutable_endpoint()
                      ->mutable_address()
                      ->mutable_socket_address();
  address->set_address(kLoopback);
  address->set_port_value(inbound.app_port);
  // The wire's own defaults are limits; how much the application takes is its own affair.
  auto* thresholds = cluster.mutable_circuit_breakers()->add_thresholds();
  thresholds->mutable_max_connections()->set_value(UINT32_MAX);
  thresholds->mutable_max_pending_requests()->set_value(UINT32_MAX);
  thresholds->mutable_max_requests()->set_value(UINT32_MAX);
  // An application that fails its check is left out by those who call; who calls all the same is not kept away here.
  cluster.mutable_common_lb_config()->mutable_healthy_panic_threshold()->set_value(100);
  set_protocol(protocol, cluster);
  set_health_check(inbound.health, protocol, cluster);
  return snapshot::make_resource(Type::kCluster, name, cluster);
}

ResourcePointer compile_route() {
  const std::string name(kInbound);
  RouteConfiguration routes;
  routes.set_name(name);
  auto* host = routes.add_virtual_hosts();
  host->set_name(name);
  host->add_domains("*");
  auto* route = host->add_routes();
  route->mutable_match()->set_prefix("/");
  route->mutable_route()->set_cluster(name);
  // How long a call may take is for its caller to say.
  route->mutable_route()->mutable_timeout();
  return snapshot::make_resource(Type::kRoute, name, routes, {{Type::kCluster, name}});
}

void add_http(FilterChain* chain) {
  HttpConnectionManager manager = connection_manager(std::string(kInbound));
  // The answer is the application's.
  manager.set_server_header_transformation(HttpConnectionManager::PASS_THROUGH);
  tell_caller(manager);
  auto* filter = chain->add_filters();
  filter->set_name("envoy.filters.network.http_connection_manager");
  filter->mutable_typed_config()->PackFrom(manager);
}

void add_tcp(FilterChain* chain) {
  TcpProxy proxy;
  proxy.set_stat_prefix(std::string(kInbound));
  proxy.set_cluster(std::string(kInbound));
  auto* filter = chain->add_filters();
  filter->set_name("envoy.filters.network.tcp_proxy");
  filter->mutable_typed_config()->PackFrom(proxy);
}

void add_detection(Listener& listener) {
  auto* inspector = listener.add_listener_filters();
  inspector->set_name("envoy.filters.listener.http_inspector");
  inspector->mutable_typed_config()->PackFrom(
      envoy::extensions::filters::listener::http_inspector::v3::HttpInspector());
  set_ms(kDetectionMs, listener.mutable_listener_filters_timeout());
  listener.set_continue_on_listener_filters_timeout(true);
  FilterChain* http = listener.add_filter_chains();
  http->set_name("http");
  for (const char* protocol : {"http/1.0", "http/1.1", "h2c"}) {
    http->mutable_filter_chain_match()->add_application_protocols(protocol);
  }
  add_http(http);
  FilterChain* rest = listener.mutable_default_filter_chain();
  rest->set_name("tcp");
  add_tcp(rest);
}

ResourcePointer compile_listener(const Inbound& inbound, AppProtocol protocol, const InboundMtls& mtls) {
  const std::string name(kInbound);
  Listener listener;
  listener.set_name(name);
  listener.set_traffic_direction(envoy::config::core::v3::INBOUND);
  auto* address = listener.mutable_address()->mutable_socket_address();
  address->set_address(inbound.address);
  address->set_port_value(inbound.port);
  std::vector<snapshot::Reference> references;
  const bool is_detected = protocol == AppProtocol::kDetect;
  if (is_detected) {
    add_detection(listener);
  } else if (is_http(protocol)) {
    add_http(listener.add_filter_chains());
  } else {
    add_tcp(listener.add_filter_chains());
  }
  if (inbound.mtls || mtls.mode == registry::MtlsMode::kStrict) ask_for_mtls(mtls, protocol, listener);
  if (inbound.is_weft) measure_hops(v1::HopMetrics::DESTINATION, listener);
  if (is_http(protocol)) references.push_back({Type::kRoute, name});
  if (is_detected || !is_http(protocol)) references.push_back({Type::kCluster, name});
  return snapshot::make_resource(Type::kListener, name, listener, std::move(references));
}

}  // namespace

AppProtocol inbound_protocol(const registry::Model& model, const registry::ServiceName& service, uint16_t app_port) {
  const auto found = model.services.find(service);
  if (found == nullptr) return AppProtocol::kDetect;
  const std::vector<uint16_t> ports = found->ports_of_app(app_port);
  return ports.empty() ? AppProtocol::kDetect : found->port(ports.front())->app_protocol;
}

std::vector<ResourcePointer> compile_inbound(const Inbound& inbound, AppProtocol protocol, const InboundMtls& mtls) {
  std::vector<ResourcePointer> resources = {compile_cluster(inbound, protocol),
                                            compile_listener(inbound, protocol, mtls)};
  if (is_http(protocol)) resources.push_back(compile_route());
  return resources;
}

}  // namespace weft::control::compile
