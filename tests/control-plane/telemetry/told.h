#pragma once

// Metrics as proxies stream them, for the tests of what is made of them.

#include <string>
#include <utility>
#include <vector>

#include "envoy/service/metrics/v3/metrics_service.pb.h"

namespace weft::control::telemetry {

using Labels = std::vector<std::pair<std::string, std::string>>;

inline io::prometheus::client::Metric& add_metric(envoy::service::metrics::v3::StreamMetricsMessage& message,
                                                  const std::string& name, io::prometheus::client::MetricType type,
                                                  const Labels& labels) {
  auto* family = message.add_envoy_metrics();
  family->set_name(name);
  family->set_type(type);
  auto* metric = family->add_metric();
  for (const auto& [label, value] : labels) {
    auto* pair = metric->add_label();
    pair->set_name(label);
    pair->set_value(value);
  }
  return *metric;
}

inline void add_counter(envoy::service::metrics::v3::StreamMetricsMessage& message, const std::string& name,
                        const Labels& labels, double value) {
  add_metric(message, name, io::prometheus::client::COUNTER, labels).mutable_counter()->set_value(value);
}

// `counts`: of the bounds in milliseconds, each by itself.
inline void add_histogram(envoy::service::metrics::v3::StreamMetricsMessage& message, const std::string& name,
                          const Labels& labels, const std::vector<std::pair<double, uint64_t>>& counts) {
  auto& histogram = *add_metric(message, name, io::prometheus::client::HISTOGRAM, labels).mutable_histogram();
  uint64_t cumulative = 0;
  for (const auto& [bound, count] : counts) {
    cumulative += count;
    auto* bucket = histogram.add_bucket();
    bucket->set_upper_bound(bound);
    bucket->set_cumulative_count(cumulative);
  }
  histogram.set_sample_count(cumulative);
}

// What the proxy of web tells of its calls to orders.
inline Labels source_labels(const std::string& code = "200", const std::string& protocol = "http") {
  return {{"reporter", "source"},
          {"source_workload", "web"},
          {"destination_service", "orders.shop.svc.cluster.local"},
          {"destination_service_name", "orders"},
          {"destination_service_namespace", "shop"},
          {"request_protocol", protocol},
          {"response_code", code},
          {"connection_security_policy", "none"}};
}

// What the proxy of orders tells of those who call it; a caller of "unknown" showed nothing.
inline Labels destination_labels(const std::string& caller, const std::string& code = "200") {
  return {{"reporter", "destination"},
          {"source_canonical_service", caller},
          {"source_workload_namespace", caller == "unknown" ? "unknown" : "shop"},
          {"destination_service", "orders.shop.svc.cluster.local"},
          {"destination_service_name", "orders"},
          {"destination_service_namespace", "shop"},
          {"request_protocol", "http"},
          {"response_code", code},
          {"connection_security_policy", caller == "unknown" ? "none" : "mutual_tls"}};
}

}  // namespace weft::control::telemetry
