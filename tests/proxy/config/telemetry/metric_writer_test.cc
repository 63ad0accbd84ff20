#include "proxy/config/telemetry/metric_writer.h"

#include <catch2/catch.hpp>
#include <map>

#include "proxy/observe/hop_reporter.h"

// What a metrics service is sent: Envoy's metrics and the hops', as its configuration asks for them.

namespace weft::config::telemetry {
namespace {

using Message = MetricWriter::Message;
namespace prometheus = io::prometheus::client;

const observe::WorkloadIdentity kWeb = observe::WorkloadIdentity::make("web", "shop", "web", "web");

struct Fixture {
  Fixture() {
    stats.of_worker(0).upstream_rq_total.add(3);
    stats.of_worker(1).upstream_rq_total.add(4);
    stats.of_worker(1).upstream_rq_time.record(12);
    stats.of_worker(1).upstream_rq_active.set(2);
  }
  std::vector<Message> write(MetricWriter& writer, bool all = false, const observe::StatsRules* rules = nullptr) {
    std::vector<const observe::FamilyBase*> families = {&stats};
    return writer.write({families, hops.get(), rules}, 1'700'000'000'000, all);
  }
  void request(int64_t ns, uint16_t status = 200) {
    observe::RequestRecord record;
    record.status = status;
    record.end_ns = ns;
    reporter.count_request(record, 1);
  }
  observe::Family<observe::ClusterStats> stats{"cluster.backend.", "envoy_cluster_name", "backend", 2};
  std::shared_ptr<observe::HopMetrics> hops =
      std::make_shared<observe::HopMetrics>(observe::HopMetrics::Options{.workers = 2});
  observe::HopReporter reporter{hops, observe::HopSide::kSource, kWeb};
};

// nullptr: there is none.
const prometheus::MetricFamily* find(const std::vector<Message>& messages, const std::string& name,
                                     prometheus::MetricType type = prometheus::COUNTER) {
  for (const Message& message : messages) {
    for (const auto& family : message.envoy_metrics()) {
      if (family.name() == name && family.type() == type) return &family;
    }
  }
  return nullptr;
}

double value(const std::vector<Message>& messages, const std::string& name) {
  const auto* family = find(messages, name);
  return family == nullptr ? -1 : family->metric(0).counter().value();
}

TEST_CASE("counters are told as what they have come to, or by how much they rose") {
  Fixture f;
  MetricWriter totals({});
  MetricWriter deltas({.counters_as_deltas = true});
  CHECK(value(f.write(totals), "cluster.backend.upstream_rq_total") == 7);
  CHECK(value(f.write(deltas), "cluster.backend.upstream_rq_total") == 7);
  f.stats.of_worker(1).upstream_rq_total.add(2);
  CHECK(value(f.write(totals), "cluster.backend.upstream_rq_total") == 9);
  CHECK(value(f.write(deltas), "cluster.backend.upstream_rq_total") == 2);
  CHECK(value(f.write(deltas), "cluster.backend.upstream_rq_total") == 0);
  // What never was used is not told.
  CHECK(find(f.write(totals), "cluster.backend.upstream_rq_retry") == nullptr);
}

TEST_CASE("histograms are of what was recorded since the last message, in the forms that are asked for") {
  Fixture f;
  MetricWriter writer({.summaries = true});
  auto messages = f.write(writer);
  const auto* histogram = find(messages, "cluster.backend.upstream_rq_time", prometheus::HISTOGRAM);
  REQUIRE(histogram != nullptr);
  CHECK(histogram->metric(0).histogram().sample_count() == 1);
  CHECK(histogram->metric(0).histogram().bucket(4).upper_bound() == 25);
  CHECK(histogram->metric(0).histogram().bucket(4).cumulative_count() == 1);
  CHECK(histogram->metric(0).histogram().bucket(3).cumulative_count() == 0);
  CHECK(find(messages, "cluster.backend.upstream_rq_time", prometheus::SUMMARY) != nullptr);
  messages = f.write(writer);
  histogram = find(messages, "cluster.backend.upstream_rq_time", prometheus::HISTOGRAM);
  CHECK(histogram->metric(0).histogram().sample_count() == 0);
  MetricWriter none({.histograms = false});
  CHECK(find(f.write(none), "cluster.backend.upstream_rq_time", prometheus::HISTOGRAM) == nullptr);
}

TEST_CASE("tags are parts of names, or labels under Envoy's names for them") {
  Fixture f;
  MetricWriter plain({});
  CHECK(find(f.write(plain), "cluster.backend.upstream_rq_total")->metric(0).label().empty());
  MetricWriter tagged({.tags_as_labels = true});
  auto messages = f.write(tagged);
  const auto* family = find(messages, "cluster.upstream_rq_total");
  REQUIRE(family != nullptr);
  CHECK(family->metric(0).label(0).name() == "envoy.cluster_name");
  CHECK(family->metric(0).label(0).value() == "backend");
  CHECK(family->metric(0).timestamp_ms() == 1'700'000'000'000);
  CHECK(find(messages, "cluster.upstream_rq_active", prometheus::GAUGE)->metric(0).gauge().value() == 2);
}

TEST_CASE("what the configuration hides is not sent either") {
  Fixture f;
  observe::StatsRules rules;
  rules.hide({[](std::string_view name) { return name.ends_with("upstream_rq_total"); }});
  MetricWriter writer({});
  auto messages = f.write(writer, false, &rules);
  CHECK(find(messages, "cluster.backend.upstream_rq_total") == nullptr);
  CHECK(find(messages, "cluster.backend.upstream_rq_active", prometheus::GAUGE) != nullptr);
}

TEST_CASE("a batch is a message of its own") {
  Fixture f;
  MetricWriter writer({.batch_size = 5});
  auto messages = f.write(writer);
  REQUIRE(messages.size() > 2);
  for (const Message& message : messages) CHECK(message.envoy_metrics_size() <= 5);
}

TEST_CASE("to the mesh go hops alone: at first all of them, then those that did something") {
  Fixture f;
  MetricWriter writer({.hops_only = true});
  f.request(3'000'000);
  f.request(3'000'000, 503);
  auto messages = f.write(writer, true);
  REQUIRE(messages.size() == 1);
  CHECK(find(messages, "cluster.backend.upstream_rq_total") == nullptr);
  REQUIRE(find(messages, "istio_requests_total") != nullptr);
  CHECK(find(messages, "istio_requests_total")->metric_size() == 2);
  CHECK(find(messages, "istio_request_bytes", prometheus::HISTOGRAM) == nullptr);
  messages = f.write(writer, false);
  CHECK(messages.at(0).envoy_metrics().empty());
  f.request(200'000);
  messages = f.write(writer, false);
  const auto* requests = find(messages, "istio_requests_total");
  REQUIRE(requests != nullptr);
  REQUIRE(requests->metric_size() == 1);
  CHECK(requests->metric(0).counter().value() == 2);
  std::map<std::string, std::string> labels;
  for (const auto& label : requests->metric(0).label()) labels[label.name()] = label.value();
  CHECK(labels["source_workload"] == "web");
  CHECK(labels["response_code"] == "200");
  const auto* durations = find(messages, "istio_request_duration_milliseconds", prometheus::HISTOGRAM);
  REQUIRE(durations != nullptr);
  CHECK(durations->metric(0).histogram().sample_count() == 1);
  CHECK(durations->metric(0).histogram().bucket(0).cumulative_count() == 1);
  // A new stream begins with all again.
  CHECK(find(f.write(writer, true), "istio_requests_total")->metric_size() == 2);
}

}  // namespace
}  // namespace weft::config::telemetry
