#include "proxy/cluster/health_check.h"

#include <algorithm>

#include "proxy/cluster/health_session.h"

namespace weft::cluster {

HealthChecker::HealthChecker(event::Loop& loop, base::Random& random, ClusterPtr cluster,
                             std::function<void()> on_ready)
    : loop_(loop), random_(random), cluster_(std::move(cluster)), on_ready_(std::move(on_ready)) {}

HealthChecker::~HealthChecker() {
  cluster_->on_hosts_changed({});
  for (auto& [host, checked] : hosts_) forget(checked);
}

void HealthChecker::start() {
  cluster_->on_hosts_changed(base::bind<&HealthChecker::on_hosts_changed>(this));
  on_hosts_changed();
  unchecked_ = hosts_.size() * cluster_->config().health_checks.size();
  if (unchecked_ == 0 && on_ready_ != nullptr) std::exchange(on_ready_, nullptr)();
}

void HealthChecker::forget(CheckedHost& checked) {
  if (std::exchange(checked.counted_healthy, false)) cluster_->stats(0).health_check_healthy.subtract();
}

void HealthChecker::on_hosts_changed() {
  absl::flat_hash_map<const Host*, CheckedHost> before = std::exchange(hosts_, {});
  std::vector<HealthSession*> fresh;
  HostSetPtr set = cluster_->hosts();
  for (const auto& hosts : set->priorities) {
    for (const HostPtr& host : hosts) {
      CheckedHost& checked = hosts_[host.get()];
      if (auto known = before.find(host.get()); known != before.end()) {
        checked = std::move(known->second);
        before.erase(known);
        continue;
      }
      if (checked.host != nullptr) continue;  // It stands twice.
      checked.host = host;
      for (const HealthCheckPolicy& policy : cluster_->config().health_checks) {
        checked.sessions.push_back(std::make_unique<HealthSession>(*this, policy, host));
        fresh.push_back(checked.sessions.back().get());
      }
    }
  }
  for (auto& [host, checked] : before) {
    for (const auto& session : checked.sessions) {
      if (unchecked_ > 0 && !session->checked()) on_first_check();
    }
    forget(checked);
  }
  for (HealthSession* session : fresh) session->start();
}

void HealthChecker::on_first_check() {
  if (unchecked_ == 0 || --unchecked_ != 0) return;
  if (on_ready_ != nullptr) std::exchange(on_ready_, nullptr)();
}

void HealthChecker::on_verdict(const Host& host) {
  CheckedHost& checked = hosts_.at(&host);
  auto failed = [](const auto& session) { return session->failed(); };
  auto pending = [](const auto& session) { return !session->checked(); };
  bool healthy = std::none_of(checked.sessions.begin(), checked.sessions.end(), failed);
  bool waiting = std::any_of(checked.sessions.begin(), checked.sessions.end(), pending);
  bool changed = checked.host->set_flag(Host::kFailedActiveCheck, !healthy);
  changed |= checked.host->set_flag(Host::kPendingActiveCheck, waiting);
  if (changed) cluster_->note_health_change();
  if (checked.counted_healthy == healthy) return;
  checked.counted_healthy = healthy;
  cluster_->stats(0).health_check_healthy.add(healthy ? 1 : -1);
}

int64_t HealthChecker::wait_ms(const HealthCheckPolicy& policy, bool healthy) {
  for (const auto& [host, checked] : hosts_) {
    if (had_traffic_) break;
    had_traffic_ = host->total_connections.load(std::memory_order_relaxed) != 0;
  }
  int64_t wait_ms = policy.interval_ms;
  if (!had_traffic_) {
    wait_ms = policy.no_traffic_interval_ms;
  } else if (!healthy && policy.unhealthy_interval_ms != 0) {
    wait_ms = policy.unhealthy_interval_ms;
  }
  if (policy.interval_jitter_ms > 0) {
    wait_ms += static_cast<int64_t>(random_.below(static_cast<uint64_t>(policy.interval_jitter_ms)));
  }
  return std::max<int64_t>(wait_ms, 1);
}

}  // namespace weft::cluster
