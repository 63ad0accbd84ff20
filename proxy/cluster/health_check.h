#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "proxy/base/random.h"
#include "proxy/cluster/cluster.h"
#include "proxy/event/loop.h"

// Active health checks of one cluster's hosts, as its first HealthCheckPolicy says: each host is asked at its interval,
// over a connection of its own, and its kFailedActiveCheck flag follows the answers. Semantics are Envoy's: the first
// check decides at once, an answer that says "unhealthy" counts without waiting for the threshold, and a cluster that
// never had traffic is checked more rarely. Main thread.

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
  // The time to the next check of a host, jittered.
  int64_t wait_ms(bool healthy);

  event::Loop& loop_;
  base::Random& random_;
  ClusterPtr cluster_;
  const HealthCheckPolicy& policy_;
  std::function<void()> on_ready_;
  std::vector<std::unique_ptr<HealthSession>> sessions_;
  size_t unchecked_ = 0;
  bool had_traffic_ = false;
};

}  // namespace weft::cluster
