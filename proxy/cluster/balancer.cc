#include "proxy/cluster/balancer.h"

#include <algorithm>

namespace weft::cluster {
namespace {

// Envoy's overprovisioning factor: a priority keeps all requests until fewer than 1/1.4 of its hosts are healthy.
constexpr double kOverprovisioning = 1.4;
// Smooth weighted round robin looks at every host; above this many, chance does nearly as well.
constexpr size_t kMaxSmoothHosts = 128;

}  // namespace

void Balancer::rebuild() {
  version_ = cluster_.hosts_version();
  hosts_ = cluster_.hosts();
  levels_.clear();
  levels_.resize(hosts_->priorities.size());
  double unassigned = 1.0;
  for (size_t i = 0; i < levels_.size(); ++i) {
    Level& level = levels_[i];
    const auto& hosts = hosts_->priorities[i];
    for (const HostPtr& host : hosts) {
      if (host->available()) level.usable.push_back(&host);
    }
    double healthy = hosts.empty() ? 0 : static_cast<double>(level.usable.size()) / static_cast<double>(hosts.size());
    level.load = std::min(unassigned, healthy * kOverprovisioning);
    unassigned -= level.load;
    level.panic = !hosts.empty() && healthy * 100 < cluster_.config().healthy_panic_percent;
    level.next = random_.next();
  }
  double assigned = 1.0 - unassigned;
  for (size_t i = 0; i < levels_.size(); ++i) {
    Level& level = levels_[i];
    // Too few healthy hosts in all: requests go to all hosts of the levels that panic.
    if (assigned < 1.0 && level.panic) {
      level.usable.clear();
      for (const HostPtr& host : hosts_->priorities[i]) level.usable.push_back(&host);
      if (assigned <= 0) level.load = i == 0 ? 1.0 : 0.0;
    } else {
      level.panic = false;
    }
    if (assigned > 0) level.load /= assigned;
    const ClusterPolicy& config = cluster_.config();
    if (config.balancer == BalancerKind::kRingHash) {
      level.ring.emplace(level.usable, config.min_ring_points, config.max_ring_points);
      continue;
    }
    if (config.balancer == BalancerKind::kMaglev) {
      level.maglev.emplace(level.usable, config.maglev_table_size);
      continue;
    }
    bool equal = std::all_of(level.usable.begin(), level.usable.end(), [&](const HostPtr* host) {
      return (*host)->ramped_weight() == (*level.usable.front())->ramped_weight();
    });
    if (equal) continue;
    uint64_t sum = 0;
    for (const HostPtr* host : level.usable) level.weight_sums.push_back(sum += (*host)->ramped_weight());
    level.credits.resize(level.usable.size());
  }
}

Balancer::Level* Balancer::choose_level(double at) {
  if (levels_.size() == 1) return &levels_[0];
  for (Level& level : levels_) {
    if (level.usable.empty()) continue;
    if (at < level.load) return &level;
    at -= level.load;
  }
  for (Level& level : levels_) {
    if (!level.usable.empty()) return &level;
  }
  return nullptr;
}

size_t Balancer::choose_weighted(Level& level) {
  uint64_t at = random_.below(level.weight_sums.back());
  return static_cast<size_t>(std::upper_bound(level.weight_sums.begin(), level.weight_sums.end(), at) -
                             level.weight_sums.begin());
}

size_t Balancer::choose_in(Level& level, uint64_t hash, uint32_t attempt) {
  size_t count = level.usable.size();
  if (count == 1) return 0;
  if (level.ring) return level.ring->choose(hash, attempt);
  if (level.maglev) return level.maglev->choose(hash, attempt);
  bool weighted = !level.weight_sums.empty();
  switch (cluster_.config().balancer) {
    case BalancerKind::kLeastRequest: {
      size_t best = 0;
      double best_load = 0;
      for (uint32_t i = 0; i < std::max(cluster_.config().least_request_choices, 1u); ++i) {
        size_t at = static_cast<size_t>(random_.below(count));
        const Host& host = **level.usable[at];
        double load =
            (host.active_requests.load(std::memory_order_relaxed) + 1.0) / static_cast<double>(host.ramped_weight());
        if (i == 0 || load < best_load) {
          best = at;
          best_load = load;
        }
      }
      return best;
    }
    case BalancerKind::kRandom:
      return weighted ? choose_weighted(level) : static_cast<size_t>(random_.below(count));
    default:
      break;
  }
  if (!weighted) return static_cast<size_t>(level.next++ % count);
  if (count > kMaxSmoothHosts) return choose_weighted(level);
  size_t best = 0;
  for (size_t i = 0; i < count; ++i) {
    // As it was when the sums were made: a ramp that moves makes them anew.
    level.credits[i] += static_cast<int64_t>(level.weight_sums[i] - (i == 0 ? 0 : level.weight_sums[i - 1]));
    if (level.credits[i] > level.credits[best]) best = i;
  }
  level.credits[best] -= static_cast<int64_t>(level.weight_sums.back());
  return best;
}

const HostPtr* Balancer::choose(Host* const* avoid, size_t avoid_count, uint32_t avoid_tries,
                                std::optional<uint64_t> hash) {
  if (version_ != cluster_.hosts_version()) rebuild();
  if (levels_.empty()) return nullptr;
  const HostPtr* chosen = nullptr;
  bool hashes = cluster_.config().hashes();
  if (hashes && !hash) hash = random_.next();
  for (uint32_t i = 0; i <= avoid_tries; ++i) {
    // Equal hashes are to meet the same level, too.
    double at = levels_.size() == 1 ? 0 : hashes ? static_cast<double>(*hash % 100) / 100 : random_.fraction();
    Level* level = choose_level(at);
    if (level == nullptr || level->usable.empty()) return nullptr;
    panicking_ = level->panic;
    chosen = level->usable[choose_in(*level, hash.value_or(0), i)];
    if (std::find(avoid, avoid + avoid_count, chosen->get()) == avoid + avoid_count) break;
  }
  return chosen;
}

}  // namespace weft::cluster
