#pragma once

// How often something took how long, in fixed buckets, as Prometheus counts them. One thread.

#include <array>
#include <cstddef>
#include <cstdint>

namespace weft::control::xds {

class Histogram {
 public:
  // The upper bound of each bucket in milliseconds; one more bucket is for all that is above.
  static constexpr std::array<int64_t, 14> kBoundsMs = {5,    10,   25,   50,    100,   250,   500,
                                                        1000, 2500, 5000, 10000, 30000, 60000, 300000};

  void add(int64_t ms) {
    size_t bucket = 0;
    while (bucket < kBoundsMs.size() && ms > kBoundsMs[bucket]) ++bucket;
    ++counts_[bucket];
    sum_ms_ += ms;
    ++count_;
  }

  // Up to the bucket's bound, those below included.
  uint64_t cumulative(size_t bucket) const {
    uint64_t sum = 0;
    for (size_t i = 0; i <= bucket; ++i) sum += counts_[i];
    return sum;
  }
  uint64_t count() const { return count_; }
  int64_t sum_ms() const { return sum_ms_; }

 private:
  std::array<uint64_t, kBoundsMs.size() + 1> counts_{};
  uint64_t count_ = 0;
  int64_t sum_ms_ = 0;
};

}  // namespace weft::control::xds
