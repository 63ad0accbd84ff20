#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "proxy/cluster/host.h"
#include "proxy/cluster/slow_start.h"
#include "proxy/codec/codec.h"
#include "proxy/observe/hop_identity.h"

// What a cluster is configured to be. Immutable values, made by config/compile; any thread. Times are milliseconds.

namespace weft::cluster {

enum class DiscoveryType : uint8_t { kStatic, kStrictDns, kLogicalDns, kEds, kOriginalDst };
enum class BalancerKind : uint8_t { kRoundRobin, kLeastRequest, kRandom, kRingHash, kMaglev };
enum class UpstreamProtocol : uint8_t { kHttp1, kHttp2, kAuto /* by ALPN */, kAsDownstream };
enum class DnsFamily : uint8_t { kAuto, kV4Only, kV6Only, kV4Preferred, kAll };
enum class Priority : uint8_t { kDefault, kHigh };

struct BreakerLimits {
  uint32_t max_connections = 1024;
  uint32_t max_pending_requests = 1024;
  uint32_t max_requests = 1024;
  uint32_t max_retries = 3;
  bool track_remaining = false;  // What is left below the limits is a metric.
  // Envoy's retry_budget; when set it takes the place of max_retries.
  struct RetryBudget {
    double percent = 20.0;
    uint32_t min_concurrency = 3;
    bool operator==(const RetryBudget&) const = default;
  };
  std::optional<RetryBudget> retry_budget;
  bool operator==(const BreakerLimits&) const = default;
};

struct OutlierPolicy {
  uint32_t consecutive_5xx = 5;  // 0: off
  uint32_t consecutive_gateway_failure = 5;
  uint32_t consecutive_local_origin_failure = 5;
  bool split_external_local_origin_errors = false;
  uint32_t enforcing_consecutive_5xx_percent = 100;
  uint32_t enforcing_consecutive_gateway_failure_percent = 0;
  uint32_t enforcing_consecutive_local_origin_failure_percent = 100;
  int64_t interval_ms = 10'000;
  int64_t base_ejection_time_ms = 30'000;
  int64_t max_ejection_time_ms = 300'000;
  uint32_t max_ejection_percent = 10;
  bool operator==(const OutlierPolicy&) const = default;
};

struct HealthCheckPolicy {
  enum class Kind : uint8_t { kHttp, kTcp, kGrpc } kind = Kind::kTcp;
  int64_t timeout_ms = 0;
  int64_t interval_ms = 0;
  int64_t no_traffic_interval_ms = 60'000;
  int64_t unhealthy_interval_ms = 0;  // 0: interval_ms
  int64_t initial_jitter_ms = 0;
  int64_t interval_jitter_ms = 0;
  uint32_t unhealthy_threshold = 1;
  uint32_t healthy_threshold = 1;
  bool reuse_connection = true;
  // HTTP
  std::string host;
  std::string path;
  std::string method = "GET";
  struct StatusRange {
    uint16_t start, end;  // [start, end)
    bool operator==(const StatusRange&) const = default;
  };
  std::vector<StatusRange> expected_statuses = {{200, 201}};
  std::vector<std::pair<std::string, std::string>> request_headers;
  bool http2 = false;
  // gRPC
  std::string grpc_service_name;
  // TCP: bytes to send, pieces to expect in order. Both empty: connecting is enough.
  std::string tcp_send;
  std::vector<std::string> tcp_receive;
  bool operator==(const HealthCheckPolicy&) const = default;
};

struct DnsEndpoint {
  std::string hostname;
  uint16_t port = 0;
  uint32_t weight = 1;
  uint32_t priority = 0;
};

// How a cluster behaves. Clusters that are configured alike have one (SharedParts::policy), so that each weighs no more
// than what it has for itself.
struct ClusterPolicy {
  DiscoveryType discovery = DiscoveryType::kStatic;
  // For kOriginalDst: hosts are forgotten when nobody asked for them for so long, and this port is in place of the
  // destination's own if it is not 0.
  int64_t cleanup_interval_ms = 5'000;
  uint16_t original_port_override = 0;
  std::string eds_source;  // For kEds: from where its endpoints come (a serialised ConfigSource).
  DnsFamily dns_family = DnsFamily::kAuto;
  int64_t dns_refresh_ms = 5'000;
  bool respect_dns_ttl = false;
  int64_t dns_failure_refresh_base_ms = 0;  // 0: dns_refresh_ms
  int64_t dns_failure_refresh_max_ms = 0;
  std::vector<transport::Address> dns_resolvers;  // Empty: the system's.

  bool wait_for_warm = true;  // Serving begins when its names and hosts have answered for the first time.

  BalancerKind balancer = BalancerKind::kRoundRobin;
  uint32_t least_request_choices = 2;
  SlowStartPolicy slow_start;  // Only of round robin and least request.
  uint64_t min_ring_points = 1024;
  uint64_t max_ring_points = 8 * 1024 * 1024;
  uint64_t maglev_table_size = 65'537;
  bool hashes() const { return balancer == BalancerKind::kRingHash || balancer == BalancerKind::kMaglev; }
  uint32_t healthy_panic_percent = 50;
  int64_t connect_timeout_ms = 5'000;
  BreakerLimits breakers[2];  // By Priority.
  std::optional<OutlierPolicy> outlier;
  std::vector<HealthCheckPolicy> health_checks;

  UpstreamProtocol protocol = UpstreamProtocol::kHttp1;
  codec::Limits codec_limits;
  int64_t idle_timeout_ms = 3'600'000;  // 0: none
  int64_t max_connection_duration_ms = 0;
  uint32_t max_requests_per_connection = 0;  // 0: no bound
  int64_t h2_ping_interval_ms = 0;           // 0: none
  int64_t h2_ping_timeout_ms = 0;
  uint32_t per_connection_buffer_limit_bytes = 1024 * 1024;

  bool tls = false;
  // The request's host is the server's name: it is sent as SNI, its certificate must be for it.
  bool auto_sni = false;
  bool auto_san_validation = false;
  bool names_servers() const { return auto_sni || auto_san_validation; }

  bool operator==(const ClusterPolicy&) const = default;
};

// What a cluster has for itself.
struct ClusterOwn {
  std::string name;
  std::shared_ptr<const observe::ServiceIdentity> service;  // Of its metadata; nullptr: it says nothing.
  std::vector<DnsEndpoint> dns_endpoints;                   // For the DNS kinds.
  std::string eds_service;                                  // For kEds: the name under which its endpoints come.
  std::shared_ptr<transport::Connector> connector;          // Stateless, shared by all workers.
  // In place of `connector` for endpoints of which all the criteria hold: the first that fits
  // (transport_socket_matches).
  struct TransportMatch {
    std::string name;
    TransportCriteria criteria;
    std::shared_ptr<transport::Connector> connector;
  };
  std::vector<TransportMatch> transport_matches;
};

// All that a cluster is made of.
struct ClusterConfig : ClusterPolicy, ClusterOwn {
  std::string stat_name;  // alt_stat_name, or the name
};

}  // namespace weft::cluster
