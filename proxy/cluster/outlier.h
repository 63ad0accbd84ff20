#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "absl/container/flat_hash_map.h"
#include "proxy/cluster/cluster.h"

// Ejects hosts that keep failing, for a time that grows with each ejection (Envoy's outlier detection by consecutive
// failures). Counting is done with the host's atomics by any worker; ejecting, which is rare, takes a lock.

namespace weft::cluster {

class OutlierDetector {
 public:
  explicit OutlierDetector(const OutlierPolicy& policy) : policy_(policy) {}

  // What became of one exchange; `status` 0: no answer. True if the host was ejected by it. Any worker's thread.
  bool report(Host& host, uint16_t status, size_t cluster_size, int64_t now_ms, observe::ClusterStats& stats);
  // Once an interval, on the main thread: takes back hosts whose time is over and forgets those that left `hosts`. True
  // if some host's health changed.
  bool sweep(const HostSet& hosts, int64_t now_ms, observe::ClusterStats& stats);

 private:
  struct Ejection {
    uint32_t times = 0;
    int64_t until_ms = 0;
    bool ejected = false;
  };
  // Of many that could be ejected, `percent` in a hundred are, evenly spread.
  bool enforced(uint32_t percent);
  bool release_if_due(Host& host, Ejection& ejection, int64_t now_ms, observe::ClusterStats& stats);
  bool eject(Host& host, size_t cluster_size, int64_t now_ms, observe::ClusterStats& stats);

  const OutlierPolicy& policy_;
  std::atomic<uint32_t> ejected_{0};
  std::atomic<uint64_t> decisions_{0};
  int64_t next_sweep_ms_ = 0;
  std::mutex mutex_;
  absl::flat_hash_map<Host*, Ejection> ejections_;
};

}  // namespace weft::cluster
