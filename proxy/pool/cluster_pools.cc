#include "proxy/pool/cluster_pools.h"

#include "absl/container/flat_hash_set.h"
#include "proxy/pool/tcp_connect.h"

namespace weft::pool {
namespace {

PoolProtocol protocol_for(cluster::UpstreamProtocol configured, const StreamWaiter& waiter) {
  if (waiter.wants_tunnel()) return PoolProtocol::kTunnel;
  switch (configured) {
    case cluster::UpstreamProtocol::kHttp1:
      return PoolProtocol::kHttp1;
    case cluster::UpstreamProtocol::kHttp2:
      return PoolProtocol::kHttp2;
    case cluster::UpstreamProtocol::kAuto:
      return PoolProtocol::kAuto;
    case cluster::UpstreamProtocol::kAsDownstream:
      break;
  }
  return waiter.downstream_version() == http::Version::kHttp2 ? PoolProtocol::kHttp2 : PoolProtocol::kHttp1;
}

}  // namespace

ClusterPools::ClusterPools(Upstreams& owner, cluster::ClusterPtr cluster)
    : owner_(owner),
      cluster_(std::move(cluster)),
      stats_(cluster_->stats(owner.worker())),
      balancer_(*cluster_, owner.random()) {
  const cluster::ClusterPolicy& config = cluster_->config();
  if (config.discovery != cluster::DiscoveryType::kOriginalDst) return;
  original_hosts_ =
      std::make_unique<OriginalHosts>(owner.loop(), config.cleanup_interval_ms, config.original_port_override,
                                      base::bind<&ClusterPools::on_hosts_forgotten>(this));
}

ClusterPools::~ClusterPools() {
  while (!tcp_connects_.empty()) tcp_connects_.front().give_up(http::Cause::kDraining, "the cluster was removed");
  // A connection that ends with its pool still asks for attention.
  pools_.clear();
  while (!unattended_.empty()) unattended_.pop_front();
}

cluster::HostPtr ClusterPools::choose_host(const BalanceContext& context) {
  if (original_hosts_ != nullptr) {
    return context.original_destination == nullptr ? nullptr : original_hosts_->find(*context.original_destination);
  }
  if (hosts_version_ != cluster_->hosts_version()) {
    hosts_version_ = cluster_->hosts_version();
    // Not here: this may be called from within one of the pools.
    look_over_pools_ = !pools_.empty();
    if (look_over_pools_) owner_.loop().at_next_turn(*this);
  }
  const cluster::HostPtr* chosen =
      balancer_.choose(context.avoid, context.avoid_count, context.avoid_tries, context.hash);
  if (chosen == nullptr) return nullptr;
  if (balancer_.panicking()) stats_.lb_healthy_panic.add();
  return *chosen;
}

void ClusterPools::acquire_stream(const cluster::HostPtr& host, StreamWaiter& waiter) {
  PoolProtocol protocol = protocol_for(cluster_->config().protocol, waiter);
  std::string_view name = cluster_->config().names_servers() ? waiter.server_name() : std::string_view();
  auto& pool = pools_[{host.get(), protocol, waiter.priority(), std::string(name)}];
  if (pool == nullptr) {
    pool = std::make_unique<HostPool>(*this, host, protocol, waiter.priority(), name);
    if (retired_) retire_pool(*pool);
  }
  pool->acquire(waiter);
}

void ClusterPools::retire_pools_of_lost_hosts() {
  look_over_pools_ = false;
  if (original_hosts_ != nullptr) return;
  cluster::HostSetPtr set = cluster_->hosts();
  absl::flat_hash_set<const cluster::Host*> present;
  for (const auto& hosts : set->priorities) {
    for (const auto& host : hosts) present.insert(host.get());
  }
  for (auto& [key, pool] : pools_) {
    if (!present.contains(&pool->host())) {
      retire_pool(*pool);
    } else if (!retired_) {
      pool->take_back();
    }
  }
}

void ClusterPools::on_hosts_forgotten(const absl::flat_hash_set<const cluster::Host*>& hosts) {
  for (auto& [key, pool] : pools_) {
    if (hosts.contains(&pool->host())) retire_pool(*pool);
  }
}

void ClusterPools::retire() {
  retired_ = true;
  for (auto& [key, pool] : pools_) retire_pool(*pool);
}

void ClusterPools::release() {
  --holders_;
  if (over()) owner_.look_over_retired();
}

void ClusterPools::retire_pool(HostPool& pool) {
  pool.retire();
  attend_later(pool);
}

void ClusterPools::acquire_tcp(const cluster::HostPtr& host, TcpWaiter& waiter) {
  TcpConnect::start(*this, host, waiter, tcp_connects_);
}

void ClusterPools::attend_later(HostPool& pool) {
  if (!pool.base::ListNode<HostPool>::linked()) unattended_.push_back(pool);
  owner_.loop().at_next_turn(*this);
}

void ClusterPools::on_next_turn() {
  if (look_over_pools_) retire_pools_of_lost_hosts();
  while (!unattended_.empty()) {
    HostPool& pool = unattended_.pop_front();
    if (pool.passing() && pool.unused()) {
      pools_.erase(pool.key());
    } else {
      pool.connect_as_needed();
    }
  }
  if (over()) owner_.look_over_retired();
}

void ClusterPools::drain() {
  for (auto& [key, pool] : pools_) pool->drain();
}

size_t ClusterPools::open_connections() const {
  size_t total = 0;
  for (const auto& [key, pool] : pools_) total += pool->connections();
  return total;
}

Upstreams::~Upstreams() = default;

WorkerCluster* Upstreams::pools_of(Place& place) {
  if (place.pools == nullptr && place.cluster != nullptr) {
    place.pools = std::make_unique<ClusterPools>(*this, place.cluster);
  }
  return place.pools.get();
}

WorkerCluster* Upstreams::find(const cluster::ClusterSlot& slot) {
  return slot.index() < places_.size() ? pools_of(places_[slot.index()]) : nullptr;
}

WorkerCluster* Upstreams::find(std::string_view name) {
  auto found = by_name_.find(absl::string_view(name.data(), name.size()));
  return found == by_name_.end() ? nullptr : pools_of(places_[found->second]);
}

void Upstreams::assign(const cluster::ClusterSlot& slot, cluster::ClusterPtr cluster) {
  if (slot.index() >= places_.size()) places_.resize(slot.index() + 1);
  Place& place = places_[slot.index()];
  if (place.cluster != nullptr) by_name_.erase(place.cluster->name());
  if (place.pools != nullptr) {
    place.pools->retire();
    retired_.push_back(std::move(place.pools));
    look_over_retired();
  }
  place.cluster = std::move(cluster);
  if (place.cluster != nullptr) by_name_.insert_or_assign(place.cluster->name(), slot.index());
}

void Upstreams::on_next_turn() {
  std::erase_if(retired_, [](const auto& each) { return each->over(); });
}

void Upstreams::drop_lost_hosts(const cluster::ClusterSlot& slot) {
  if (slot.index() >= places_.size() || places_[slot.index()].pools == nullptr) return;
  places_[slot.index()].pools->retire_pools_of_lost_hosts();
}

void Upstreams::drain() {
  for (const Place& place : places_) {
    if (place.pools != nullptr) place.pools->drain();
  }
  for (const auto& cluster : retired_) cluster->drain();
}

size_t Upstreams::open_connections() const {
  size_t total = 0;
  for (const Place& place : places_) {
    if (place.pools != nullptr) total += place.pools->open_connections();
  }
  for (const auto& cluster : retired_) total += cluster->open_connections();
  return total;
}

std::unique_ptr<WorkerUpstreams> make_worker_upstreams(event::Loop& loop, base::Random& random, uint32_t worker) {
  return std::make_unique<Upstreams>(loop, random, worker);
}

}  // namespace weft::pool
