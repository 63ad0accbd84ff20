#include "proxy/cluster/health_check.h"

#include <algorithm>

#include "absl/container/flat_hash_map.h"
#include "proxy/cluster/health_session.h"

namespace weft::cluster {

HealthChecker::HealthChecker(event::Loop& loop, base::Random& random, ClusterPtr cluster,
                             std::function<void()> on_ready)
    : loop_(loop),
      random_(random),
      cluster_(std::move(cluster)),
      policy_(cluster_->config().health_checks.front()),
      on_ready_(std::move(on_ready)) {}

HealthChecker::~HealthChecker() { cluster_->on_hosts_changed({}); }

void HealthChecker::start() {
  cluster_->on_hosts_changed(base::bind<&HealthChecker::on_hosts_changed>(this));
  on_hosts_changed();
  unchecked_ = sessions_.size();
  if (unchecked_ == 0 && on_ready_ != nullptr) std::exchange(on_ready_, nullptr)();
}

void HealthChecker::on_hosts_changed() {
  absl::flat_hash_map<const Host*, std::unique_ptr<HealthSession>> before;
  for (auto& session : sessions_) {
    const Host* host = session->host().get();
    before[host] = std::move(session);
  }
  sessions_.clear();
  std::vector<HealthSession*> fresh;
  HostSetPtr set = cluster_->hosts();
  for (const auto& hosts : set->priorities) {
    for (const HostPtr& host : hosts) {
      auto& known = before[host.get()];
      if (known == nullptr) {
        known = std::make_unique<HealthSession>(*this, host);
        fresh.push_back(known.get());
      }
      sessions_.push_back(std::move(known));
      before.erase(host.get());
    }
  }
  for (const auto& [host, session] : before) {
    if (unchecked_ > 0 && !session->checked()) on_first_check();
  }
  for (HealthSession* session : fresh) session->start();
}

void HealthChecker::on_first_check() {
  if (unchecked_ == 0 || --unchecked_ != 0) return;
  if (on_ready_ != nullptr) std::exchange(on_ready_, nullptr)();
}

int64_t HealthChecker::wait_ms(bool healthy) {
  for (const auto& session : sessions_) {
    if (had_traffic_) break;
    had_traffic_ = session->host()->total_connections.load(std::memory_order_relaxed) != 0;
  }
  int64_t wait_ms = policy_.interval_ms;
  if (!had_traffic_) {
    wait_ms = policy_.no_traffic_interval_ms;
  } else if (!healthy && policy_.unhealthy_interval_ms != 0) {
    wait_ms = policy_.unhealthy_interval_ms;
  }
  if (policy_.interval_jitter_ms > 0) {
    wait_ms += static_cast<int64_t>(random_.below(static_cast<uint64_t>(policy_.interval_jitter_ms)));
  }
  return std::max<int64_t>(wait_ms, 1);
}

}  // namespace weft::cluster
