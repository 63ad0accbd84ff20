#include "proxy/config/telemetry/metric_writer.h"

#include <utility>

namespace weft::config::telemetry {
namespace {

namespace prometheus = io::prometheus::client;
using observe::BucketHistogram;
using observe::HopMetrics;

// Envoy's, as on the admin's pages.
constexpr double kQuantiles[] = {0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 1};
constexpr double kThousand = 1'000;

struct Counted {
  const char* name;
  bool tcp;
  bool of_rates;  // Rates are made of it.
  uint64_t HopMetrics::Sample::* value;
};
constexpr Counted kCounters[] = {
    {"istio_requests_total", false, true, &HopMetrics::Sample::requests},
    {"istio_tcp_sent_bytes_total", true, true, &HopMetrics::Sample::sent_bytes},
    {"istio_tcp_received_bytes_total", true, true, &HopMetrics::Sample::received_bytes},
    {"istio_tcp_connections_opened_total", true, true, &HopMetrics::Sample::opened},
    {"istio_tcp_connections_closed_total", true, false, &HopMetrics::Sample::closed},
};

struct Distributed {
  const char* name;
  bool of_rates;
  BucketHistogram::Summary HopMetrics::Sample::* value;
};
constexpr Distributed kHistograms[] = {
    {"istio_request_duration_milliseconds", true, &HopMetrics::Sample::duration_ms},
    {"istio_request_bytes", false, &HopMetrics::Sample::request_bytes},
    {"istio_response_bytes", false, &HopMetrics::Sample::response_bytes},
};

BucketHistogram::Summary since(const BucketHistogram::Summary& now, const BucketHistogram::Summary& before) {
  BucketHistogram::Summary risen = now;
  for (int i = 0; i <= BucketHistogram::kBounds; ++i) risen.counts[i] -= before.counts[i];
  risen.sum_thousandths -= before.sum_thousandths;
  return risen;
}

observe::Histogram::Summary since(const observe::Histogram::Summary& now, const observe::Histogram::Summary& before) {
  observe::Histogram::Summary risen = now;
  risen.count -= before.count;
  risen.sum -= before.sum;
  for (size_t i = 0; i < before.buckets.size(); ++i) risen.buckets[i] -= before.buckets[i];
  return risen;
}

void set_buckets(const BucketHistogram::Summary& summary, prometheus::Histogram& out) {
  uint64_t cumulative = 0;
  for (int i = 0; i < BucketHistogram::kBounds; ++i) {
    cumulative += summary.counts[i];
    auto* bucket = out.add_bucket();
    bucket->set_upper_bound(static_cast<double>(BucketHistogram::kBoundsThousandths[i]) / kThousand);
    bucket->set_cumulative_count(cumulative);
  }
  out.set_sample_count(summary.count());
  out.set_sample_sum(static_cast<double>(summary.sum_thousandths) / kThousand);
}

// Prometheus' name of a label as Envoy has it: envoy_cluster_name is envoy.cluster_name.
std::string envoy_tag(std::string_view label) {
  std::string name(label);
  if (name.starts_with("envoy_")) name[5] = '.';
  return name;
}

}  // namespace

// The families of one flush, in messages.
class MetricWriter::Families {
 public:
  Families(const Options& options, int64_t now_wall_ms) : options_(options), now_wall_ms_(now_wall_ms) {
    messages_.emplace_back();
  }
  prometheus::MetricFamily& add(std::string_view name, prometheus::MetricType type) {
    bool full =
        options_.batch_size != 0 && messages_.back().envoy_metrics_size() >= static_cast<int>(options_.batch_size);
    if (full) messages_.emplace_back();
    prometheus::MetricFamily& family = *messages_.back().add_envoy_metrics();
    family.set_name(std::string(name));
    family.set_type(type);
    return family;
  }
  prometheus::Metric& add_metric(prometheus::MetricFamily& family) {
    prometheus::Metric& metric = *family.add_metric();
    metric.set_timestamp_ms(now_wall_ms_);
    return metric;
  }
  std::vector<Message> take() { return std::move(messages_); }

