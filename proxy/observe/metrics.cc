#include "proxy/observe/metrics.h"

#include <bit>
#include <cmath>

namespace weft::observe {

int Histogram::bucket_of(uint64_t value) {
  if (value < 8) return static_cast<int>(value);
  int log = std::bit_width(value) - 1;
  int bucket = (log - 2) * 8 + static_cast<int>((value >> (log - 3)) & 7);
  return bucket < kBuckets ? bucket : kBuckets - 1;
}

uint64_t Histogram::upper_bound_of(int bucket) {
  ++bucket;
  if (bucket <= 8) return static_cast<uint64_t>(bucket);
  int log = bucket / 8 + 2;
  return (uint64_t{1} << log) + (static_cast<uint64_t>(bucket % 8) << (log - 3));
}

void Histogram::record(uint64_t value) {
  Buckets* buckets = buckets_.load(std::memory_order_relaxed);
  if (buckets == nullptr) {
    buckets = new Buckets();
    buckets_.store(buckets, std::memory_order_release);
  }
  auto increase = [](auto& word, auto n) {
    word.store(word.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  };
  increase(buckets->sum, value);
  increase(buckets->buckets[bucket_of(value)], 1u);
}

void StatusCounters::add(uint16_t status) {
  if (status < kFirst || status >= kFirst + kCount) return;
  Counters* counters = counters_.load(std::memory_order_relaxed);
  if (counters == nullptr) {
    counters = new Counters();
    counters_.store(counters, std::memory_order_release);
  }
  counters->of[status - kFirst].add();
}

uint64_t StatusCounters::value(int status) const {
  const Counters* counters = counters_.load(std::memory_order_acquire);
  return counters == nullptr ? 0 : counters->of[status - kFirst].value();
}

void Histogram::Summary::merge(const Histogram& other) {
  const Buckets* from = other.buckets_.load(std::memory_order_acquire);
  if (from == nullptr) return;
  if (buckets.empty()) buckets.resize(kBuckets);
  sum += from->sum.load(std::memory_order_relaxed);
  for (int i = 0; i < kBuckets; ++i) {
    uint64_t n = from->buckets[i].load(std::memory_order_relaxed);
    buckets[i] += n;
    count += n;
  }
}

double Histogram::Summary::quantile(double q) const {
  if (count == 0) return 0;
  auto rank = static_cast<uint64_t>(std::ceil(q * static_cast<double>(count)));
  uint64_t seen = 0;
  for (int i = 0; i < kBuckets; ++i) {
    seen += buckets[i];
    if (seen < rank || buckets[i] == 0) continue;
    uint64_t lower = i == 0 ? 0 : upper_bound_of(i - 1);
    uint64_t upper = upper_bound_of(i);
    return upper - lower == 1 ? static_cast<double>(lower) : static_cast<double>(lower + upper) / 2;
  }
  return static_cast<double>(upper_bound_of(kBuckets - 1));
}

uint64_t Histogram::Summary::count_at_most(uint64_t bound) const {
  uint64_t seen = 0;
  for (int i = 0; i < static_cast<int>(buckets.size()) && upper_bound_of(i) - 1 <= bound; ++i) seen += buckets[i];
  return seen;
}

}  // namespace weft::observe
