#include "control-plane/telemetry/reading.h"

#include <charconv>
#include <string_view>
#include <system_error>

#include "io/prometheus/client/metrics.pb.h"

namespace weft::control::telemetry {

namespace {

using io::prometheus::client::Metric;
using io::prometheus::client::MetricFamily;

constexpr std::string_view kUnknown = "unknown";
constexpr std::string_view kIstio = "istio_";
constexpr std::string_view kCluster = "cluster.";
constexpr std::string_view kInbound = "inbound";
constexpr std::string_view kExternal = "external/";
constexpr size_t kMaxNameBytes = 253;
constexpr int kFirstFailure = 500;
constexpr uint64_t kMostCounted = uint64_t{1} << 62;

std::string_view label(const Metric& metric, std::string_view name) {
  for (const auto& each : metric.label()) {
    if (each.name() == name) return each.value();
  }
  return {};
}

// Names come from proxies: cut, so that none takes more room than it may.
std::string name_of(std::string_view text) { return std::string(text.substr(0, kMaxNameBytes)); }

uint64_t count_of(double value) {
  if (!(value >= 0)) return 0;
  return value >= static_cast<double>(kMostCounted) ? kMostCounted : static_cast<uint64_t>(value);
}

bool is_failure(std::string_view code) {
  int status = 0;
  const auto [end, error] = std::from_chars(code.data(), code.data() + code.size(), status);
  return error == std::errc() && end == code.data() + code.size() && status >= kFirstFailure;
}

// gRPC's statuses that are the server's failure, as OpenTelemetry counts them.
bool is_grpc_failure(std::string_view status) {
  for (const char* failure : {"2", "4", "12", "13", "14", "15"}) {
    if (status == failure) return true;
  }
  return false;
}

Buckets buckets_of(const io::prometheus::client::Histogram& histogram) {
  Buckets buckets{};
  uint64_t before = 0;
  size_t at = 0;
  for (const auto& each : histogram.bucket()) {
    while (at < kBounds.size() && kBounds[at] < each.upper_bound()) ++at;
    // Counts rise; what does not is none.
    if (each.cumulative_count() <= before) continue;
    buckets[at] += each.cumulative_count() - before;
    before = each.cumulative_count();
  }
  if (histogram.sample_count() > before) buckets.back() += histogram.sample_count() - before;
  return buckets;
}

Party own_party(const Reporter& reporter) {
  return {Party::Kind::kService, reporter.namespace_name, reporter.service.empty() ? reporter.id : reporter.service};
}

Party called_party(const Metric& metric) {
  Party party;
  party.name = name_of(label(metric, "destination_service_name"));
  party.namespace_name = name_of(label(metric, "destination_service_namespace"));
  const bool is_known = !party.name.empty() && party.name != kUnknown;
  if (is_known && label(metric, "destination_service").find(".svc.") != std::string_view::npos) return party;
  party.kind = Party::Kind::kExternal;
  if (!is_known) party = {Party::Kind::kExternal, "", std::string(kUnknown)};
  return party;
}

Party calling_party(const Metric& metric) {
  const std::string_view service = label(metric, "source_canonical_service");
  if (service.empty() || service == kUnknown) return {Party::Kind::kOutside, "", ""};
  return {Party::Kind::kService, name_of(label(metric, "source_workload_namespace")), name_of(service)};
}

std::optional<Reading> read_istio(const Reporter& reporter, std::string_view name, const Metric& metric) {
  Reading reading;
  const std::string_view side = label(metric, "reporter");
  reading.edge.told_by_destination = side == "destination";
  if (reading.edge.told_by_destination) {
    reading.edge.source = calling_party(metric);
    reading.edge.destination = own_party(reporter);
  } else if (side == "source") {
    reading.edge.source = own_party(reporter);
    reading.edge.destination = called_party(metric);
  } else {
    return std::nullopt;
  }
  const std::string_view protocol = label(metric, "request_protocol");
  reading.edge.protocol = protocol == "tcp" || protocol == "grpc" ? protocol : "http";
  const std::string_view security = label(metric, "connection_security_policy");
  if (security == "mutual_tls") reading.security = Security::kMutual;
  if (security == "none") reading.security = Security::kNone;
  reading.total = count_of(metric.counter().value());
  if (name == "istio_requests_total") {
    reading.failed =
        is_failure(label(metric, "response_code")) || is_grpc_failure(label(metric, "grpc_response_status"));
  } else if (name == "istio_request_duration_milliseconds") {
    if (!metric.has_histogram()) return std::nullopt;
    reading.durations = buckets_of(metric.histogram());
  } else if (name == "istio_tcp_connections_opened_total") {
    reading.counted = Counted::kConnections;
  } else if (name == "istio_tcp_sent_bytes_total") {
    reading.counted = Counted::kSentBytes;
  } else if (name == "istio_tcp_received_bytes_total") {
    reading.counted = Counted::kReceivedBytes;
  } else {
    return std::nullopt;
  }
  return reading;
}

// "shop/orders_80", with "external/" before it for one that is not of the mesh: our clusters, as Envoy writes them.
std::optional<Party> party_of_cluster(std::string_view cluster) {
  Party party;
  if (cluster.starts_with(kExternal)) {
    party.kind = Party::Kind::kExternal;
    cluster.remove_prefix(kExternal.size());
  }
  const size_t slash = cluster.find('/');
  const size_t port = cluster.find_last_of("_:");
  if (slash == std::string_view::npos || port == std::string_view::npos || port < slash) return std::nullopt;
  party.namespace_name = name_of(cluster.substr(0, slash));
  party.name = name_of(cluster.substr(slash + 1, port - slash - 1));
  return party;
}

std::optional<Reading> read_cluster(const Reporter& reporter, std::string_view name, const Metric& metric) {
  // Either "cluster.NAME.metric", or "cluster.metric" with the name as a label.
  name.remove_prefix(kCluster.size());
  std::string_view cluster = label(metric, "envoy.cluster_name");
  if (cluster.empty()) {
    const size_t dot = name.rfind('.');
    if (dot == std::string_view::npos) return std::nullopt;
    cluster = name.substr(0, dot);
    name.remove_prefix(dot + 1);
  }
  Reading reading;
  reading.edge.protocol = "http";
  if (cluster == kInbound) {
    reading.edge.told_by_destination = true;
    reading.edge.source = {Party::Kind::kOutside, "", ""};
    reading.edge.destination = own_party(reporter);
  } else {
    const std::optional<Party> party = party_of_cluster(cluster);
    if (!party.has_value()) return std::nullopt;
    reading.edge.source = own_party(reporter);
    reading.edge.destination = *party;
  }
  reading.total = count_of(metric.counter().value());
  const std::string_view status_class = label(metric, "envoy.response_code_class");
  if (name == "upstream_rq_time" && metric.has_histogram()) {
    reading.durations = buckets_of(metric.histogram());
  } else if (name == "upstream_rq_completed") {
    reading.counted = Counted::kRequests;
  } else if (name == "upstream_rq_5xx" || (name == "upstream_rq_xx" && status_class == "5")) {
    reading.counted = Counted::kFailures;
  } else {
    return std::nullopt;
  }
  return reading;
}

}  // namespace

std::optional<Reading> read_metric(const Reporter& reporter, const MetricFamily& family, const Metric& metric) {
  if (family.name().starts_with(kIstio)) return read_istio(reporter, family.name(), metric);
  if (family.name().starts_with(kCluster)) return read_cluster(reporter, family.name(), metric);
  return std::nullopt;
}

}  // namespace weft::control::telemetry
