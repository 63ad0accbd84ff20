#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "envoy/service/metrics/v3/metrics_service.pb.h"
#include "proxy/observe/hop_metrics.h"
#include "proxy/observe/metrics.h"
#include "proxy/observe/stats_rules.h"

// The metrics as the messages of Envoy's metrics service: counters as what they have come to or by how much they rose,
// gauges as they are, histograms of what was recorded since the message before. One per stream's receiver. Main thread;
// reads what workers write.

namespace weft::config::telemetry {

class MetricWriter {
 public:
  struct Options {
    bool hops_only = false;           // Not Envoy's metrics, and of the hops what rates and quantiles are made of.
    bool counters_as_deltas = false;  // report_counters_as_deltas
    bool tags_as_labels = false;      // emit_tags_as_labels
    bool summaries = false;           // histogram_emit_mode
    bool histograms = true;
    size_t batch_size = 0;  // Families to a message; 0: all in one.
  };
  // What there is to tell of. `hops` and `rules` may be nullptr.
  struct Sources {
    const std::vector<const observe::FamilyBase*>& families;
    const observe::HopMetrics* hops = nullptr;
    const observe::StatsRules* rules = nullptr;
  };

  explicit MetricWriter(Options options) : options_(options) {}

  using Message = envoy::service::metrics::v3::StreamMetricsMessage;
  // With `all` also of hops that did nothing since the last message. At least one message, which may be empty.
  std::vector<Message> write(const Sources& sources, int64_t now_wall_ms, bool all);

 private:
  class Families;
  struct HopLast {
    uint64_t requests = 0, sent_bytes = 0, received_bytes = 0, opened = 0, closed = 0;
    observe::BucketHistogram::Summary duration_ms, request_bytes, response_bytes;
    uint64_t round = 0;  // In which it was met last.
  };
  void write_families(const Sources& sources, Families& out);
  void write_hops(const observe::HopMetrics& hops, bool all, Families& out);

  const Options options_;
  std::map<std::string, uint64_t> last_counters_;
  std::map<std::string, observe::Histogram::Summary> last_histograms_;
  absl::flat_hash_map<observe::HopKey, HopLast> last_hops_;
  uint64_t round_ = 0;
};

}  // namespace weft::config::telemetry
