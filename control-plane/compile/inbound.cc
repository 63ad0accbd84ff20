#include "control-plane/compile/inbound.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "control-plane/compile/authorization.h"
#include "control-plane/compile/capture.h"
#include "control-plane/compile/capture_parts.h"
#include "control-plane/compile/external_authorization.h"
#include "control-plane/compile/hop_metrics.h"
#include "control-plane/compile/listener.h"
#include "control-plane/compile/names.h"
#include "control-plane/compile/request_authentication.h"
#include "control-plane/registry/format.h"
#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/config/listener/v3/listener.pb.h"
#include "envoy/config/route/v3/route.pb.h"
#include "envoy/extensions/access_loggers/file/v3/file.pb.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"
#include "envoy/extensions/upstreams/http/v3/http_protocol_options.pb.h"

namespace weft::control::compile {

namespace {

using envoy::config::cluster::v3::Cluster;
using envoy::config::listener::v3::FilterChain;
using envoy::config::listener::v3::Listener;
using envoy::config::route::v3::RouteConfiguration;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
using envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
using registry::AppProtocol;
using snapshot::ResourcePointer;
using snapshot::Type;

constexpr char kLoopback[] = "127.0.0.1";
constexpr char kHttpOptions[] = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
constexpr int64_t kConnectTimeoutS = 5;
constexpr int64_t kMaxCheckTimeoutMs = 1'000;
constexpr uint32_t kUnhealthyThreshold = 3;
constexpr int64_t kNanosPerMs = 1'000'000;

void set_ms(int64_t ms, google::protobuf::Duration* out) {
  out->set_seconds(ms / 1000);
  out->set_nanos(static_cast<int32_t>(ms % 1000 * kNanosPerMs));
}

void set_protocol(AppProtocol protocol, Cluster& cluster) {
  if (protocol == AppProtocol::kDetect) follow_protocol(cluster);
  if (protocol != AppProtocol::kHttp2 && protocol != AppProtocol::kGrpc) return;
  HttpProtocolOptions options;
  options.mutable_explicit_http_config()->mutable_http2_protocol_options();
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

ResourcePointer compile_cluster(const Inbound& inbound, const InboundPort& port) {
  Cluster cluster;
  cluster.set_name(port.name);
  cluster.set_type(Cluster::STATIC);
  name_own_cluster(inbound.service, cluster);
  cluster.mutable_connect_timeout()->set_seconds(kConnectTimeoutS);
  cluster.mutable_load_assignment()->set_cluster_name(port.name);
  auto* address = cluster.mutable_load_assignment()
                      ->add_endpoints()
                      ->add_lb_endpoints()
                      ->mutable_endpoint()
                      ->mutable_address()
                      ->mutable_socket_address();
  address->set_port_value(port.app_port);
  if (inbound.intercepted) {
    // As if there were no proxy: what the application binds to loopback stays unreachable from elsewhere.
    address->set_address(inbound.address);
    set_inbound_source(registry::is_ipv6(inbound.address), *cluster.mutable_upstream_bind_config());
  } else {
    address->set_address(kLoopback);
  }
  // The wire's own defaults are limits; how much the application takes is its own affair.
  auto* thresholds = cluster.mutable_circuit_breakers()->add_thresholds();
  thresholds->mutable_max_connections()->set_value(UINT32_MAX);
  thresholds->mutable_max_pending_requests()->set_value(UINT32_MAX);
  thresholds->mutable_max_requests()->set_value(UINT32_MAX);
  // An application that fails its check is left out by those who call; who calls all the same is not kept away here.
  cluster.mutable_common_lb_config()->mutable_healthy_panic_threshold()->set_value(100);
  set_protocol(port.protocol, cluster);
  if (port.app_port == inbound.app_port) set_health_check(inbound.health, port.protocol, cluster);
  return snapshot::make_resource(Type::kCluster, port.name, cluster);
}

ResourcePointer compile_route(const InboundPort& port) {
  RouteConfiguration routes;
  routes.set_name(port.name);
  auto* host = routes.add_virtual_hosts();
  host->set_name(port.name);
  host->add_domains("*");
  auto* route = host->add_routes();
  route->mutable_match()->set_prefix("/");
  route->mutable_route()->set_cluster(port.name);
  // How long a call may take is for its caller to say.
  route->mutable_route()->mutable_timeout();
  return snapshot::make_resource(Type::kRoute, port.name, routes, {{Type::kCluster, port.name}});
}

// A line for each request: what it was, what became of it and why, who asked; and behind that, where policies have
// others asked, by which rule they were.
constexpr char kAccessLog[] =
    "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% %RESPONSE_FLAGS% "
    "%RESPONSE_CODE_DETAILS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% \"%DOWNSTREAM_PEER_URI_SAN%\" "
    "%DOWNSTREAM_REMOTE_ADDRESS% \"%REQ(:AUTHORITY)%\"";

void log_requests(const std::string& path, const registry::Authorizations& policies, HttpConnectionManager& manager) {
  envoy::extensions::access_loggers::file::v3::FileAccessLog file;
  file.set_path(path);
  file.mutable_log_format()->mutable_text_format_source()->set_inline_string(
      absl::StrCat(kAccessLog, authorizer_log_format(policies), "\n"));
  auto* log = manager.add_access_log();
  log->set_name("envoy.access_loggers.file");
  log->mutable_typed_config()->PackFrom(file);
}

// What is asked of those who call, and where they are noted.
struct Callers {
  registry::CallerRules rules;
  const std::string& access_log;
};

Callers callers_of(const Inbound& inbound, const InboundPort& port, const registry::CallerRules& rules) {
  return {{policies_at(rules.policies, inbound.service, port.service_ports), rules.tokens}, inbound.access_log};
}

FilterChain http_chain(const InboundPort& port, const Callers& callers) {
  FilterChain chain;
  chain.set_name(absl::StrCat(port.name, "/http"));
  HttpConnectionManager manager = connection_manager(port.name);
  // The answer is the application's.
  manager.set_server_header_transformation(HttpConnectionManager::PASS_THROUGH);
  tell_caller(manager);
  if (!callers.access_log.empty()) log_requests(callers.access_log, callers.rules.policies, manager);
  const AuthorizationTarget target = {callers.rules.policies, port.app_port};
  add_external_authorization(target, Turn::kBeforeTokens, &manager);
  add_request_authentication(callers.rules.tokens, &manager);
  add_external_authorization(target, Turn::kAfterTokens, &manager);
  add_authorization(target, &manager);
  set_http(manager, chain);
  return chain;
}

FilterChain tcp_chain(const InboundPort& port, const Callers& callers, const char* name) {
  FilterChain chain;
  chain.set_name(absl::StrCat(port.name, "/", name));
  add_connection_authorization({callers.rules.policies, port.app_port}, &chain);
  set_tcp(port.name, chain);
  return chain;
}

// Those that take a port's connections in the clear. Of two the first is for HTTP and the second for the rest.
std::vector<FilterChain> plain_chains(const InboundPort& port, const Callers& callers) {
  if (!is_http(port.protocol)) return {tcp_chain(port, callers, "tcp")};
  std::vector<FilterChain> chains = {http_chain(port, callers)};
  if (port.protocol == AppProtocol::kDetect) {
    match_http(chains[0]);
    chains.push_back(tcp_chain(port, callers, "tcp"));
    match_plain(chains[1]);
  }
  return chains;
}

// What is not HTTP has no tokens, and nobody is asked about it.
bool has_requests(const std::vector<InboundPort>& ports) {
  return std::any_of(ports.begin(), ports.end(), [](const InboundPort& port) { return is_http(port.protocol); });
}

bool takes_mtls(const Inbound& inbound, const InboundPort& port) {
  if (port.mtls == registry::MtlsMode::kPermissive) return inbound.mtls;
  return port.mtls == registry::MtlsMode::kStrict;
}

void add_references(const InboundPort& port, std::vector<snapshot::Reference>& references) {
  if (is_http(port.protocol)) references.push_back({Type::kRoute, port.name});
  if (port.protocol == AppProtocol::kDetect || !is_http(port.protocol)) {
    references.push_back({Type::kCluster, port.name});
  }
}

// Of a port by which alone others reach the application.
void add_port(const Inbound& inbound, const InboundPort& port, const InboundMtls& rest,
              const registry::CallerRules& rules, Listener& listener) {
  set_address(inbound.address, inbound.port, *listener.mutable_address());
  const bool is_detected = port.protocol == AppProtocol::kDetect;
  const Callers callers = callers_of(inbound, port, rules);
  if (is_detected) inspect_http(listener);
  for (FilterChain& chain : plain_chains(port, callers)) *listener.add_filter_chains() = std::move(chain);
  if (takes_mtls(inbound, port)) {
    ask_for_mtls({.mode = port.mtls, .trust_domain = rest.trust_domain}, port.protocol, listener);
  } else if (is_detected) {
    *listener.add_filter_chains() = tcp_chain(port, callers, "tls");
  }
}

// Of one of the ports of an intercepted workload.
void add_captured_port(const Inbound& inbound, const InboundPort& port, const InboundMtls& rest,
                       const registry::CallerRules& rules, Inspected& inspected, Listener& listener) {
  const bool is_strict = port.mtls == registry::MtlsMode::kStrict;
  const bool is_detected = port.protocol == AppProtocol::kDetect;
  const Callers callers = callers_of(inbound, port, rules);
  std::vector<FilterChain> chains = plain_chains(port, callers);
  if (takes_mtls(inbound, port)) {
    chains = mtls_chains({.mode = port.mtls, .trust_domain = rest.trust_domain}, chains);
    inspected.for_tls.push_back(port.app_port);
  } else if (is_detected) {
    chains.push_back(tcp_chain(port, callers, "tls"));
  }
  if (is_detected && !is_strict) inspected.for_http.push_back(port.app_port);
  // What is not taken here must not go on as what is sent to ports that nobody names.
  if (is_strict) {
    chains.emplace_back().set_name(absl::StrCat(port.name, "/refused"));
    set_tcp(kNowhere, chains.back());
  }
  for (FilterChain& chain : chains) {
    chain.mutable_filter_chain_match()->mutable_destination_port()->set_value(port.app_port);
    *listener.add_filter_chains() = std::move(chain);
  }
}

ResourcePointer compile_listener(const Inbound& inbound, const std::vector<InboundPort>& ports, const InboundMtls& rest,
                                 const registry::CallerRules& rules) {
  const std::string name(kInbound);
  Listener listener;
  listener.set_name(name);
  listener.set_traffic_direction(envoy::config::core::v3::INBOUND);
  std::vector<snapshot::Reference> references;
  for (const InboundPort& port : ports) add_references(port, references);
  if (has_requests(ports)) {
    for (const auto& each : key_clusters(rules.tokens, inbound.is_weft)) references.push_back({each->type, each->name});
    for (snapshot::Reference& each : authorizer_clusters(rules.policies)) references.push_back(std::move(each));
  }
  if (!inbound.intercepted) {
    add_port(inbound, ports.front(), rest, rules, listener);
    if (inbound.is_weft) measure_hops(v1::HopMetrics::DESTINATION, listener);
    return snapshot::make_resource(Type::kListener, name, listener, std::move(references));
  }
  Inspected inspected;
  for (const InboundPort& port : ports) add_captured_port(inbound, port, rest, rules, inspected, listener);
  capture_inbound(inbound, inspected, rest.mode == registry::MtlsMode::kStrict, rules.policies, listener);
  for (const std::string_view each : {kNowhere, kInboundAny, kInboundAnyIpv6}) {
    if (each != kInboundAnyIpv6 || inbound.ipv6) references.push_back({Type::kCluster, std::string(each)});
  }
  if (inbound.is_weft) measure_hops(v1::HopMetrics::DESTINATION, listener);
  return snapshot::make_resource(Type::kListener, name, listener, std::move(references));
}

}  // namespace

std::vector<InboundPort> inbound_ports(const registry::Model& model, const registry::ServiceName& name,
                                       const Inbound& inbound) {
  const auto service = model.services.find(name);
  std::vector<InboundPort> ports;
  const auto add = [&](std::string port_name, uint16_t app_port) {
    InboundPort port{.name = std::move(port_name), .app_port = app_port};
    if (service != nullptr) port.service_ports = service->ports_of_app(app_port);
    // What the application speaks, as the service says.
    if (!port.service_ports.empty()) port.protocol = service->port(port.service_ports.front())->app_protocol;
    ports.push_back(std::move(port));
  };
  if (inbound.app_port != 0) add(std::string(kInbound), inbound.app_port);
  // Where nobody is its endpoint, its address is not known.
  if (!inbound.intercepted || service == nullptr || inbound.address.empty()) return ports;
  std::set<uint16_t> known = {0, inbound.app_port, inbound.port};
  for (const registry::ServicePort& port : service->ports) {
    if (!known.insert(port.target_port).second) continue;
    add(absl::StrCat(std::string(kInbound), ":", port.target_port), port.target_port);
  }
  return ports;
}

std::vector<ResourcePointer> compile_inbound(const Inbound& inbound, const std::vector<InboundPort>& ports,
                                             const InboundMtls& rest, const registry::CallerRules& rules) {
  std::vector<ResourcePointer> resources = {compile_listener(inbound, ports, rest, rules)};
  for (const InboundPort& port : ports) {
    resources.push_back(compile_cluster(inbound, port));
    if (is_http(port.protocol)) resources.push_back(compile_route(port));
  }
  const auto add = [&](std::vector<ResourcePointer> clusters) {
    for (ResourcePointer& each : clusters) resources.push_back(std::move(each));
  };
  if (has_requests(ports)) add(key_clusters(rules.tokens, inbound.is_weft));
  if (inbound.intercepted) add(capture_clusters(inbound));
  return resources;
}

}  // namespace weft::control::compile