 private:
  const Options& options_;
  const int64_t now_wall_ms_;
  std::vector<Message> messages_;
};

std::vector<MetricWriter::Message> MetricWriter::write(const Sources& sources, int64_t now_wall_ms, bool all) {
  Families out(options_, now_wall_ms);
  if (!options_.hops_only) write_families(sources, out);
  if (sources.hops != nullptr) write_hops(*sources.hops, all, out);
  return out.take();
}

void MetricWriter::write_families(const Sources& sources, Families& out) {
  struct Visitor final : observe::MetricVisitor {
    Visitor(MetricWriter& writer, const observe::StatsRules* rules, Families& out)
        : writer(writer), rules(rules), out(out) {}

    bool begin(std::string_view name) {
      full = family->prefix() + std::string(name);
      if (rules != nullptr && !rules->shown(full)) return false;
      told = full;
      if (!tagged()) return true;
      // "cluster.backend.upstream_rq" of the cluster backend is cluster.upstream_rq.
      told = family->prefix().substr(0, family->prefix().find('.') + 1) + std::string(name);
      return true;
    }
    bool tagged() const {
      bool by_default = rules == nullptr || rules->default_tags();
      return writer.options_.tags_as_labels && by_default && !family->tag_name().empty();
    }
    prometheus::Metric& metric(prometheus::MetricType type) {
      prometheus::Metric& metric = out.add_metric(out.add(told, type));
      if (tagged()) {
        auto* label = metric.add_label();
        label->set_name(envoy_tag(family->tag_name()));
        label->set_value(family->tag_value());
      }
      return metric;
    }
    void counter(std::string_view name, uint64_t value) override {
      if (!begin(name)) return;
      uint64_t& last = writer.last_counters_[full];
      uint64_t before = std::exchange(last, value);
      // What was never used is not told, as by Envoy.
      if (value == 0) return;
      bool deltas = writer.options_.counters_as_deltas;
      uint64_t risen = value >= before ? value - before : value;
      metric(prometheus::COUNTER).mutable_counter()->set_value(static_cast<double>(deltas ? risen : value));
    }
    void gauge(std::string_view name, int64_t value) override {
      if (!begin(name)) return;
      metric(prometheus::GAUGE).mutable_gauge()->set_value(static_cast<double>(value));
    }
    void histogram(std::string_view name, const observe::Histogram::Summary& value) override {
      if (value.count == 0 || !begin(name)) return;
      observe::Histogram::Summary risen = since(value, writer.last_histograms_[full]);
      writer.last_histograms_[full] = value;
      if (writer.options_.summaries) {
        auto& summary = *metric(prometheus::SUMMARY).mutable_summary();
        summary.set_sample_count(risen.count);
        summary.set_sample_sum(static_cast<double>(risen.sum));
        for (double quantile : kQuantiles) {
          auto* each = summary.add_quantile();
          each->set_quantile(quantile);
          each->set_value(risen.quantile(quantile));
        }
      }
      if (!writer.options_.histograms) return;
      auto& histogram = *metric(prometheus::HISTOGRAM).mutable_histogram();
      histogram.set_sample_count(risen.count);
      histogram.set_sample_sum(static_cast<double>(risen.sum));
      for (uint64_t bound : BucketHistogram::kBoundsThousandths) {
        auto* bucket = histogram.add_bucket();
        bucket->set_upper_bound(static_cast<double>(bound) / kThousand);
        bucket->set_cumulative_count(risen.count_at_most(bound / 1'000));
      }
    }

    MetricWriter& writer;
    const observe::StatsRules* rules;
    Families& out;
    const observe::FamilyBase* family = nullptr;
    std::string full;  // The whole name, which is one metric's alone.
    std::string told;
  };
  Visitor visitor(*this, sources.rules, out);
  for (const observe::FamilyBase* family : sources.families) {
    visitor.family = family;
    family->visit(visitor);
  }
}

void MetricWriter::write_hops(const HopMetrics& hops, bool all, Families& out) {
  struct Row {
    HopMetrics::Sample sample;
    HopLast before;
    HopMetrics::Sample risen;
  };
  ++round_;
  std::vector<Row> rows;
  hops.visit([&](const HopMetrics::Sample& sample) {
    HopLast& last = last_hops_[sample.key];
    Row row{sample, last, sample};
    row.risen.duration_ms = since(sample.duration_ms, last.duration_ms);
    row.risen.request_bytes = since(sample.request_bytes, last.request_bytes);
    row.risen.response_bytes = since(sample.response_bytes, last.response_bytes);
    row.risen.requests -= last.requests;
    row.risen.sent_bytes -= last.sent_bytes;
    row.risen.received_bytes -= last.received_bytes;
    row.risen.opened -= last.opened;
    row.risen.closed -= last.closed;
    last = {sample.requests,    sample.sent_bytes,    sample.received_bytes, sample.opened, sample.closed,
            sample.duration_ms, sample.request_bytes, sample.response_bytes, round_};
    rows.push_back(std::move(row));
  });
  // Those that were forgotten begin anew if they come back.
  absl::erase_if(last_hops_, [this](const auto& each) { return each.second.round != round_; });

  auto shown = [&](const Row& row, bool tcp, bool changed) {
    return row.sample.series->tcp == tcp && (all || changed || !options_.hops_only);
  };
  auto add_labels = [](const Row& row, prometheus::Metric& metric) {
    for (const auto& [name, value] : row.sample.series->labels) {
      auto* label = metric.add_label();
      label->set_name(std::string(name));
      label->set_value(value);
    }
  };
  for (const Counted& each : kCounters) {
    if (options_.hops_only && !each.of_rates) continue;
    prometheus::MetricFamily* family = nullptr;
    for (const Row& row : rows) {
      if (!shown(row, each.tcp, row.risen.*each.value != 0)) continue;
      if (family == nullptr) family = &out.add(each.name, prometheus::COUNTER);
      prometheus::Metric& metric = out.add_metric(*family);
      add_labels(row, metric);
      uint64_t value = options_.counters_as_deltas ? row.risen.*each.value : row.sample.*each.value;
      metric.mutable_counter()->set_value(static_cast<double>(value));
    }
  }
  for (const Distributed& each : kHistograms) {
    if ((options_.hops_only && !each.of_rates) || !options_.histograms) continue;
    prometheus::MetricFamily* family = nullptr;
    for (const Row& row : rows) {
      if ((row.risen.*each.value).count() == 0 || row.sample.series->tcp) continue;
      if (family == nullptr) family = &out.add(each.name, prometheus::HISTOGRAM);
      prometheus::Metric& metric = out.add_metric(*family);
      add_labels(row, metric);
      set_buckets(row.risen.*each.value, *metric.mutable_histogram());
    }
  }
}

}  // namespace weft::config::telemetry
