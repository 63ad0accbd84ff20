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
  // Takes the host back when its time is over. True if it was. Main thread.
  bool release_if_due(Host& host, int64_t now_ms, observe::ClusterStats& stats);

 private:
  struct Ejection {
    uint32_t times = 0;
    int64_t until_ms = 0;
  };
  bool eject(Host& host, size_t cluster_size, int64_t now_ms, observe::ClusterStats& stats);

  const OutlierPolicy& policy_;
  std::atomic<uint32_t> ejected_{0};
  std::mutex mutex_;
  absl::flat_hash_map<const Host*, Ejection> ejections_;
};

}  // namespace weft::cluster
