#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "proxy/observe/metrics.h"
#include "proxy/observe/stats.h"

// Requests and connections counted by who is at their two ends: a series for each set of labels, with words of its own
// for each worker, which alone writes them. A worker finds its words by a number in a table of its own; only a set that
// it meets for the first time takes the lock. How many sets there may be is bounded: beyond that, those that are new
// are counted together, as `overflow`, and what nobody used for long is forgotten. One per process; outlives the
// workers.

namespace weft::observe {

// Counts in Envoy's buckets. Values are thousandths of the metric's unit, so that half a millisecond is one.
class BucketHistogram {
 public:
  static constexpr int kBounds = 19;
  // Inclusive.
  static constexpr uint64_t kBoundsThousandths[kBounds] = {
      500,        1'000,       5'000,       10'000,        25'000,       50'000,     100'000,
      250'000,    500'000,     1'000'000,   2'500'000,     5'000'000,    10'000'000, 30'000'000,
      60'000'000, 300'000'000, 600'000'000, 1'800'000'000, 3'600'000'000};

  void record(uint64_t thousandths) {
    int bucket = 0;
    while (bucket < kBounds && thousandths > kBoundsThousandths[bucket]) ++bucket;
    counts_[bucket].add();
    sum_.add(thousandths);
  }

  struct Summary {
    uint64_t counts[kBounds + 1] = {};  // The last is above all bounds.
    uint64_t sum_thousandths = 0;
    uint64_t count() const;
  };
  void merge_into(Summary& summary) const;

 private:
  Counter counts_[kBounds + 1];
  Counter sum_;
};

// The words of one worker in one series. Of HTTP the first four are used, of TCP the others.
struct HopCell {
  Counter requests;
  BucketHistogram duration_ms, request_bytes, response_bytes;
  Counter sent_bytes, received_bytes, opened, closed;
  std::atomic<int64_t> used_ns{INT64_MAX};  // Loop time of the last use; not yet: never idle.
};

// A set of labels as numbers: equal if and only if (but for a chance of 2^-64) the sets are.
struct HopKey {
  uint64_t who = 0;   // Of both ends.
  uint64_t what = 0;  // Of what became of the request or connection.
  bool operator==(const HopKey&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const HopKey& key) {
    return H::combine(std::move(h), key.who, key.what);
  }
};

// Prometheus names and values, in the order in which they are told. Names are literals.
using HopLabels = std::vector<std::pair<std::string_view, std::string>>;

struct HopSeries {
  bool tcp = false;
  HopLabels labels;
};

// Prefix "hop_metrics."
#define WEFT_HOP_METRICS(X) \
  X(Gauge, series)          \
  X(Counter, overflowed)    \
  X(Counter, evicted)
WEFT_STATS(HopStats, WEFT_HOP_METRICS)

class HopMetrics {
 public:
  struct Options {
    uint32_t workers = 1;  // The main thread, worker 0, included.
    size_t max_series = 2'000;
    int64_t idle_ns = int64_t{1800} * 1'000'000'000;
  };
  explicit HopMetrics(Options options);
  ~HopMetrics();

  // The worker's own words for `key`, good until its next call. `overflow` is the key under which it is counted when
  // there is no room; there are few of these, and always room for them. `make` gives the labels of either. On the
  // worker's thread.
  HopCell& cell(uint32_t worker, const HopKey& key, const HopKey& overflow, int64_t now_ns,
                absl::FunctionRef<HopSeries(bool overflow)> make);

  // Forgets what no worker used for the idle time. Main thread, now and then.
  void evict_idle(int64_t now_ns);

  struct Sample {
    HopKey key;
    const HopSeries* series = nullptr;
    uint64_t requests = 0;
    BucketHistogram::Summary duration_ms, request_bytes, response_bytes;
    uint64_t sent_bytes = 0, received_bytes = 0, opened = 0, closed = 0;
  };
  // Calls `take` for each series with its sums over the workers. Any thread.
  void visit(absl::FunctionRef<void(const Sample&)> take) const;

  const FamilyBase& family() const { return stats_; }

 private:
  struct Entry;
  struct Local;
  using EntryPointer = std::shared_ptr<Entry>;
  EntryPointer find_or_add(const HopKey& key, const HopKey& overflow, absl::FunctionRef<HopSeries(bool overflow)> make);
  EntryPointer add(const HopKey& key, HopSeries series);

  const Options options_;
  std::vector<std::unique_ptr<Local>> locals_;  // By worker; each its thread's own.
  // Rises when series are forgotten: workers then look all of theirs up anew.
  std::atomic<uint64_t> generation_{0};
  Family<HopStats> stats_;
  std::atomic<uint64_t> overflowed_{0};
  mutable std::mutex mutex_;  // Of what follows.
  absl::flat_hash_map<HopKey, EntryPointer> entries_;
};

}  // namespace weft::observe
