#pragma once

#include <cstdint>

#include "absl/container/flat_hash_map.h"
#include "proxy/cluster/host.h"

// Lets a host that is new, or healthy again, begin with a small share that grows (Envoy's slow start). It moves the
// hosts' own ramps; balancers multiply weights by them. Belongs to its cluster; main thread.

namespace weft::cluster {

struct SlowStartPolicy {
  int64_t window_ms = 0;  // 0: off
  double min_weight_percent = 10;
  double aggression = 1;  // Of time to the power of 1 / aggression.
  bool operator==(const SlowStartPolicy&) const = default;
};

class SlowStart {
 public:
  explicit SlowStart(const SlowStartPolicy& policy) : policy_(policy) {}

  // Those of `after` that `before` does not have begin at the bottom.
  void begin(const HostSet& before, const std::vector<std::vector<HostPtr>>& after) const;
  // Brings every ramp to where it is by now. True if one moved.
  bool sweep(const HostSet& hosts, int64_t now_ms);

 private:
  uint32_t percent_after(int64_t elapsed_ms) const;

  const SlowStartPolicy& policy_;
  // Since when they take traffic; those whose ramp is over stand there too.
  absl::flat_hash_map<const Host*, int64_t> since_ms_;
};

}  // namespace weft::cluster
