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
  // `closes_idle`: a connection on which nothing is open is closed at once, as the process ends; else its next request
  // is answered, and told that it was the last.
  RetiredChains(std::vector<std::shared_ptr<const FilterChain>> chains, uint32_t workers, bool closes_idle = false)
      : chains_(std::move(chains)), closes_idle_(closes_idle), workers_left_(workers) {
    std::sort(chains_.begin(), chains_.end());
  }
  bool empty() const { return chains_.empty(); }
  bool closes_idle() const { return closes_idle_; }
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
  const bool closes_idle_;
  std::atomic<uint32_t> workers_left_;
};

}  // namespace weft::snapshot
