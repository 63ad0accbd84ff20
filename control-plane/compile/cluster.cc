#include "control-plane/compile/cluster.h"

#include <google/protobuf/arena.h>

#include <map>
#include <string>
#include <utility>

#include "control-plane/compile/capture_parts.h"
#include "control-plane/compile/duration.h"
#include "control-plane/compile/hop_metrics.h"
#include "control-plane/compile/mtls.h"
#include "control-plane/compile/names.h"
#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/config/endpoint/v3/endpoint.pb.h"
#include "envoy/extensions/upstreams/http/v3/http_protocol_options.pb.h"
#include "weft/v1/traffic_policy.pb.h"

namespace weft::control::compile {

namespace {

using envoy::config::cluster::v3::Cluster;
using envoy::config::endpoint::v3::ClusterLoadAssignment;

constexpr char kHttpOptions[] = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

void set_protocol(registry::AppProtocol protocol, const Audience& audience, Cluster& cluster) {
  // Where all connections come, clients speak as if there were no proxy.
  if (protocol == registry::AppProtocol::kDetect && audience.capture.port != 0) follow_protocol(cluster);
  const bool is_http2 = protocol == registry::AppProtocol::kHttp2 || protocol == registry::AppProtocol::kGrpc;
  if (!is_http2) return;
  envoy::extensions::upstreams::http::v3::HttpProtocolOptions options;
  options.mutable_explicit_http_config()->mutable_http2_protocol_options();
  (*cluster.mutable_typed_extension_protocol_options())[kHttpOptions].PackFrom(options);
}

void set_breakers(const v1::TrafficPolicySpec& policy, Cluster& cluster) {
  if (!policy.has_circuit_breaker() && !policy.has_retry_budget()) return;
  cluster.clear_circuit_breakers();
  auto* thresholds = cluster.mutable_circuit_breakers()->add_thresholds();
  const v1::CircuitBreaker& limits = policy.circuit_breaker();
  // The wire's own defaults are limits, too; ours is none.
  const auto limit = [](bool is_set, uint32_t value) { return is_set ? value : UINT32_MAX; };
  thresholds->mutable_max_connections()->set_value(limit(limits.has_max_connections(), limits.max_connections()));
  thresholds->mutable_max_pending_requests()->set_value(
      limit(limits.has_max_pending_requests(), limits.max_pending_requests()));
  thresholds->mutable_max_requests()->set_value(limit(limits.has_max_requests(), limits.max_requests()));
  if (limits.has_max_requests_per_connection()) {
    cluster.mutable_max_requests_per_connection()->set_value(limits.max_requests_per_connection());
  }
  if (!policy.has_retry_budget()) return;
  const v1::RetryBudget& budget = policy.retry_budget();
  auto* retries = thresholds->mutable_retry_budget();
  if (budget.has_percent()) retries->mutable_budget_percent()->set_value(budget.percent());
  if (budget.has_min_concurrent()) retries->mutable_min_retry_concurrency()->set_value(budget.min_concurrent());
}

void set_outlier_detection(const v1::OutlierDetection& policy, Cluster& cluster) {
  auto* outliers = cluster.mutable_outlier_detection();
  // What the policy does not name does not eject.
  outliers->mutable_enforcing_success_rate()->set_value(0);
  outliers->mutable_enforcing_consecutive_5xx()->set_value(policy.has_consecutive_errors() ? 100 : 0);
  if (policy.has_consecutive_errors()) outliers->mutable_consecutive_5xx()->set_value(policy.consecutive_errors());
  if (policy.has_consecutive_gateway_errors()) {
    outliers->mutable_consecutive_gateway_failure()->set_value(policy.consecutive_gateway_errors());
    outliers->mutable_enforcing_consecutive_gateway_failure()->set_value(100);
  }
  if (!policy.interval().empty()) *outliers->mutable_interval() = duration(policy.interval());
  if (!policy.base_ejection_time().empty())
    *outliers->mutable_base_ejection_time() = duration(policy.base_ejection_time());
  if (policy.has_max_ejection_percent())
    outliers->mutable_max_ejection_percent()->set_value(policy.max_ejection_percent());
}

void set_health_check(const v1::HealthCheck& policy, Cluster& cluster) {
  auto* check = cluster.add_health_checks();
  *check->mutable_interval() = duration(policy.interval().empty() ? "10s" : policy.interval());
  *check->mutable_timeout() = duration(policy.timeout().empty() ? "1s" : policy.timeout());
  check->mutable_healthy_threshold()->set_value(policy.has_healthy_threshold() ? policy.healthy_threshold() : 1);
  check->mutable_unhealthy_threshold()->set_value(policy.has_unhealthy_threshold() ? policy.unhealthy_threshold() : 3);
  if (policy.has_http()) {
    auto* http = check->mutable_http_health_check();
    http->set_path(policy.http().path().empty() ? "/" : policy.http().path());
    http->set_host(policy.http().host());
    const auto expect = [&](int64_t first, int64_t end) {
      auto* range = http->add_expected_statuses();
      range->set_start(first);
      range->set_end(end);
    };
    for (const uint32_t status : policy.http().expected_statuses()) expect(status, status + 1);
    if (policy.http().expected_statuses().empty()) expect(200, 300);
  } else if (policy.has_grpc()) {
    check->mutable_grpc_health_check()->set_service_name(policy.grpc().service());
  } else {
    check->mutable_tcp_health_check();
  }
}

void set_balancing(const v1::LoadBalancer& policy, const Audience& audience, Cluster& cluster) {
  const std::string& algorithm = policy.algorithm();
  if (algorithm == "RingHash") {
    cluster.set_lb_policy(Cluster::RING_HASH);
  } else if (audience.is_grpc_client) {
    // Of the others, its clients know this one alone, and refuse a cluster with another.
    cluster.set_lb_policy(Cluster::ROUND_ROBIN);
  } else if (algorithm == "LeastRequest") {
    cluster.set_lb_policy(Cluster::LEAST_REQUEST);
  } else if (algorithm == "Random") {
    cluster.set_lb_policy(Cluster::RANDOM);
  } else if (algorithm == "Maglev") {
    cluster.set_lb_policy(Cluster::MAGLEV);
  }
  if (!policy.slow_start().empty() && cluster.lb_policy() == Cluster::ROUND_ROBIN) {
    *cluster.mutable_round_robin_lb_config()->mutable_slow_start_config()->mutable_slow_start_window() =
        duration(policy.slow_start());
  } else if (!policy.slow_start().empty() && cluster.lb_policy() == Cluster::LEAST_REQUEST) {
    *cluster.mutable_least_request_lb_config()->mutable_slow_start_config()->mutable_slow_start_window() =
        duration(policy.slow_start());
  }
}

void set_eds(const std::string& name, Cluster& cluster) {
  cluster.set_name(name);
  cluster.set_type(Cluster::EDS);
  auto* source = cluster.mutable_eds_cluster_config()->mutable_eds_config();
  source->mutable_ads();
  source->set_resource_api_version(envoy::config::core::v3::V3);
}

void set_endpoints(const registry::Service& service, const std::vector<registry::Endpoint>& endpoints,
                   const std::string& first_zone, ClusterLoadAssignment& assignment) {
  std::map<std::string, std::vector<const registry::Endpoint*>> by_zone;
  for (const registry::Endpoint& endpoint : endpoints) {
    if (endpoint.ready || endpoint.draining || service.publish_not_ready) by_zone[endpoint.zone].push_back(&endpoint);
  }
  // Others take over by and by as fewer of the first are healthy.
  const bool has_first = !first_zone.empty() && by_zone.contains(first_zone);
  for (const auto& [zone, members] : by_zone) {
    auto* locality = assignment.add_endpoints();
    locality->set_priority(has_first && zone != first_zone ? 1 : 0);
    locality->mutable_locality()->set_zone(zone);
    uint32_t locality_weight = 0;
    for (const registry::Endpoint* member : members) {
      auto* endpoint = locality->add_lb_endpoints();
      name_endpoint(service, *member, *endpoint);
      auto* address = endpoint->mutable_endpoint()->mutable_address()->mutable_socket_address();
      address->set_address(member->address);
      address->set_port_value(member->port);
      endpoint->mutable_load_balancing_weight()->set_value(member->weight);
      if (member->mtls) mark_mesh_endpoint(*endpoint);
      locality_weight += member->weight;
      if (!member->ready && !service.publish_not_ready) endpoint->set_health_status(envoy::config::core::v3::DRAINING);
    }
    // gRPC's clients pass over a locality without a weight.
    locality->mutable_load_balancing_weight()->set_value(locality_weight);
  }
}

// What does not depend on how endpoints are found.
snapshot::ResourcePointer finish(const registry::Service& service, const registry::ServicePort& port,
                                 const registry::EffectivePolicy* policy, const Audience& audience, Cluster cluster,
                                 std::vector<snapshot::Reference> references) {
  set_protocol(port.app_protocol, audience, cluster);
  if (!audience.trust_domain.empty()) add_mesh_transport(service, port.app_protocol, audience.trust_domain, cluster);
  if (policy != nullptr && policy->spec != nullptr) {
    const v1::TrafficPolicySpec& spec = *policy->spec;
    if (!spec.timeouts().connect().empty()) *cluster.mutable_connect_timeout() = duration(spec.timeouts().connect());
    set_breakers(spec, cluster);
    // Where each connection says where it goes, nobody chooses, and there is nobody to be checked.
    if (service.resolution != registry::Resolution::kNone) {
      if (spec.has_outlier_detection()) set_outlier_detection(spec.outlier_detection(), cluster);
      if (spec.has_health_check()) set_health_check(spec.health_check(), cluster);
      if (spec.has_load_balancer()) set_balancing(spec.load_balancer(), audience, cluster);
    }
  }
  return snapshot::make_resource(snapshot::Type::kCluster, cluster.name(), cluster, std::move(references));
}

}  // namespace

std::string first_zone(const registry::EffectivePolicy* policy, const Audience& audience) {
  const bool is_wanted = policy != nullptr && policy->spec->load_balancer().prefer_zone();
  return is_wanted ? audience.zone : "";
}

bool is_resolved_by_caller(const registry::Service& service) {
  return service.resolution != registry::Resolution::kStatic;
}

snapshot::ResourcePointer compile_cluster(const registry::Service& service, const registry::ServicePort& port,
                                          const std::vector<registry::Endpoint>& endpoints,
                                          const registry::EffectivePolicy* policy, const Audience& audience) {
  const std::string name = port_name(service.name, port.port);
  Cluster cluster;
  name_cluster(service, cluster);
  std::vector<snapshot::Reference> references;
  if (service.resolution == registry::Resolution::kNone) {
    cluster.set_name(name);
    set_original_destination(cluster);
  } else if (is_resolved_by_caller(service)) {
    cluster.set_name(name);
    cluster.set_type(Cluster::STRICT_DNS);
    // Many names have an IPv6 address that the caller's network does not reach.
    cluster.set_dns_lookup_family(Cluster::V4_PREFERRED);
    set_endpoints(service, endpoints, first_zone(policy, audience), *cluster.mutable_load_assignment());
    cluster.mutable_load_assignment()->set_cluster_name(name);
  } else {
    set_eds(name, cluster);
    references.push_back({snapshot::Type::kEndpoint, name});
  }
  return finish(service, port, policy, audience, std::move(cluster), std::move(references));
}

snapshot::ResourcePointer compile_endpoint_cluster(const registry::Service& service, const registry::ServicePort& port,
                                                   const registry::Endpoint& endpoint,
                                                   const registry::EffectivePolicy* policy, const Audience& audience) {
  Cluster cluster;
  cluster.set_name(endpoint_name(service.name, port.port, endpoint));
  cluster.set_type(Cluster::STATIC);
  name_cluster(service, cluster);
  set_endpoints(service, {endpoint}, "", *cluster.mutable_load_assignment());
  cluster.mutable_load_assignment()->set_cluster_name(cluster.name());
  return finish(service, port, policy, audience, std::move(cluster), {});
}

snapshot::ResourcePointer compile_endpoints(const registry::Service& service, uint16_t port,
                                            const std::vector<registry::Endpoint>& endpoints,
                                            const registry::EffectivePolicy* policy, const Audience& audience) {
  // An endpoint is a dozen small messages.
  google::protobuf::Arena arena;
  auto& assignment = *google::protobuf::Arena::CreateMessage<ClusterLoadAssignment>(&arena);
  assignment.set_cluster_name(port_name(service.name, port));
  set_endpoints(service, endpoints, first_zone(policy, audience), assignment);
  return snapshot::make_resource(snapshot::Type::kEndpoint, assignment.cluster_name(), assignment);
}

snapshot::ResourcePointer compile_nowhere_cluster() {
  const std::string name(kNowhere);
  Cluster cluster;
  set_eds(name, cluster);
  return snapshot::make_resource(snapshot::Type::kCluster, name, cluster, {{snapshot::Type::kEndpoint, name}});
}

snapshot::ResourcePointer compile_nowhere_endpoints() {
  ClusterLoadAssignment assignment;
  assignment.set_cluster_name(std::string(kNowhere));
  return snapshot::make_resource(snapshot::Type::kEndpoint, assignment.cluster_name(), assignment);
}

}  // namespace weft::control::compile
