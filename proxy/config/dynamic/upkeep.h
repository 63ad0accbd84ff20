#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "proxy/cluster/dns_discovery.h"
#include "proxy/cluster/health_check.h"

// What the main thread does for one cluster as long as it is there: finds its endpoints and checks their health. A
// cluster is warm when its endpoints were found for the first time, the secrets of its TLS are there, and its endpoints
// were then checked for the first time. Main thread.

namespace weft::config {

// One resolver for all clusters that ask the same servers.
class Resolvers {
 public:
  explicit Resolvers(event::LibeventLoop& loop) : loop_(loop) {}
  absl::StatusOr<cluster::DnsResolver*> of(const cluster::ClusterPolicy& config);

 private:
  event::LibeventLoop& loop_;
  std::map<std::string, std::unique_ptr<cluster::DnsResolver>> resolvers_;  // By their servers.
};

class Upkeep {
 public:
  struct Means {
    event::Loop& loop;
    base::Random& random;
    // Set where DNS clusters may come; makes or finds what resolves the cluster's names.
    std::function<absl::StatusOr<cluster::DnsResolver*>(const cluster::ClusterPolicy&)> resolver;
  };
  // `on_warm` is called once; perhaps from within start().
  Upkeep(Means& means, cluster::ClusterPtr cluster, std::function<void()> on_warm);
  void start();
  // Of an EDS cluster: its endpoints are there, or nobody waits for them any longer.
  void endpoints_settled();
  // Its secrets are there, or nobody waits for them any longer. Also of a cluster that needs none, before start().
  void secrets_settled();
  bool warm() const { return warm_; }

 private:
  void check_health();
  void become_warm();

  Means& means_;
  cluster::ClusterPtr cluster_;
  std::function<void()> on_warm_;
  std::unique_ptr<cluster::DnsDiscovery> discovery_;
  std::unique_ptr<cluster::HealthChecker> checker_;
  bool endpoints_settled_ = false;
  bool secrets_settled_ = false;
  bool settled_ = false;
  bool warm_ = false;
};

}  // namespace weft::config
