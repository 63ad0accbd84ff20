#include "proxy/cluster/consistent_hash.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "proxy/base/hash.h"

namespace weft::cluster {

HashRing::HashRing(const std::vector<const HostPtr*>& hosts, uint64_t min_points, uint64_t max_points) {
  double sum = 0;
  uint32_t least = UINT32_MAX;
  for (const HostPtr* host : hosts) {
    sum += (*host)->weight();
    least = std::min(least, (*host)->weight());
  }
  if (hosts.empty()) return;
  double least_share = least / sum;
  double scale =
      std::min(std::ceil(least_share * static_cast<double>(min_points)) / least_share, static_cast<double>(max_points));
  points_.reserve(static_cast<size_t>(std::ceil(scale)));
  double made = 0;
  double wanted = 0;
  for (size_t at = 0; at < hosts.size(); ++at) {
    const Host& host = **hosts[at];
    wanted += scale * (host.weight() / sum);
    for (uint64_t i = 0; made < wanted; ++i, ++made) {
      std::string key = host.address_text() + "_" + std::to_string(i);
      points_.emplace_back(base::xxhash64(key), static_cast<uint32_t>(at));
    }
  }
  std::sort(points_.begin(), points_.end());
}

size_t HashRing::choose(uint64_t hash, uint32_t attempt) const {
  auto point = std::lower_bound(points_.begin(), points_.end(), std::pair<uint64_t, uint32_t>(hash, 0));
  size_t at = point == points_.end() ? 0 : static_cast<size_t>(point - points_.begin());
  return points_[(at + attempt) % points_.size()].second;
}

MaglevTable::MaglevTable(const std::vector<const HostPtr*>& hosts, uint64_t size) {
  struct Entry {
    uint64_t offset, skip, next = 0;
    double weight, target = 0;
  };
  constexpr uint32_t kFree = UINT32_MAX;
  std::vector<Entry> entries;
  double heaviest = 0;
  for (const HostPtr* host : hosts) {
    const std::string& key = (*host)->address_text();
    entries.push_back({base::xxhash64(key) % size, base::xxhash64(key, 1) % (size - 1) + 1, 0,
                       static_cast<double>((*host)->weight()), 0});
    heaviest = std::max(heaviest, entries.back().weight);
  }
  if (hosts.empty()) return;
  table_.assign(size, kFree);
  uint64_t filled = 0;
  // Each host in turn takes its next free place; one of half the weight sits out every second turn.
  for (uint64_t turn = 1; filled < size; ++turn) {
    for (size_t i = 0; i < entries.size() && filled < size; ++i) {
      Entry& entry = entries[i];
      if (static_cast<double>(turn) * entry.weight < entry.target) continue;
      entry.target += heaviest;
      uint64_t place = (entry.offset + entry.skip * entry.next++) % size;
      while (table_[place] != kFree) place = (entry.offset + entry.skip * entry.next++) % size;
      table_[place] = static_cast<uint32_t>(i);
      ++filled;
    }
  }
}

size_t MaglevTable::choose(uint64_t hash, uint32_t attempt) const {
  if (attempt > 0) hash ^= ~uint64_t{0} - attempt + 1;
  return table_[hash % table_.size()];
}

bool is_prime(uint64_t number) {
  if (number < 2) return false;
  for (uint64_t i = 2; i * i <= number; ++i) {
    if (number % i == 0) return false;
  }
  return true;
}

}  // namespace weft::cluster
