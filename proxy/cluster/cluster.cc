#include "proxy/cluster/cluster.h"

#include <algorithm>

#include "absl/container/flat_hash_set.h"
#include "proxy/cluster/outlier.h"

namespace weft::cluster {

Host::Host(transport::Address address, std::string hostname, uint32_t weight, TransportCriteria transport)
    : address_(std::move(address)),
      address_text_(address_.to_string()),
      hostname_(std::move(hostname)),
      transport_(std::move(transport)),
      weight_(std::max(weight, 1u)) {}

bool Host::set_flag(HealthFlag flag, bool on) {
  uint32_t before = on ? flags_.fetch_or(flag, std::memory_order_relaxed)
                       : flags_.fetch_and(~static_cast<uint32_t>(flag), std::memory_order_relaxed);
  return ((before & flag) != 0) != on;
}

transport::Connector& Cluster::connector_of(const Host& host) const {
  for (const ClusterOwn::TransportMatch& match : own_.transport_matches) {
    const TransportCriteria& has = host.transport();
    if (std::includes(has.begin(), has.end(), match.criteria.begin(), match.criteria.end())) return *match.connector;
  }
  return *own_.connector;
}

std::vector<std::shared_ptr<transport::Connector>> Cluster::connectors() const {
  std::vector<std::shared_ptr<transport::Connector>> all;
  if (own_.connector != nullptr) all.push_back(own_.connector);
  for (const ClusterOwn::TransportMatch& match : own_.transport_matches) all.push_back(match.connector);
  return all;
}

bool Breakers::try_retry() {
  uint32_t limit = limits_.max_retries;
  if (limits_.retry_budget) {
    double active = static_cast<double>(requests() + pending());
    limit = std::max(limits_.retry_budget->min_concurrency,
                     static_cast<uint32_t>(limits_.retry_budget->percent * active / 100.0));
  }
  return try_take(retries_, limit);
}

Cluster::Cluster(ClusterOwn own, std::shared_ptr<const ClusterPolicy> policy, std::shared_ptr<Stats> stats)
    : own_(std::move(own)),
      policy_(std::move(policy)),
      breakers_{Breakers(policy_->breakers[0]), Breakers(policy_->breakers[1])},
      stats_(std::move(stats)),
      hosts_(std::make_shared<HostSet>()) {
  if (policy_->outlier) outlier_ = std::make_unique<OutlierDetector>(*policy_->outlier);
  if (policy_->slow_start.window_ms > 0) slow_start_ = std::make_unique<SlowStart>(policy_->slow_start);
}

Cluster::Cluster(ClusterConfig config, uint32_t workers)
    : Cluster(config, std::make_shared<const ClusterPolicy>(config),
              std::make_shared<Stats>("cluster." + config.stat_name + ".", "envoy_cluster_name", config.stat_name,
                                      workers)) {}

Cluster::~Cluster() = default;

HostSetPtr Cluster::hosts() const { return std::atomic_load(&hosts_); }

void Cluster::set_hosts(std::vector<std::vector<HostPtr>> priorities) {
  if (!policy_->health_checks.empty()) await_first_check(*hosts(), priorities);
  if (slow_start_ != nullptr) slow_start_->begin(*hosts(), priorities);
  auto set = std::make_shared<HostSet>();
  set->priorities = std::move(priorities);
  set->version = hosts_version_.load(std::memory_order_relaxed) + 1;
  if (set->version > 1) stats(0).membership_change.add();
  host_count_.store(set->size(), std::memory_order_relaxed);
  std::atomic_store(&hosts_, HostSetPtr(std::move(set)));
  note_health_change();
  if (on_hosts_changed_) on_hosts_changed_();
}

void Cluster::await_first_check(const HostSet& before, const std::vector<std::vector<HostPtr>>& priorities) {
  absl::flat_hash_set<const Host*> known;
  for (const auto& hosts : before.priorities) {
    for (const HostPtr& host : hosts) known.insert(host.get());
  }
  for (const auto& hosts : priorities) {
    for (const HostPtr& host : hosts) {
      if (known.contains(host.get())) continue;
      host->set_flag(Host::kFailedActiveCheck, true);
      host->set_flag(Host::kPendingActiveCheck, true);
    }
  }
}

void Cluster::report(Host& host, uint16_t status, http::Cause cause, int64_t now_ms, uint32_t worker) {
  bool failed = status == 0 || status >= 500;
  (failed ? host.failed_requests : host.successful_requests).fetch_add(1, std::memory_order_relaxed);
  if (status == 0 && http::cause_info(cause).phase == http::Phase::kConnecting) {
    host.connect_failures.fetch_add(1, std::memory_order_relaxed);
  }
  if (cause == http::Cause::kRouteTimeout || cause == http::Cause::kPerTryTimeout) {
    host.timeouts.fetch_add(1, std::memory_order_relaxed);
  }
  if (outlier_ == nullptr) return;
  if (outlier_->report(host, status, host_count_.load(std::memory_order_relaxed), now_ms, stats(worker)))
    note_health_change();
}

void Cluster::tick(int64_t now_ms) {
  if (outlier_ != nullptr && outlier_->sweep(*hosts(), now_ms, stats(0))) note_health_change();
  if (slow_start_ != nullptr && slow_start_->sweep(*hosts(), now_ms)) note_health_change();
}

}  // namespace weft::cluster
