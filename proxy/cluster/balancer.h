#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "proxy/base/random.h"
#include "proxy/cluster/cluster.h"
#include "proxy/cluster/consistent_hash.h"

// Chooses the host for the next request: a worker's view of a cluster's endpoints, rebuilt when they or their health
// change (one atomic read per choice tells). One thread.

namespace weft::cluster {

class Balancer {
 public:
  Balancer(const Cluster& cluster, base::Random& random) : cluster_(cluster), random_(random) {}

  // nullptr: there is no host, or none may be used. `avoid`: hosts that are taken only if `avoid_tries` choices in a
  // row hit one of them.
  // `hash`: equal ones get the same host from the balancers that hash; none: by chance.
  const HostPtr* choose(Host* const* avoid, size_t avoid_count, uint32_t avoid_tries,
                        std::optional<uint64_t> hash = std::nullopt);
  // Whether the last choice ignored health because too few hosts had it (Envoy's panic mode).
  bool panicking() const { return panicking_; }

 private:
  struct Level {
    std::vector<const HostPtr*> usable;  // Healthy, or all in panic mode.
    std::vector<uint64_t> weight_sums;   // Running; empty when all weights are equal.
    std::vector<int64_t> credits;        // Of smooth weighted round robin.
    std::optional<HashRing> ring;
    std::optional<MaglevTable> maglev;
    uint64_t next = 0;
    double load = 0;  // Share of the requests, 0 to 1.
    bool panic = false;
  };
  void rebuild();
  // `at`: a number from 0 to 1, by which levels have their shares.
  Level* choose_level(double at);
  size_t choose_in(Level& level, uint64_t hash, uint32_t attempt);
  size_t choose_weighted(Level& level);

  const Cluster& cluster_;
  base::Random& random_;
  HostSetPtr hosts_;
  uint64_t version_ = UINT64_MAX;
  std::vector<Level> levels_;
  bool panicking_ = false;
};

}  // namespace weft::cluster
