#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

// How many connections are open, over all workers, and how many may be: one for a listener, one for the process.

namespace weft::listener {

class ConnectionLimit {
 public:
  explicit ConnectionLimit(uint32_t most = UINT32_MAX) : most_(most) {}
  bool try_open() {
    if (open_.fetch_add(1, std::memory_order_relaxed) < most_.load(std::memory_order_relaxed)) return true;
    close();
    return false;
  }
  void close() { open_.fetch_sub(1, std::memory_order_relaxed); }
  uint32_t open() const { return open_.load(std::memory_order_relaxed); }
  void set_most(uint32_t most) { most_.store(most, std::memory_order_relaxed); }

 private:
  std::atomic<uint32_t> open_{0};
  std::atomic<uint32_t> most_;
};

}  // namespace weft::listener
