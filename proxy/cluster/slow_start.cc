#include "proxy/cluster/slow_start.h"

#include <algorithm>
#include <cmath>

#include "absl/container/flat_hash_set.h"

namespace weft::cluster {

uint32_t SlowStart::percent_after(int64_t elapsed_ms) const {
  if (elapsed_ms >= policy_.window_ms) return Host::kWholeRamp;
  const double part = static_cast<double>(std::max<int64_t>(elapsed_ms, 1)) / static_cast<double>(policy_.window_ms);
  const double percent = std::max(std::pow(part, 1 / policy_.aggression) * 100, policy_.min_weight_percent);
  return static_cast<uint32_t>(std::clamp(percent, 1.0, 100.0));
}

void SlowStart::begin(const HostSet& before, const std::vector<std::vector<HostPtr>>& after) const {
  absl::flat_hash_set<const Host*> known;
  for (const auto& level : before.priorities) {
    for (const HostPtr& host : level) known.insert(host.get());
  }
  for (const auto& level : after) {
    for (const HostPtr& host : level) {
      if (!known.contains(host.get())) host->set_ramp_percent(percent_after(0));
    }
  }
}

bool SlowStart::sweep(const HostSet& hosts, int64_t now_ms) {
  absl::flat_hash_map<const Host*, int64_t> since_ms;
  bool moved = false;
  for (const auto& level : hosts.priorities) {
    for (const HostPtr& host : level) {
      // One that is not available begins anew when it is.
      const bool available = host->available();
      const auto known = since_ms_.find(host.get());
      const int64_t since = known == since_ms_.end() ? now_ms : known->second;
      if (available) since_ms.emplace(host.get(), since);
      moved |= host->set_ramp_percent(percent_after(available ? now_ms - since : 0));
    }
  }
  since_ms_ = std::move(since_ms);
  return moved;
}

}  // namespace weft::cluster
