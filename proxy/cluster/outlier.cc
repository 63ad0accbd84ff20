#include "proxy/cluster/outlier.h"

#include <algorithm>

#include "absl/container/flat_hash_set.h"

namespace weft::cluster {

bool OutlierDetector::report(Host& host, uint16_t status, size_t cluster_size, int64_t now_ms,
                             observe::ClusterStats& stats) {
  auto count = [](std::atomic<uint32_t>& counter, bool failed) -> uint32_t {
    if (failed) return counter.fetch_add(1, std::memory_order_relaxed) + 1;
    if (counter.load(std::memory_order_relaxed) != 0) counter.store(0, std::memory_order_relaxed);
    return 0;
  };
  auto reached = [](uint32_t threshold, uint32_t failures) { return threshold != 0 && failures == threshold; };
  bool local_failure = status == 0;
  bool eject_now = false;
  if (policy_.split_external_local_origin_errors) {
    uint32_t local = count(host.consecutive_local_failures, local_failure);
    if (reached(policy_.consecutive_local_origin_failure, local)) {
      stats.outlier_detection_ejections_detected_consecutive_local_origin_failure.add();
      eject_now = enforced(policy_.enforcing_consecutive_local_origin_failure_percent);
    }
    if (local_failure) return eject_now && eject(host, cluster_size, now_ms, stats);
  }
  uint32_t failures = count(host.consecutive_5xx, local_failure || status >= 500);
  if (reached(policy_.consecutive_5xx, failures)) {
    stats.outlier_detection_ejections_detected_consecutive_5xx.add();
    eject_now |= enforced(policy_.enforcing_consecutive_5xx_percent);
  }
  uint32_t gateway = count(host.consecutive_gateway_failures, local_failure || (status >= 502 && status <= 504));
  if (reached(policy_.consecutive_gateway_failure, gateway)) {
    stats.outlier_detection_ejections_detected_consecutive_gateway_failure.add();
    eject_now |= enforced(policy_.enforcing_consecutive_gateway_failure_percent);
  }
  return eject_now && eject(host, cluster_size, now_ms, stats);
}

bool OutlierDetector::eject(Host& host, size_t cluster_size, int64_t now_ms, observe::ClusterStats& stats) {
  std::lock_guard<std::mutex> lock(mutex_);
  if ((host.flags() & Host::kEjectedAsOutlier) != 0) return false;
  // At least one host may go, however small the percentage makes the number.
  size_t allowed = std::max<size_t>(1, cluster_size * policy_.max_ejection_percent / 100);
  if (ejected_.load(std::memory_order_relaxed) >= allowed) {
    stats.outlier_detection_ejections_overflow.add();
    return false;
  }
  Ejection& ejection = ejections_[&host];
  ++ejection.times;
  ejection.ejected = true;
  int64_t longest_ms = std::max(policy_.max_ejection_time_ms, policy_.base_ejection_time_ms);
  ejection.until_ms = now_ms + std::min(policy_.base_ejection_time_ms * ejection.times, longest_ms);
  host.set_flag(Host::kEjectedAsOutlier, true);
  ejected_.fetch_add(1, std::memory_order_relaxed);
  stats.outlier_detection_ejections_total.add();
  stats.outlier_detection_ejections_enforced_total.add();
  stats.outlier_detection_ejections_active.add();
  return true;
}

bool OutlierDetector::enforced(uint32_t percent) {
  if (percent == 0 || percent >= 100) return percent != 0;
  uint64_t n = decisions_.fetch_add(1, std::memory_order_relaxed);
  return n * percent / 100 != (n + 1) * percent / 100;
}

bool OutlierDetector::sweep(const HostSet& hosts, int64_t now_ms, observe::ClusterStats& stats) {
  if (now_ms < next_sweep_ms_) return false;
  next_sweep_ms_ = now_ms + policy_.interval_ms;
  absl::flat_hash_set<const Host*> present;
  for (const auto& level : hosts.priorities) {
    for (const HostPtr& host : level) present.insert(host.get());
  }
  std::lock_guard<std::mutex> lock(mutex_);
  bool changed = false;
  for (auto each = ejections_.begin(); each != ejections_.end();) {
    auto here = each++;
    if (!present.contains(here->first)) {
      // It went while it was ejected; its object may be gone too.
      if (here->second.ejected) ejected_.fetch_sub(1, std::memory_order_relaxed);
      if (here->second.ejected) stats.outlier_detection_ejections_active.subtract();
      ejections_.erase(here);
      continue;
    }
    changed |= release_if_due(*here->first, here->second, now_ms, stats);
    if (here->second.times == 0) ejections_.erase(here);
  }
  return changed;
}

bool OutlierDetector::release_if_due(Host& host, Ejection& ejection, int64_t now_ms, observe::ClusterStats& stats) {
  if (!ejection.ejected) {
    // Each interval without an ejection makes the next one shorter again.
    --ejection.times;
    return false;
  }
  if (now_ms < ejection.until_ms) return false;
  ejection.ejected = false;
  host.set_flag(Host::kEjectedAsOutlier, false);
  host.consecutive_5xx.store(0, std::memory_order_relaxed);
  host.consecutive_gateway_failures.store(0, std::memory_order_relaxed);
  host.consecutive_local_failures.store(0, std::memory_order_relaxed);
  ejected_.fetch_sub(1, std::memory_order_relaxed);
  stats.outlier_detection_ejections_active.subtract();
  return true;
}

}  // namespace weft::cluster
