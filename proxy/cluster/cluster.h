#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "proxy/base/callback.h"
#include "proxy/cluster/config.h"
#include "proxy/cluster/host.h"
#include "proxy/http/cause.h"
#include "proxy/observe/stats.h"

// A cluster as all workers share it: its configuration (immutable), its endpoints (an immutable set that is replaced),
// its circuit breakers (atomics) and its metrics. What a worker keeps for itself - balancer, connections - is
// pool::WorkerCluster.

namespace weft::cluster {

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
  Cluster(ClusterOwn own, std::shared_ptr<const ClusterPolicy> policy, std::shared_ptr<Stats> stats);
  // With a policy and metrics that it shares with nobody.
  Cluster(ClusterConfig config, uint32_t workers);
  ~Cluster();

  const ClusterPolicy& config() const { return *policy_; }
  const ClusterOwn& own() const { return own_; }
  const std::string& name() const { return own_.name; }
  transport::Connector& connector_of(const Host& host) const;
  // All that its connections are made by.
  std::vector<std::shared_ptr<transport::Connector>> connectors() const;
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

  ClusterOwn own_;
  std::shared_ptr<const ClusterPolicy> policy_;
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
