#pragma once

// When to push: once changes have been quiet for a while, and at the latest so long after the first of them. Pure; the
// caller's thread and clock.

#include <algorithm>
#include <cstdint>
#include <optional>

namespace weft::control::xds {

class Debounce {
 public:
  struct Limits {
    int64_t quiet_ms = 100;
    int64_t at_most_ms = 10'000;
  };

  explicit Debounce(Limits limits) : limits_(limits) {}

  // Something changed.
  void note(int64_t now_ms) {
    if (!first_ms_.has_value()) first_ms_ = now_ms;
    last_ms_ = now_ms;
  }

  // When what was noted is to be pushed; nothing if nothing was.
  std::optional<int64_t> due_ms() const {
    if (!first_ms_.has_value()) return std::nullopt;
    return std::min(last_ms_ + limits_.quiet_ms, *first_ms_ + limits_.at_most_ms);
  }

  // It is being pushed.
  void reset() { first_ms_.reset(); }

 private:
  Limits limits_;
  std::optional<int64_t> first_ms_;
  int64_t last_ms_ = 0;
};

}  // namespace weft::control::xds
