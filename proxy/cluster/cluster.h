#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/base/callback.h"
#include "proxy/cluster/host.h"
#include "proxy/cluster/slow_start.h"
#include "proxy/codec/codec.h"
#include "proxy/http/cause.h"
#include "proxy/observe/stats.h"

// A cluster as all workers share it: its configuration (immutable), its endpoints (an immutable set that is replaced),
// its circuit breakers (atomics) and its metrics. What a worker keeps for itself - balancer, connections - is
// pool::WorkerCluster.

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
  };
  std::optional<RetryBudget> retry_budget;
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
  };
  std::vector<StatusRange> expected_statuses = {{200, 201}};
  std::vector<std::pair<std::string, std::string>> request_headers;
  bool http2 = false;
  // gRPC
  std::string grpc_service_name;
  // TCP: bytes to send, pieces to expect in order. Both empty: connecting is enough.
  std::string tcp_send;
  std::vector<std::string> tcp_receive;
};

struct DnsEndpoint {
  std::string hostname;
  uint16_t port = 0;
  uint32_t weight = 1;
  uint32_t priority = 0;
};

struct ClusterConfig {
  std::string name;
  std::string stat_name;                                    // alt_stat_name, or the name
  std::shared_ptr<const observe::ServiceIdentity> service;  // Of its metadata; nullptr: it says nothing.
  DiscoveryType discovery = DiscoveryType::kStatic;
  std::vector<DnsEndpoint> dns_endpoints;  // For the DNS kinds.
  // For kOriginalDst: hosts are forgotten when nobody asked for them for so long, and this port is in place of the
  // destination's own if it is not 0.
  int64_t cleanup_interval_ms = 5'000;
  uint16_t original_port_override = 0;
  // For kEds: the name under which its endpoints come, and from where (a serialised ConfigSource).
  std::string eds_service, eds_source;
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

  // What a connection must be to count as one of this cluster's: the pool's key with the host's address and protocol.
  // "" for plain TCP. Made by config/compile from everything that the handshake depends on, so equal keys mean equal
  // security.
  std::string transport_identity;
  std::shared_ptr<transport::Connector> connector;  // Stateless, shared by all workers.
  bool tls = false;
  // In place of `connector` for endpoints of which all the criteria hold: the first that fits
  // (transport_socket_matches).
  struct TransportMatch {
    std::string name;
    TransportCriteria criteria;
    std::shared_ptr<transport::Connector> connector;
  };
  std::vector<TransportMatch> transport_matches;
  transport::Connector& connector_of(const Host& host) const;
  // All that connections of this cluster are made by.
  std::vector<std::shared_ptr<transport::Connector>> connectors() const;
  // The request's host is the server's name: it is sent as SNI, its certificate must be for it.
  bool auto_sni = false;
  bool auto_san_validation = false;
  bool names_servers() const { return auto_sni || auto_san_validation; }
};

// What is in flight for one priority, over all workers (Envoy's circuit breakers).
class Breakers {
 public:
  // The limits must outlive it.
  explicit Breakers(const BreakerLimits& limits) : limits_(limits) {}
  // Each try_ takes one if the limit allows; what was taken must be given back.
  bool try_request() { return try_take(requests_, limits_.max_requests); }
  void request_done() { requests_.fetch_sub(1, std::memory_order_relaxed); }
  bool try_pending() { return try_take(pending_, limits_.max_pending_requests); }
  void pending_done() { pending_.fetch_sub(1, std::memory_order_relaxed); }
  bool try_connection() { return try_take(connections_, limits_.max_connections); }
  // Takes one above the limit.
  void force_connection() { connections_.fetch_add(1, std::memory_order_relaxed); }
  void connection_done() { connections_.fetch_sub(1, std::memory_order_relaxed); }
  // By the budget if there is one, else by max_retries.
  bool try_retry();
  void retry_done() { retries_.fetch_sub(1, std::memory_order_relaxed); }

  uint32_t requests() const { return requests_.load(std::memory_order_relaxed); }
  uint32_t pending() const { return pending_.load(std::memory_order_relaxed); }
  uint32_t connections() const { return connections_.load(std::memory_order_relaxed); }
  uint32_t retries() const { return retries_.load(std::memory_order_relaxed); }
  const BreakerLimits& limits() const { return limits_; }

 private:
  // Over the limit is noticed after the fact and taken back, so that the common case is one atomic addition.
  static bool try_take(std::atomic<uint32_t>& count, uint32_t limit) {
    if (count.fetch_add(1, std::memory_order_relaxed) < limit) return true;
    count.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }
  const BreakerLimits& limits_;
  std::atomic<uint32_t> requests_{0};
  std::atomic<uint32_t> pending_{0};
  std::atomic<uint32_t> connections_{0};
  std::atomic<uint32_t> retries_{0};
};

class OutlierDetector;

class Cluster : public std::enable_shared_from_this<Cluster> {
 public:
  using Stats = observe::Family<observe::ClusterStats>;
  // `stats`: those of the cluster of this name, which outlive its replacement.
  Cluster(ClusterConfig config, std::shared_ptr<Stats> stats);
  // With metrics of its own.
  Cluster(ClusterConfig config, uint32_t workers);
  ~Cluster();

  const ClusterConfig& config() const { return config_; }
  const std::string& name() const { return config_.name; }
  Breakers& breakers(Priority priority) { return breakers_[static_cast<int>(priority)]; }
  observe::ClusterStats& stats(uint32_t worker) { return stats_->of_worker(worker); }
  const std::shared_ptr<Stats>& stats_family() const { return stats_; }

  // The endpoints now. Any thread. A worker keeps its own copy and compares hosts_version() to see that it is stale.
  HostSetPtr hosts() const;
  uint64_t hosts_version() const { return hosts_version_.load(std::memory_order_acquire); }
  // Replaces the endpoints (main thread). Hosts that stay must be the same objects, so that they keep their state.
  void set_hosts(std::vector<std::vector<HostPtr>> priorities);

  // With active health checks, a host that is new counts as failed until its first check.
  // Who is told after each set_hosts(); one at most. Main thread.
  void on_hosts_changed(base::Callback<void()> listener) { on_hosts_changed_ = listener; }
  // Some host's health changed: balancers look anew. Any thread.
  void note_health_change() { hosts_version_.fetch_add(1, std::memory_order_acq_rel); }
  // Takes back ejected hosts whose time is over, and lets new ones take more. Main thread, twice a second.
  void tick(int64_t now_ms);

  // What became of an exchange with a host; feeds outlier ejection (config().outlier) and the host's counts. `status`
  // 0: no answer came, `cause` says why (connect failure, reset, timeout). Any worker's thread.
  void report(Host& host, uint16_t status, http::Cause cause, int64_t now_ms, uint32_t worker);

 private:
  static void await_first_check(const HostSet& before, const std::vector<std::vector<HostPtr>>& priorities);

  ClusterConfig config_;
  base::Callback<void()> on_hosts_changed_;
  Breakers breakers_[2];
  std::shared_ptr<Stats> stats_;
  HostSetPtr hosts_;                   // Guarded by std::atomic_load/store.
  std::atomic<size_t> host_count_{0};  // Of hosts_: what each answer asks, without taking hosts_.
  std::atomic<uint64_t> hosts_version_{0};
  std::unique_ptr<OutlierDetector> outlier_;
  std::unique_ptr<SlowStart> slow_start_;
};
using ClusterPtr = std::shared_ptr<Cluster>;

}  // namespace weft::cluster
