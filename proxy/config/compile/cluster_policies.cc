#include "proxy/config/compile/cluster_policies.h"

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"

namespace weft::config {
namespace {

namespace cluster_v3 = envoy::config::cluster::v3;

std::string payload(Context& context, const core_v3::HealthCheck::Payload& payload, std::string_view path) {
  if (payload.payload_case() == core_v3::HealthCheck::Payload::kBinary) return payload.binary();
  const std::string& hex = payload.text();
  bool good = hex.size() % 2 == 0;
  for (char c : hex) good = good && absl::ascii_isxdigit(static_cast<unsigned char>(c));
  if (!good) {
    context.error(field_path(path, "text"), "expected bytes in hexadecimal");
    return {};
  }
  return absl::HexStringToBytes(hex);
}

void compile_http_check(Context& context, const core_v3::HealthCheck::HttpHealthCheck& check,
                        const std::string& cluster_name, std::string_view path, cluster::HealthCheckPolicy& result) {
  result.kind = cluster::HealthCheckPolicy::Kind::kHttp;
  result.host = check.host().empty() ? cluster_name : check.host();
  result.path = check.path();
  if (result.path.empty() || result.path[0] != '/') context.error(field_path(path, "path"), "expected a path");
  if (check.method() == core_v3::CONNECT) context.error(field_path(path, "method"), "CONNECT is no health check");
  if (check.method() != core_v3::METHOD_UNSPECIFIED) result.method = core_v3::RequestMethod_Name(check.method());
  result.http2 = check.codec_client_type() == envoy::type::v3::HTTP2;
  if (check.expected_statuses_size() > 0) result.expected_statuses.clear();
  for (int i = 0; i < check.expected_statuses_size(); ++i) {
    const auto& range = check.expected_statuses(i);
    if (range.start() < 100 || range.end() > 600 || range.start() >= range.end()) {
      context.error(at(path, "expected_statuses", i), "expected a range [start, end) within 100 to 600");
      continue;
    }
    result.expected_statuses.push_back({static_cast<uint16_t>(range.start()), static_cast<uint16_t>(range.end())});
  }
  for (const auto& option : check.request_headers_to_add()) {
    result.request_headers.emplace_back(absl::AsciiStrToLower(option.header().key()), option.header().value());
  }
}

}  // namespace

void compile_breakers(Context& context, const cluster_v3::CircuitBreakers& breakers, std::string_view path,
                      cluster::BreakerLimits (&limits)[2]) {
  bool seen[2] = {false, false};
  for (int i = 0; i < breakers.thresholds_size(); ++i) {
    const auto& thresholds = breakers.thresholds(i);
    size_t priority = thresholds.priority() == core_v3::HIGH ? 1 : 0;
    // Of several for one priority the first counts.
    if (std::exchange(seen[priority], true)) continue;
    cluster::BreakerLimits& limit = limits[priority];
    limit.max_connections = WEFT_VALUE_OR(thresholds, max_connections, limit.max_connections);
    limit.max_pending_requests = WEFT_VALUE_OR(thresholds, max_pending_requests, limit.max_pending_requests);
    limit.max_requests = WEFT_VALUE_OR(thresholds, max_requests, limit.max_requests);
    limit.max_retries = WEFT_VALUE_OR(thresholds, max_retries, limit.max_retries);
    limit.track_remaining = thresholds.track_remaining();
    if (thresholds.has_retry_budget()) {
      cluster::BreakerLimits::RetryBudget budget;
      budget.percent = WEFT_VALUE_OR(thresholds.retry_budget(), budget_percent, budget.percent);
      budget.min_concurrency = WEFT_VALUE_OR(thresholds.retry_budget(), min_retry_concurrency, budget.min_concurrency);
      if (budget.percent < 0 || budget.percent > 100) {
        context.error(field_path(at(path, "thresholds", i), "retry_budget"), "a percentage is from 0 to 100");
      }
      limit.retry_budget = budget;
    }
  }
}

cluster::OutlierPolicy compile_outlier(Context& context, const cluster_v3::OutlierDetection& outlier,
                                       std::string_view path) {
  cluster::OutlierPolicy result;
  result.consecutive_5xx = WEFT_VALUE_OR(outlier, consecutive_5xx, result.consecutive_5xx);
  result.consecutive_gateway_failure =
      WEFT_VALUE_OR(outlier, consecutive_gateway_failure, result.consecutive_gateway_failure);
  result.consecutive_local_origin_failure =
      WEFT_VALUE_OR(outlier, consecutive_local_origin_failure, result.consecutive_local_origin_failure);
  result.split_external_local_origin_errors = outlier.split_external_local_origin_errors();
  result.enforcing_consecutive_5xx_percent =
      WEFT_VALUE_OR(outlier, enforcing_consecutive_5xx, result.enforcing_consecutive_5xx_percent);
  result.enforcing_consecutive_gateway_failure_percent = WEFT_VALUE_OR(
      outlier, enforcing_consecutive_gateway_failure, result.enforcing_consecutive_gateway_failure_percent);
  result.enforcing_consecutive_local_origin_failure_percent = WEFT_VALUE_OR(
      outlier, enforcing_consecutive_local_origin_failure, result.enforcing_consecutive_local_origin_failure_percent);
  result.interval_ms = WEFT_MS_OR(outlier, interval, result.interval_ms);
  result.base_ejection_time_ms = WEFT_MS_OR(outlier, base_ejection_time, result.base_ejection_time_ms);
  result.max_ejection_time_ms =
      WEFT_MS_OR(outlier, max_ejection_time, std::max(result.max_ejection_time_ms, result.base_ejection_time_ms));
  result.max_ejection_percent = WEFT_VALUE_OR(outlier, max_ejection_percent, result.max_ejection_percent);
  if (WEFT_VALUE_OR(outlier, enforcing_success_rate, 0) != 0) {
    context.unsupported(field_path(path, "enforcing_success_rate"),
                        "ejection by success rate is not supported; expected 0");
  }
  std::pair<std::string_view, uint32_t> percents[] = {
      {"max_ejection_percent", result.max_ejection_percent},
      {"enforcing_consecutive_5xx", result.enforcing_consecutive_5xx_percent},
      {"enforcing_consecutive_gateway_failure", result.enforcing_consecutive_gateway_failure_percent},
      {"enforcing_consecutive_local_origin_failure", result.enforcing_consecutive_local_origin_failure_percent}};
  for (auto [field, percent] : percents) {
    if (percent > 100) context.error(field_path(path, field), "a percentage is from 0 to 100");
  }
  std::pair<std::string_view, int64_t> times[] = {{"interval", result.interval_ms},
                                                  {"base_ejection_time", result.base_ejection_time_ms},
                                                  {"max_ejection_time", result.max_ejection_time_ms}};
  for (auto [field, ms] : times) {
    if (ms <= 0) context.error(field_path(path, field), "expected more than zero");
  }
  return result;
}

cluster::HealthCheckPolicy compile_health_check(Context& context, const core_v3::HealthCheck& check,
                                                const std::string& cluster_name, std::string_view path) {
  cluster::HealthCheckPolicy result;
  result.timeout_ms = to_ms(check.timeout());
  result.interval_ms = to_ms(check.interval());
  if (result.timeout_ms <= 0) context.error(field_path(path, "timeout"), "expected more than zero");
  if (result.interval_ms <= 0) context.error(field_path(path, "interval"), "expected more than zero");
  result.no_traffic_interval_ms = WEFT_MS_OR(check, no_traffic_interval, result.no_traffic_interval_ms);
  result.unhealthy_interval_ms = to_ms(check.unhealthy_interval());
  result.initial_jitter_ms = to_ms(check.initial_jitter());
  result.interval_jitter_ms = to_ms(check.interval_jitter());
  result.unhealthy_threshold = WEFT_VALUE_OR(check, unhealthy_threshold, 0);
  result.healthy_threshold = WEFT_VALUE_OR(check, healthy_threshold, 0);
  if (result.unhealthy_threshold == 0) context.error(field_path(path, "unhealthy_threshold"), "expected at least 1");
  if (result.healthy_threshold == 0) context.error(field_path(path, "healthy_threshold"), "expected at least 1");
  result.reuse_connection = WEFT_VALUE_OR(check, reuse_connection, true);
  switch (check.health_checker_case()) {
    case core_v3::HealthCheck::kHttpHealthCheck:
      compile_http_check(context, check.http_health_check(), cluster_name, field_path(path, "http_health_check"),
                         result);
      break;
    case core_v3::HealthCheck::kTcpHealthCheck: {
      std::string here = field_path(path, "tcp_health_check");
      result.kind = cluster::HealthCheckPolicy::Kind::kTcp;
      if (check.tcp_health_check().has_send()) {
        result.tcp_send = payload(context, check.tcp_health_check().send(), field_path(here, "send"));
      }
      for (int i = 0; i < check.tcp_health_check().receive_size(); ++i) {
        result.tcp_receive.push_back(payload(context, check.tcp_health_check().receive(i), at(here, "receive", i)));
      }
      break;
    }
    case core_v3::HealthCheck::kGrpcHealthCheck: {
      const auto& grpc = check.grpc_health_check();
      result.kind = cluster::HealthCheckPolicy::Kind::kGrpc;
      result.grpc_service_name = grpc.service_name();
      result.host = grpc.authority().empty() ? cluster_name : grpc.authority();
      for (const auto& option : grpc.initial_metadata()) {
        result.request_headers.emplace_back(absl::AsciiStrToLower(option.header().key()), option.header().value());
      }
      break;
    }
    default:
      context.error(path, "expected http_health_check, tcp_health_check or grpc_health_check");
  }
  return result;
}

}  // namespace weft::config
