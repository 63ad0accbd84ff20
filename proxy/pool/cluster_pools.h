#pragma once

#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "proxy/cluster/balancer.h"
#include "proxy/pool/host_pool.h"
#include "proxy/pool/original_hosts.h"
#include "proxy/pool/worker_context.h"

// A worker's side of one cluster, and of all of them.

namespace weft::pool {

class Upstreams;
class TcpConnect;

class ClusterPools final : public WorkerCluster, public event::NextTurnTask {
 public:
  ClusterPools(Upstreams& owner, cluster::ClusterPtr cluster);
  ~ClusterPools() override;

  cluster::Cluster& cluster() override { return *cluster_; }
  observe::ClusterStats& stats() override { return stats_; }
  cluster::HostPtr choose_host(const BalanceContext& context) override;
  void acquire_stream(const cluster::HostPtr& host, StreamWaiter& waiter) override;
  void acquire_tcp(const cluster::HostPtr& host, TcpWaiter& waiter) override;
  void hold() override { ++holders_; }
  void release() override;

  Upstreams& owner() { return owner_; }
  void drain();
  // No longer in its slot: every pool is retired, also those that are made yet.
  void retire();
  // Retired, nobody holds it, and no connection of it is left.
  bool over() const { return retired_ && holders_ == 0 && pools_.empty(); }
  // The hosts of the cluster changed: pools of those that went are retired.
  void retire_pools_of_lost_hosts();
  size_t open_connections() const;
  // In the next turn: it makes the connections that its waiters need, or goes if it is retired and unused.
  void attend_later(HostPool& pool);

 private:
  void on_next_turn() override;
  void retire_pool(HostPool& pool);
  void on_hosts_forgotten(const absl::flat_hash_set<const cluster::Host*>& hosts);

  Upstreams& owner_;
  cluster::ClusterPtr cluster_;
  observe::ClusterStats& stats_;
  cluster::Balancer balancer_;
  std::unique_ptr<OriginalHosts> original_hosts_;  // Of a cluster that connects to the original destination.
  absl::flat_hash_map<HostPool::Key, std::unique_ptr<HostPool>> pools_;
  uint64_t hosts_version_ = 0;  // For which pools_ was last looked over, or will be in the next turn.
  bool look_over_pools_ = false;
  bool retired_ = false;
  uint32_t holders_ = 0;
  base::IntrusiveList<HostPool, HostPool> unattended_;
  base::IntrusiveList<TcpConnect, TcpConnect> tcp_connects_;
};

class Upstreams final : public WorkerUpstreams, public event::NextTurnTask {
 public:
  Upstreams(event::Loop& loop, base::Random& random, uint32_t worker) : loop_(loop), random_(random), worker_(worker) {}
  ~Upstreams() override;

  WorkerCluster* find(const cluster::ClusterSlot& slot) override;
  WorkerCluster* find(std::string_view name) override;
  void assign(const cluster::ClusterSlot& slot, cluster::ClusterPtr cluster) override;
  void drop_lost_hosts(const cluster::ClusterSlot& slot) override;
  void drain() override;
  size_t open_connections() const override;

  event::Loop& loop() { return loop_; }
  base::Random& random() { return random_; }
  uint32_t worker() const { return worker_; }
  uint64_t next_connection_id() { return ++last_connection_id_; }
  // Some retired cluster may be over.
  void look_over_retired() { loop_.at_next_turn(*this); }

 private:
  // Who stands in a slot. Its pools, and with them its metrics, are made when it is first asked for.
  struct Place {
    cluster::ClusterPtr cluster;
    std::unique_ptr<ClusterPools> pools;
  };
  void on_next_turn() override;
  WorkerCluster* pools_of(Place& place);

  event::Loop& loop_;
  base::Random& random_;
  uint32_t worker_;
  uint64_t last_connection_id_ = 0;
  std::vector<Place> places_;  // By ClusterSlot::index().
  // The slots in which a cluster stands, by the name that it has itself.
  absl::flat_hash_map<absl::string_view, uint32_t> by_name_;
  std::vector<std::unique_ptr<ClusterPools>> retired_;  // Out of their slots and not over yet.
};

}  // namespace weft::pool
