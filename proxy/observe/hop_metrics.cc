#include "proxy/observe/hop_metrics.h"

#include <algorithm>

namespace weft::observe {

uint64_t BucketHistogram::Summary::count() const {
  uint64_t total = 0;
  for (uint64_t n : counts) total += n;
  return total;
}

void BucketHistogram::merge_into(Summary& summary) const {
  for (int i = 0; i <= kBounds; ++i) summary.counts[i] += counts_[i].value();
  summary.sum_thousandths += sum_.value();
}

struct HopMetrics::Entry {
  Entry(uint32_t workers, HopSeries series) : series(std::move(series)), cells(workers) {}
  ~Entry() {
    for (auto& cell : cells) delete cell.load();
  }
  HopCell& of_worker(uint32_t worker) {
    HopCell* cell = cells[worker].load(std::memory_order_relaxed);
    if (cell == nullptr) {
      cell = new HopCell();
      cells[worker].store(cell, std::memory_order_release);
    }
    return *cell;
  }
  const HopSeries series;
  std::vector<std::atomic<HopCell*>> cells;
};

struct HopMetrics::Local {
  struct Known {
    EntryPointer entry;  // Keeps the cell.
    HopCell* cell = nullptr;
  };
  absl::flat_hash_map<HopKey, Known> known;
  uint64_t generation = 0;
};

HopMetrics::HopMetrics(Options options) : options_(options), stats_("hop_metrics.", "", "", 1) {
  for (uint32_t i = 0; i < options_.workers; ++i) locals_.push_back(std::make_unique<Local>());
}

HopMetrics::~HopMetrics() = default;

HopCell& HopMetrics::cell(uint32_t worker, const HopKey& key, const HopKey& overflow, int64_t now_ns,
                          absl::FunctionRef<HopSeries(bool overflow)> make) {
  Local& local = *locals_[worker];
  uint64_t generation = generation_.load(std::memory_order_acquire);
  if (local.generation != generation) {
    local.known.clear();
    local.generation = generation;
  }
  auto found = local.known.find(key);
  if (found == local.known.end()) {
    // Keys that share the overflow's words are many, too.
    if (local.known.size() >= 2 * options_.max_series) local.known.clear();
    EntryPointer entry = find_or_add(key, overflow, make);
    HopCell* cell = &entry->of_worker(worker);
    found = local.known.emplace(key, Local::Known{std::move(entry), cell}).first;
  }
  found->second.cell->used_ns.store(now_ns, std::memory_order_relaxed);
  return *found->second.cell;
}

HopMetrics::EntryPointer HopMetrics::find_or_add(const HopKey& key, const HopKey& overflow,
                                                 absl::FunctionRef<HopSeries(bool overflow)> make) {
  const std::lock_guard lock(mutex_);
  if (auto found = entries_.find(key); found != entries_.end()) return found->second;
  if (entries_.size() < options_.max_series) return add(key, make(false));
  ++overflowed_;
  if (auto found = entries_.find(overflow); found != entries_.end()) return found->second;
  return add(overflow, make(true));
}

HopMetrics::EntryPointer HopMetrics::add(const HopKey& key, HopSeries series) {
  auto entry = std::make_shared<Entry>(options_.workers, std::move(series));
  entries_.emplace(key, entry);
  return entry;
}

void HopMetrics::evict_idle(int64_t now_ns) {
  const std::lock_guard lock(mutex_);
  size_t before = entries_.size();
  absl::erase_if(entries_, [&](const auto& each) {
    int64_t used_ns = INT64_MIN;
    for (const auto& cell : each.second->cells) {
      if (const HopCell* present = cell.load(std::memory_order_acquire)) {
        used_ns = std::max(used_ns, present->used_ns.load(std::memory_order_relaxed));
      }
    }
    // Without a cell it was added a moment ago.
    return used_ns != INT64_MIN && used_ns < now_ns - options_.idle_ns;
  });
  HopStats& stats = stats_.of_worker(0);
  stats.series.set(static_cast<int64_t>(entries_.size()));
  stats.overflowed.add(overflowed_.exchange(0));
  if (entries_.size() == before) return;
  stats.evicted.add(before - entries_.size());
  generation_.fetch_add(1, std::memory_order_release);
}

void HopMetrics::visit(absl::FunctionRef<void(const Sample&)> take) const {
  std::vector<std::pair<HopKey, EntryPointer>> entries;
  {
    const std::lock_guard lock(mutex_);
    entries.assign(entries_.begin(), entries_.end());
  }
  for (const auto& [key, entry] : entries) {
    Sample sample;
    sample.key = key;
    sample.series = &entry->series;
    for (const auto& each : entry->cells) {
      const HopCell* cell = each.load(std::memory_order_acquire);
      if (cell == nullptr) continue;
      sample.requests += cell->requests.value();
      cell->duration_ms.merge_into(sample.duration_ms);
      cell->request_bytes.merge_into(sample.request_bytes);
      cell->response_bytes.merge_into(sample.response_bytes);
      sample.sent_bytes += cell->sent_bytes.value();
      sample.received_bytes += cell->received_bytes.value();
      sample.opened += cell->opened.value();
      sample.closed += cell->closed.value();
    }
    take(sample);
  }
}

}  // namespace weft::observe
