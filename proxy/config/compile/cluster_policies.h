#pragma once

#include <string_view>

#include "envoy/config/cluster/v3/circuit_breaker.pb.h"
#include "envoy/config/cluster/v3/outlier_detection.pb.h"
#include "envoy/config/core/v3/health_check.pb.h"
#include "proxy/config/compile/context.h"

// What keeps a cluster's failures from spreading: breakers, ejection, health checks.

namespace weft::config {

void compile_breakers(Context& context, const envoy::config::cluster::v3::CircuitBreakers& breakers,
                      std::string_view path, cluster::BreakerLimits (&limits)[2]);
cluster::OutlierPolicy compile_outlier(Context& context, const envoy::config::cluster::v3::OutlierDetection& outlier,
                                       std::string_view path);
cluster::HealthCheckPolicy compile_health_check(Context& context, const core_v3::HealthCheck& check,
                                                const std::string& cluster_name, std::string_view path);

}  // namespace weft::config
