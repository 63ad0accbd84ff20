#pragma once

#include <algorithm>
#include <cstdint>

#include "proxy/base/random.h"

// How often a control plane is bothered. Pure; time and chance come from outside.

namespace weft::config::xds {

// Exponential backoff with jitter: between half of the step and the whole.
class Backoff {
 public:
  Backoff(int64_t base_ms, int64_t max_ms) : base_ms_(base_ms), max_ms_(max_ms), step_ms_(base_ms) {}
  int64_t next_ms(base::Random& random) {
    int64_t step_ms = step_ms_;
    step_ms_ = std::min(step_ms_ * 2, max_ms_);
    int64_t half_ms = step_ms / 2;
    return half_ms + static_cast<int64_t>(random.below(static_cast<uint64_t>(step_ms - half_ms) + 1));
  }
  void reset() { step_ms_ = base_ms_; }

 private:
  int64_t base_ms_;
  int64_t max_ms_;
  int64_t step_ms_;
};

// RateLimitSettings: requests may go out while there are tokens.
class TokenBucket {
 public:
  TokenBucket(uint32_t max_tokens, double per_second)
      : max_tokens_(max_tokens), per_second_(per_second), tokens_(max_tokens) {}
  bool take(int64_t now_ms) {
    tokens_ = std::min(max_tokens_, tokens_ + static_cast<double>(now_ms - filled_ms_) * per_second_ / 1000);
    filled_ms_ = now_ms;
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }
  // Until the next one, after take() failed.
  int64_t wait_ms() const { return static_cast<int64_t>((1 - tokens_) * 1000 / per_second_) + 1; }

 private:
  double max_tokens_;
  double per_second_;
  double tokens_;
  int64_t filled_ms_ = 0;
};

}  // namespace weft::config::xds
