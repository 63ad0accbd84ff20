#include "control-plane/registry/check.h"
#include "control-plane/registry/visibility.h"
#include "weft/v1/traffic_policy.pb.h"

namespace weft::control::registry {

using text::cat;

namespace {

bool is_route(const v1::TargetReference& target) {
  return target.group() == "gateway.networking.k8s.io" &&
         (target.kind() == "HTTPRoute" || target.kind() == "GRPCRoute" || target.kind() == "TCPRoute" ||
          target.kind() == "TLSRoute");
}

void check_target(const v1::TrafficPolicy& policy, const v1::TargetReference& target, const std::string& path,
                  Check* check) {
  const std::string& own = policy.metadata().namespace_();
  const bool service = (target.group().empty() && target.kind() == "Service") ||
                       (target.group() == "weft.mesh" && target.kind() == "ExternalService");
  const bool space = target.group().empty() && target.kind() == "Namespace";
  const bool mesh = target.group() == "weft.mesh" && target.kind() == "Mesh";
  if (!service && !space && !mesh && !is_route(target)) {
    return check->fail(path,
                       "expected kind Service or Namespace with group \"\", ExternalService or Mesh with group "
                       "weft.mesh, or a route with group gateway.networking.k8s.io");
  }
  check->expect(is_dns_name(target.name()), at(path, "name"), "a name", target.name());
  if (space)
    check->expect(target.name() == own, at(path, "name"), cat("the policy's own namespace, ", own), target.name());
  if (mesh) {
    check->expect(target.name() == "default", at(path, "name"), "default", target.name());
    if (own != kRootNamespace) {
      check->fail(path, cat("only policies of the namespace ", kRootNamespace, " hold for the mesh"));
    }
  }
  if ((space || mesh) && !target.section_name().empty()) {
    check->fail(at(path, "sectionName"), cat("a ", target.kind(), " has no sections"));
  }
}

void check_timeouts(const v1::Timeouts& timeouts, Check* check) {
  check->optional_duration(timeouts.request(), "spec.timeouts.request");
  check->optional_duration(timeouts.backend_request(), "spec.timeouts.backendRequest");
  check->optional_duration(timeouts.idle(), "spec.timeouts.idle");
  check->optional_duration(timeouts.connect(), "spec.timeouts.connect");
}

// What a connection without requests cannot have.
void check_for_streams(const v1::TrafficPolicySpec& spec, Check* check) {
  const auto requests_only = [&](bool set, std::string_view field) {
    if (set) check->fail(at("spec", field), "a TCPRoute or TLSRoute cannot have it: its connections have no requests");
  };
  requests_only(!spec.timeouts().request().empty(), "timeouts.request");
  requests_only(!spec.timeouts().backend_request().empty(), "timeouts.backendRequest");
  requests_only(!spec.retry().codes().empty(), "retry.codes");
  requests_only(!spec.retry().grpc_statuses().empty(), "retry.grpcStatuses");
  requests_only(!spec.retry().on().empty(), "retry.on");
  requests_only(!spec.retry().backoff().empty(), "retry.backoff");
  requests_only(!spec.retry().max_backoff().empty(), "retry.maxBackoff");
}

void check_retry(const v1::Retry& retry, Check* check) {
  for (int i = 0; i < retry.codes_size(); ++i) check->range(retry.codes(i), at("spec.retry", "codes", i), 400, 599);
  for (int i = 0; i < retry.grpc_statuses_size(); ++i) {
    check->one_of(retry.grpc_statuses(i), at("spec.retry", "grpcStatuses", i),
                  {"cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable"});
  }
  for (int i = 0; i < retry.on_size(); ++i) {
    check->one_of(retry.on(i), at("spec.retry", "on", i),
                  {"connect-failure", "refused-stream", "reset-before-request", "reset"});
  }
  check->optional_duration(retry.backoff(), "spec.retry.backoff");
  check->optional_duration(retry.max_backoff(), "spec.retry.maxBackoff");
  const int64_t least_ms = parse_duration_ms(retry.backoff()).value_or(0);
  const int64_t most_ms = parse_duration_ms(retry.max_backoff()).value_or(least_ms);
  if (most_ms < least_ms) check->fail("spec.retry.maxBackoff", "expected at least retry.backoff");
}

void check_outliers(const v1::OutlierDetection& outliers, Check* check) {
  check->optional_duration(outliers.interval(), "spec.outlierDetection.interval");
  check->optional_duration(outliers.base_ejection_time(), "spec.outlierDetection.baseEjectionTime");
  if (outliers.has_max_ejection_percent()) {
    check->range(outliers.max_ejection_percent(), "spec.outlierDetection.maxEjectionPercent", 0, 100);
  }
}

void check_health(const v1::HealthCheck& health, Check* check) {
  const int kinds = (health.has_http() ? 1 : 0) + (health.has_tcp() ? 1 : 0) + (health.has_grpc() ? 1 : 0);
  if (kinds != 1) check->fail("spec.healthCheck", cat("expected one of http, tcp and grpc; got ", kinds));
  if (health.has_http()) {
    check->expect(health.http().path().starts_with("/"), "spec.healthCheck.http.path", "a path that begins with /",
                  health.http().path());
  }
  for (int i = 0; i < health.http().expected_statuses_size(); ++i) {
    check->range(health.http().expected_statuses(i), at("spec.healthCheck.http", "expectedStatuses", i), 100, 599);
  }
  check->optional_duration(health.interval(), "spec.healthCheck.interval");
  check->optional_duration(health.timeout(), "spec.healthCheck.timeout");
  if (health.has_healthy_threshold())
    check->range(health.healthy_threshold(), "spec.healthCheck.healthyThreshold", 1, 1000);
  if (health.has_unhealthy_threshold()) {
    check->range(health.unhealthy_threshold(), "spec.healthCheck.unhealthyThreshold", 1, 1000);
  }
}

void check_balancer(const v1::LoadBalancer& balancer, Check* check) {
  check->one_of(balancer.algorithm(), "spec.loadBalancer.algorithm",
                {"", "RoundRobin", "LeastRequest", "Random", "RingHash", "Maglev"});
  const bool hashes = balancer.algorithm() == "RingHash" || balancer.algorithm() == "Maglev";
  const v1::HashKey& key = balancer.hash_key();
  const int keys = (key.header().empty() ? 0 : 1) + (key.cookie().empty() ? 0 : 1) +
                   (key.query_param().empty() ? 0 : 1) + (key.source_ip() ? 1 : 0);
  if (hashes && keys != 1) {
    check->fail("spec.loadBalancer.hashKey",
                cat("expected one of header, cookie, queryParam and sourceIP, as the algorithm hashes; got ", keys));
  }
  if (!hashes && balancer.has_hash_key()) {
    check->fail("spec.loadBalancer.hashKey", "expected none: only RingHash and Maglev hash");
  }
  check->optional_duration(balancer.slow_start(), "spec.loadBalancer.slowStart");
  const bool starts_slowly = balancer.algorithm() == "RoundRobin" || balancer.algorithm() == "LeastRequest";
  if (!balancer.slow_start().empty() && !starts_slowly) {
    check->fail("spec.loadBalancer.slowStart", "expected none: only RoundRobin and LeastRequest start slowly");
  }
}

}  // namespace

void check(const v1::TrafficPolicy& policy, Check* check) {
  const auto& spec = policy.spec();
  if (spec.target_refs().empty()) check->fail("spec.targetRefs", "expected at least one target");
  bool for_routes = false;
  bool for_streams = false;
  for (int i = 0; i < spec.target_refs_size(); ++i) {
    check_target(policy, spec.target_refs(i), at("spec", "targetRefs", i), check);
    for_routes = for_routes || is_route(spec.target_refs(i));
    for_streams = for_streams || spec.target_refs(i).kind() == "TCPRoute" || spec.target_refs(i).kind() == "TLSRoute";
  }
  const auto services_only = [&](bool set, std::string_view field) {
    if (for_routes && set) check->fail(at("spec", field), "a route cannot have it; target the service instead");
  };
  services_only(!spec.timeouts().connect().empty(), "timeouts.connect");
  services_only(spec.has_retry_budget(), "retryBudget");
  services_only(spec.has_circuit_breaker(), "circuitBreaker");
  services_only(spec.has_outlier_detection(), "outlierDetection");
  services_only(spec.has_health_check(), "healthCheck");
  services_only(spec.has_load_balancer(), "loadBalancer");

  if (for_streams) check_for_streams(spec, check);
  check_timeouts(spec.timeouts(), check);
  check_retry(spec.retry(), check);
  if (spec.retry_budget().has_percent())
    check->range(spec.retry_budget().percent(), "spec.retryBudget.percent", 0, 100);
  check_outliers(spec.outlier_detection(), check);
  if (spec.has_health_check()) check_health(spec.health_check(), check);
  check_balancer(spec.load_balancer(), check);
}

}  // namespace weft::control::registry
