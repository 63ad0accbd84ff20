#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

// Counters, gauges and histograms. Each worker has its own words and alone writes them; whoever reads sums over the
// workers. So counting is a load, an add and a store, with no lock and no shared cache line.

namespace weft::observe {

class Counter {
 public:
  void add(uint64_t n = 1) { value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

class Gauge {
 public:
  void add(int64_t n = 1) { value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed); }
  void subtract(int64_t n = 1) { add(-n); }
  void set(int64_t n) { value_.store(n, std::memory_order_relaxed); }
  int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> value_{0};
};

// Counts of values in buckets whose width grows with the value: 8 buckets per power of two, so a quantile is right to
// within 6%. A histogram that never saw a value takes one pointer.
class Histogram {
 public:
  static constexpr int kBuckets = 8 * 40;
  Histogram() = default;
  ~Histogram() { delete buckets_.load(std::memory_order_relaxed); }
  Histogram(const Histogram&) = delete;
  Histogram& operator=(const Histogram&) = delete;

  // Units are the metric's own (milliseconds, bytes).
  void record(uint64_t value);

  struct Summary {
    uint64_t count = 0;
    uint64_t sum = 0;
    std::vector<uint64_t> buckets;  // Empty or kBuckets long.
    void merge(const Histogram& other);
    double quantile(double q) const;  // 0 ≤ q ≤ 1; 0 when empty.
    uint64_t count_at_most(uint64_t bound) const;
  };
  static int bucket_of(uint64_t value);
  static uint64_t upper_bound_of(int bucket);  // Exclusive.

 private:
  struct Buckets {
    std::atomic<uint64_t> sum{0};
    std::atomic<uint32_t> buckets[kBuckets] = {};
  };
  std::atomic<Buckets*> buckets_{nullptr};
};

// One counter per HTTP status (100 to 599), made at the first answer: "upstream_rq_200".
class StatusCounters {
 public:
  StatusCounters() = default;
  ~StatusCounters() { delete counters_.load(std::memory_order_relaxed); }
  StatusCounters(const StatusCounters&) = delete;
  StatusCounters& operator=(const StatusCounters&) = delete;

  static constexpr int kFirst = 100;
  static constexpr int kCount = 500;
  void add(uint16_t status);
  uint64_t value(int status) const;

 private:
  struct Counters {
    Counter of[kCount];
  };
  std::atomic<Counters*> counters_{nullptr};
};

// Reads the metrics of a family, merged over the workers.
class MetricVisitor {
 public:
  virtual ~MetricVisitor() = default;
  virtual void counter(std::string_view name, uint64_t value) = 0;
  virtual void gauge(std::string_view name, int64_t value) = 0;
  virtual void histogram(std::string_view name, const Histogram::Summary& value) = 0;
};

// The same set of metrics for every worker, under one prefix: a cluster's, a listener's, an HTTP connection manager's.
class FamilyBase {
 public:
  // `tag_name` is a literal: it is not copied.
  FamilyBase(std::string prefix, std::string_view tag_name, std::string tag_value)
      : prefix_(std::move(prefix)), tag_name_(tag_name), tag_value_(std::move(tag_value)) {}
  virtual ~FamilyBase() = default;
  // "cluster.backend." - the metric's full name is prefix + name.
  const std::string& prefix() const { return prefix_; }
  // What Prometheus gets as a label instead of as a part of the name: envoy_cluster_name = backend.
  std::string_view tag_name() const { return tag_name_; }
  const std::string& tag_value() const { return tag_value_; }
  // Any thread.
  virtual void visit(MetricVisitor& visitor) const = 0;

 private:
  std::string prefix_;
  std::string_view tag_name_;
  std::string tag_value_;
};

// Stats is a struct of metrics with a static `for_each(f)` that calls f(name, &Stats::member) for each of them.
template <typename Stats>
class Family : public FamilyBase {
 public:
  Family(std::string prefix, std::string_view tag_name, std::string tag_value, uint32_t workers)
      : FamilyBase(std::move(prefix), tag_name, std::move(tag_value)), workers_(workers) {}

  // The worker's own words, made at first use. Called on that worker's thread (worker 0 is the main thread).
  Stats& of_worker(uint32_t worker) {
    Stats* stats = workers_[worker].load(std::memory_order_acquire);
    if (stats == nullptr) {
      stats = new Stats();
      workers_[worker].store(stats, std::memory_order_release);
    }
    return *stats;
  }
  ~Family() override {
    for (auto& stats : workers_) delete stats.load();
  }
  void visit(MetricVisitor& visitor) const override {
    Stats::for_each([&](std::string_view name, auto member) { visit_one(visitor, name, member); });
  }

 private:
  void visit_one(MetricVisitor& visitor, std::string_view name, Counter Stats::* member) const {
    uint64_t total = 0;
    each([&](const Stats& stats) { total += (stats.*member).value(); });
    visitor.counter(name, total);
  }
  void visit_one(MetricVisitor& visitor, std::string_view name, Gauge Stats::* member) const {
    int64_t total = 0;
    each([&](const Stats& stats) { total += (stats.*member).value(); });
    visitor.gauge(name, total);
  }
  void visit_one(MetricVisitor& visitor, std::string_view name, Histogram Stats::* member) const {
    Histogram::Summary total;
    each([&](const Stats& stats) { total.merge(stats.*member); });
    visitor.histogram(name, total);
  }
  void visit_one(MetricVisitor& visitor, std::string_view name, StatusCounters Stats::* member) const {
    for (int status = StatusCounters::kFirst; status < StatusCounters::kFirst + StatusCounters::kCount; ++status) {
      uint64_t total = 0;
      each([&](const Stats& stats) { total += (stats.*member).value(status); });
      if (total != 0) visitor.counter(std::string(name) + std::to_string(status), total);
    }
  }
  template <typename F>
  void each(F f) const {
    for (const auto& stats : workers_) {
      if (const Stats* present = stats.load(std::memory_order_acquire)) f(*present);
    }
  }
  std::vector<std::atomic<Stats*>> workers_;
};

}  // namespace weft::observe
