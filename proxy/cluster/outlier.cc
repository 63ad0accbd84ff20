#include "proxy/cluster/outlier.h"

#include <algorithm>

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
      eject_now = policy_.enforcing_consecutive_local_origin_failure_percent != 0;
    }
    if (local_failure) return eject_now && eject(host, cluster_size, now_ms, stats);
  }
  uint32_t failures = count(host.consecutive_5xx, local_failure || status >= 500);
  if (reached(policy_.consecutive_5xx, failures)) {
    stats.outlier_detection_ejections_detected_consecutive_5xx.add();
    eject_now |= policy_.enforcing_consecutive_5xx_percent != 0;
  }
  uint32_t gateway = count(host.consecutive_gateway_failures, local_failure || (status >= 502 && status <= 504));
  if (reached(policy_.consecutive_gateway_failure, gateway)) {
    stats.outlier_detection_ejections_detected_consecutive_gateway_failure.add();
    eject_now |= policy_.enforcing_consecutive_gateway_failure_percent != 0;
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
  int64_t longest_ms = std::max(policy_.max_ejection_time_ms, policy_.base_ejection_time_ms);
  ejection.until_ms = now_ms + std::min(policy_.base_ejection_time_ms * ejection.times, longest_ms);
  host.set_flag(Host::kEjectedAsOutlier, true);
  ejected_.fetch_add(1, std::memory_order_relaxed);
  stats.outlier_detection_ejections_total.add();
  stats.outlier_detection_ejections_enforced_total.add();
  stats.outlier_detection_ejections_active.add();
  return true;
}

bool OutlierDetector::release_if_due(Host& host, int64_t now_ms, observe::ClusterStats& stats) {
  std::lock_guard<std::mutex> lock(mutex_);
  auto found = ejections_.find(&host);
  if (found == ejections_.end()) return false;
  if ((host.flags() & Host::kEjectedAsOutlier) == 0) {
    // Each interval without an ejection makes the next one shorter again.
    if (found->second.times > 0) --found->second.times;
    if (found->second.times == 0) ejections_.erase(found);
    return false;
  }
  if (now_ms < found->second.until_ms) return false;
  host.set_flag(Host::kEjectedAsOutlier, false);
  host.consecutive_5xx.store(0, std::memory_order_relaxed);
  host.consecutive_gateway_failures.store(0, std::memory_order_relaxed);
  host.consecutive_local_failures.store(0, std::memory_order_relaxed);
  ejected_.fetch_sub(1, std::memory_order_relaxed);
  stats.outlier_detection_ejections_active.subtract();
  return true;
}

}  // namespace weft::cluster
