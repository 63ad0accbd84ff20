#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "proxy/cluster/host.h"

// The tables of the two balancers that give equal hashes to equal hosts: a ring of points (Ketama) and Maglev's lookup
// table. Both are built as Envoy builds them, so that either proxy sends a key to the same endpoint. Immutable once
// built; held by a worker's balancer.

namespace weft::cluster {

// Gives indices into the list of hosts it was built from.
class HashRing {
 public:
  // Each host has points by its weight; the least has so many that all together are at least `min_points`, within
  // `max_points`.
  HashRing(const std::vector<const HostPtr*>& hosts, uint64_t min_points, uint64_t max_points);
  // `attempt`: how many points to go on from the one that the hash meets.
  size_t choose(uint64_t hash, uint32_t attempt) const;
  size_t size() const { return points_.size(); }

 private:
  std::vector<std::pair<uint64_t, uint32_t>> points_;  // By hash: the host.
};

class MaglevTable {
 public:
  // `size` is a prime.
  MaglevTable(const std::vector<const HostPtr*>& hosts, uint64_t size);
  size_t choose(uint64_t hash, uint32_t attempt) const;

 private:
  std::vector<uint32_t> table_;
};

bool is_prime(uint64_t number);

}  // namespace weft::cluster
