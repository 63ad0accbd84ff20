#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "proxy/base/random.h"
#include "proxy/cluster/cluster.h"
#include "proxy/event/loop.h"

// Active health checks of one cluster's hosts, as its HealthCheckPolicies say: each host is asked at each policy's
// interval, over a connection of its own, and its kFailedActiveCheck flag is set while any of them fails. Semantics are
// Envoy's: the first check decides at once, an answer that says "unhealthy" counts without waiting for the threshold,
// and a cluster that never had traffic is checked more rarely. Main thread.

namespace weft::cluster {

class HealthSession;

class HealthChecker {
 public:
  // `on_ready` is called once, when every host that the cluster has at start() was checked for the first time.
  HealthChecker(event::Loop& loop, base::Random& random, ClusterPtr cluster, std::function<void()> on_ready);
  ~HealthChecker();
  HealthChecker(const HealthChecker&) = delete;
  HealthChecker& operator=(const HealthChecker&) = delete;
  void start();

 private:
  friend class HealthSession;
  void on_hosts_changed();
  void on_first_check();
  // A check of the host was concluded.
  void on_verdict(const Host& host);
  // The time to the next check of a host, jittered.
  int64_t wait_ms(const HealthCheckPolicy& policy, bool healthy);

  struct CheckedHost {
    HostPtr host;
    std::vector<std::unique_ptr<HealthSession>> sessions;  // One for each policy.
    bool counted_healthy = false;                          // In the gauge.
  };
  void forget(CheckedHost& checked);

  event::Loop& loop_;
  base::Random& random_;
  ClusterPtr cluster_;
  std::function<void()> on_ready_;
  absl::flat_hash_map<const Host*, CheckedHost> hosts_;
  size_t unchecked_ = 0;
  bool had_traffic_ = false;
};

}  // namespace weft::cluster
