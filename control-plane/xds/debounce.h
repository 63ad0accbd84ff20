#pragma once

// When to push: once changes have been quiet for a while, and at the latest so long after the first of them; where
// nothing was pushed for a while, at once. Pure; the caller's thread and clock.

#include <algorithm>
#include <cstdint>
#include <optional>

namespace weft::control::xds {

class Debounce {
 public:
  struct Limits {
    int64_t quiet_ms = 100;
    int64_t at_most_ms = 10'000;
    // So long after a push a change does not wait; 0: each does.
    int64_t rest_ms = 0;
  };

  explicit Debounce(Limits limits) : limits_(limits) {}

  // Something changed.
  void note(int64_t now_ms) {
    if (!first_ms_.has_value()) {
      first_ms_ = now_ms;
      is_rested_ = limits_.rest_ms > 0 && (!pushed_ms_.has_value() || now_ms - *pushed_ms_ >= limits_.rest_ms);
    }
    last_ms_ = now_ms;
  }

  // When what was noted is to be pushed; nothing if nothing was.
  std::optional<int64_t> due_ms() const {
    if (!first_ms_.has_value()) return std::nullopt;
    if (is_rested_) return first_ms_;
    return std::min(last_ms_ + limits_.quiet_ms, *first_ms_ + limits_.at_most_ms);
  }

  // It is being pushed.
  void reset(int64_t now_ms) {
    first_ms_.reset();
    pushed_ms_ = now_ms;
  }

 private:
  Limits limits_;
  std::optional<int64_t> first_ms_;
  int64_t last_ms_ = 0;
  bool is_rested_ = false;
  std::optional<int64_t> pushed_ms_;
};

}  // namespace weft::control::xds
