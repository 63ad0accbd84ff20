#include "control-plane/telemetry/traffic.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "envoy/service/metrics/v3/metrics_service.pb.h"
#include "proxy/base/hash.h"

namespace weft::control::telemetry {

namespace {

using envoy::service::metrics::v3::StreamMetricsMessage;

constexpr int64_t kForgetEveryMs = 10'000;

uint64_t series_of(const std::string& name, const io::prometheus::client::Metric& metric) {
  uint64_t hash = ::weft::base::xxhash64(name);
  for (const auto& label : metric.label()) {
    hash = ::weft::base::xxhash64(label.name(), hash);
    hash = ::weft::base::xxhash64(label.value(), hash);
  }
  return hash;
}

void add(Counted counted, uint64_t n, Sums& sums) {
  switch (counted) {
    case Counted::kRequests:
      sums.requests += n;
      break;
    case Counted::kFailures:
      sums.failures += n;
      break;
    case Counted::kConnections:
      sums.connections += n;
      break;
    case Counted::kSentBytes:
      sums.sent_bytes += n;
      break;
    case Counted::kReceivedBytes:
      sums.received_bytes += n;
      break;
  }
}

Sums sums_of(const Reading& reading, uint64_t rise) {
  Sums sums;
  if (reading.durations.has_value()) {
    sums.durations = *reading.durations;
    return sums;
  }
  add(reading.counted, rise, sums);
  if (reading.failed) sums.failures += rise;
  return sums;
}

}  // namespace

absl::StatusOr<uint64_t> Traffic::open(const Reporter& reporter) {
  const std::lock_guard lock(mutex_);
  forget(clock_.monotonic_ms());
  const std::string name = absl::StrCat(reporter.namespace_name, "/", reporter.service, "/", reporter.id);
  auto found = proxies_.find(name);
  if (found == proxies_.end()) {
    if (proxies_.size() >= limits_.proxies) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the metrics of ", limits_.proxies, " proxies are taken, and not of more"));
    }
    found = proxies_.emplace(name, std::make_shared<Proxy>()).first;
    found->second->reporter = reporter;
  }
  ++found->second->streams;
  streams_.emplace(++last_stream_, found->second);
  return last_stream_;
}

void Traffic::close(uint64_t stream) {
  const std::lock_guard lock(mutex_);
  const auto found = streams_.find(stream);
  if (found == streams_.end()) return;
  --found->second->streams;
  found->second->ended_ms = clock_.monotonic_ms();
  streams_.erase(found);
}

void Traffic::take(uint64_t stream, const StreamMetricsMessage& message) {
  std::shared_ptr<Proxy> proxy;
  {
    const std::lock_guard lock(mutex_);
    const auto found = streams_.find(stream);
    if (found == streams_.end()) return;
    proxy = found->second;
  }
  std::vector<Read> reads;
  for (const auto& family : message.envoy_metrics()) {
    for (const auto& metric : family.metric()) {
      std::optional<Reading> reading = read_metric(proxy->reporter, family, metric);
      if (reading.has_value()) reads.push_back({series_of(family.name(), metric), *std::move(reading)});
    }
  }
  const std::lock_guard lock(mutex_);
  const int64_t now_ms = clock_.monotonic_ms();
  if (began_ms_ < 0) began_ms_ = now_ms;
  for (const Read& read : reads) apply(*proxy, read, now_ms);
  proxy->is_known = true;
  forget(now_ms);
}

uint64_t Traffic::rise(Proxy& proxy, const Read& read) {
  const uint64_t total = read.reading.total;
  const auto found = proxy.last.find(read.series);
  if (found != proxy.last.end()) {
    const uint64_t before = std::exchange(found->second, total);
    // One that fell began anew.
    return total >= before ? total - before : total;
  }
  if (proxy.last.size() >= limits_.series_of_proxy || series_ >= limits_.series) {
    ++dropped_series_;
    return 0;
  }
  proxy.last.emplace(read.series, total);
  ++series_;
  return proxy.is_known ? total : 0;
}

void Traffic::apply(Proxy& proxy, const Read& read, int64_t now_ms) {
  const bool is_histogram = read.reading.durations.has_value();
  const uint64_t risen = is_histogram ? 0 : rise(proxy, read);
  const Sums sums = sums_of(read.reading, risen);
  const bool is_news =
      risen != 0 || std::any_of(sums.durations.begin(), sums.durations.end(), [](uint64_t n) { return n != 0; });
  if (!is_news) return;
  EdgeState* state = nullptr;
  Slot* slot = slot_of(read.reading.edge, now_ms, &state);
  if (slot == nullptr) {
    ++dropped_series_;
    return;
  }
  slot->sums.add(sums);
  slot->saw_none = slot->saw_none || read.reading.security == Security::kNone;
  slot->saw_mutual = slot->saw_mutual || read.reading.security == Security::kMutual;
  state->total.add(sums);
}

Traffic::Slot* Traffic::slot_of(const Edge& edge, int64_t now_ms, EdgeState** state) {
  auto found = edges_.find(edge);
  if (found == edges_.end()) {
    if (edges_.size() >= limits_.edges) return nullptr;
    found = edges_.try_emplace(edge).first;
  }
  *state = &found->second;
  found->second.used_ms = now_ms;
  const int64_t number = now_ms / kSlotMs;
  Slot& slot = found->second.slots[static_cast<size_t>(number) % kSlots];
  if (slot.number != number) slot = {.number = number, .sums = {}};
  return &slot;
}

void Traffic::forget(int64_t now_ms) {
  if (now_ms - forgot_ms_ < kForgetEveryMs) return;
  forgot_ms_ = now_ms;
  std::erase_if(edges_, [&](const auto& each) { return now_ms - each.second.used_ms > limits_.idle_ms; });
  std::erase_if(proxies_, [&](const auto& each) {
    const Proxy& proxy = *each.second;
    const bool is_gone = proxy.streams == 0 && now_ms - proxy.ended_ms > limits_.grace_ms;
    if (is_gone) series_ -= proxy.last.size();
    return is_gone;
  });
}

Traffic::Now Traffic::now(int64_t window_ms) {
  const std::lock_guard lock(mutex_);
  const int64_t now_ms = clock_.monotonic_ms();
  forget(now_ms);
  Now now;
  for (const auto& [name, proxy] : proxies_) now.proxies += proxy->streams != 0 ? 1 : 0;
  now.dropped_series = dropped_series_;
  // Whole slots, and what there is of the newest.
  const int64_t slots = std::clamp(window_ms, kSlotMs, kMostWindowMs) / kSlotMs;
  const int64_t newest = now_ms / kSlotMs;
  const int64_t oldest = newest - slots;
  const int64_t from_ms = std::max(oldest * kSlotMs, began_ms_ < 0 ? now_ms : began_ms_ - kSlotMs);
  now.window_ms = std::max<int64_t>(now_ms - from_ms, kSlotMs);
  for (const auto& [edge, state] : edges_) {
    MeasuredEdge measured{.edge = edge, .window = {}, .total = state.total};
    for (const Slot& slot : state.slots) {
      if (slot.number < oldest || slot.number > newest) continue;
      measured.window.add(slot.sums);
      measured.saw_none = measured.saw_none || slot.saw_none;
      measured.saw_mutual = measured.saw_mutual || slot.saw_mutual;
    }
    now.edges.push_back(std::move(measured));
  }
  return now;
}

}  // namespace weft::control::telemetry
