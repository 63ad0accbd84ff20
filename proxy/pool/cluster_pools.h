#pragma once

#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "proxy/cluster/balancer.h"
#include "proxy/pool/host_pool.h"
#include "proxy/pool/worker_context.h"

// A worker's side of one cluster, and of all of them.

namespace weft::pool {

class Upstreams;
class TcpConnect;

class ClusterPools final : public WorkerCluster, public event::NextTurnTask {
 public:
  ClusterPools(Upstreams& owner, cluster::Cluster& cluster);
  ~ClusterPools() override;

  cluster::Cluster& cluster() override { return cluster_; }
  observe::ClusterStats& stats() override { return stats_; }
  cluster::HostPtr choose_host(const BalanceContext& context) override;
  void acquire_stream(const cluster::HostPtr& host, StreamWaiter& waiter) override;
  void acquire_tcp(const cluster::HostPtr& host, TcpWaiter& waiter) override;

  Upstreams& owner() { return owner_; }
  void drain();
  size_t open_connections() const;
  // The pool lost a connection while some wait: it makes another in the next turn.
  void reconnect_later(HostPool& pool);

 private:
  // The hosts of a cluster change: pools of those that went are drained, and go when nobody uses them.
  void drop_pools_of_lost_hosts();
  void on_next_turn() override;

  Upstreams& owner_;
  cluster::Cluster& cluster_;
  observe::ClusterStats& stats_;
  cluster::Balancer balancer_;
  // By host and, for clusters that speak what the client speaks, HTTP/2 or not.
  absl::flat_hash_map<std::pair<const cluster::Host*, bool>, std::unique_ptr<HostPool>> pools_;
  uint64_t hosts_version_ = 0;  // For which pools_ was last looked over, or will be in the next turn.
  bool look_over_pools_ = false;
  base::IntrusiveList<HostPool, HostPool> starved_;
  base::IntrusiveList<TcpConnect, TcpConnect> tcp_connects_;
};

class Upstreams final : public WorkerUpstreams {
 public:
  Upstreams(event::Loop& loop, base::Random& random, uint32_t worker) : loop_(loop), random_(random), worker_(worker) {}
  ~Upstreams() override;

  WorkerCluster* find(const cluster::Cluster& cluster) override;
  void drain() override;
  size_t open_connections() const override;

  event::Loop& loop() { return loop_; }
  base::Random& random() { return random_; }
  uint32_t worker() const { return worker_; }
  uint64_t next_connection_id() { return ++last_connection_id_; }

 private:
  event::Loop& loop_;
  base::Random& random_;
  uint32_t worker_;
  uint64_t last_connection_id_ = 0;
  std::vector<std::unique_ptr<ClusterPools>> clusters_;  // By Cluster::index().
};

}  // namespace weft::pool
