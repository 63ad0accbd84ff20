#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "proxy/snapshot/snapshot.h"

// Filter chains that no new connection gets, and whose connections end within the drain time: those of a listener that
// was removed, or that another version of it does not have. Made by the main thread, shared with the workers, each of
// which says once when it has none of their connections left.

namespace weft::snapshot {

class RetiredChains {
 public:
  RetiredChains(std::vector<std::shared_ptr<const FilterChain>> chains, uint32_t workers)
      : chains_(std::move(chains)), workers_left_(workers) {
    std::sort(chains_.begin(), chains_.end());
  }
  bool empty() const { return chains_.empty(); }
  size_t size() const { return chains_.size(); }
  bool contains(const FilterChain& chain) const {
    auto place = std::lower_bound(chains_.begin(), chains_.end(), &chain,
                                  [](const auto& each, const FilterChain* sought) { return each.get() < sought; });
    return place != chains_.end() && place->get() == &chain;
  }
  // A worker's word. Any thread.
  void worker_done() { workers_left_.fetch_sub(1, std::memory_order_release); }
  bool done() const { return workers_left_.load(std::memory_order_acquire) == 0; }

 private:
  std::vector<std::shared_ptr<const FilterChain>> chains_;  // Sorted. Held, so that no other gets their addresses.
  std::atomic<uint32_t> workers_left_;
};

}  // namespace weft::snapshot
