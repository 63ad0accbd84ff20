#include "proxy/observe/metrics.h"

#include <catch2/catch.hpp>
#include <map>

#include "proxy/observe/stats.h"

namespace weft::observe {
namespace {

struct Seen final : MetricVisitor {
  void counter(std::string_view name, uint64_t value) override { counters[std::string(name)] = value; }
  void gauge(std::string_view name, int64_t value) override { gauges[std::string(name)] = value; }
  void histogram(std::string_view name, const Histogram::Summary& value) override {
    histograms[std::string(name)] = value;
  }
  std::map<std::string, uint64_t> counters;
  std::map<std::string, int64_t> gauges;
  std::map<std::string, Histogram::Summary> histograms;
};

Histogram::Summary summary_of(const Histogram& histogram) {
  Histogram::Summary summary;
  summary.merge(histogram);
  return summary;
}

TEST_CASE("every value falls into the one bucket whose bounds hold it, and no bucket is wider than an eighth") {
  int last = -1;
  for (uint64_t value = 0; value < 100'000; ++value) {
    int bucket = Histogram::bucket_of(value);
    REQUIRE((bucket == last || bucket == last + 1));
    last = bucket;
    REQUIRE(value < Histogram::upper_bound_of(bucket));
    if (bucket == 0) continue;
    uint64_t lower = Histogram::upper_bound_of(bucket - 1);
    REQUIRE(value >= lower);
    REQUIRE((Histogram::upper_bound_of(bucket) - lower) * 8 <= std::max<uint64_t>(lower, 8));
  }
  CHECK(Histogram::bucket_of(UINT64_MAX) == Histogram::kBuckets - 1);
}

TEST_CASE("a histogram knows its count, sum and quantiles") {
  Histogram histogram;
  CHECK(summary_of(histogram).quantile(0.5) == 0);
  for (uint64_t value = 1; value <= 1000; ++value) histogram.record(value);
  Histogram::Summary summary = summary_of(histogram);
  CHECK(summary.count == 1000);
  CHECK(summary.sum == 500'500);
  for (double q : {0.25, 0.5, 0.9, 0.99}) CHECK(summary.quantile(q) == Approx(q * 1000).epsilon(0.07));
  CHECK(summary.quantile(0) == 1);
  CHECK(summary.count_at_most(7) == 7);
  CHECK(summary.count_at_most(1'000'000) == 1000);
}

TEST_CASE("a family is read as the sum over its workers, each name once") {
  Family<ClusterStats> family("cluster.c.", "envoy_cluster_name", "c", 3);
  family.of_worker(0).upstream_rq_total.add(2);
  family.of_worker(2).upstream_rq_total.add(3);
  family.of_worker(0).upstream_rq_active.add();
  family.of_worker(2).upstream_rq_active.subtract(4);
  family.of_worker(0).upstream_rq_time.record(10);
  family.of_worker(2).upstream_rq_time.record(20);
  Seen seen;
  family.visit(seen);
  CHECK(seen.counters.at("upstream_rq_total") == 5);
  CHECK(seen.gauges.at("upstream_rq_active") == -3);
  CHECK(seen.histograms.at("upstream_rq_time").count == 2);
  CHECK(seen.histograms.at("upstream_rq_time").sum == 30);
}

TEST_CASE("statuses are counted one by one, and only those that came are shown") {
  Family<ClusterStats> family("cluster.c.", "envoy_cluster_name", "c", 2);
  for (uint16_t status : {200, 200, 503, 0, 99, 600}) family.of_worker(0).upstream_rq_.add(status);
  family.of_worker(1).upstream_rq_.add(200);
  Seen seen;
  family.visit(seen);
  CHECK(seen.counters.at("upstream_rq_200") == 3);
  CHECK(seen.counters.at("upstream_rq_503") == 1);
  CHECK_FALSE(seen.counters.contains("upstream_rq_404"));
  CHECK_FALSE(seen.counters.contains("upstream_rq_600"));
}

TEST_CASE("metrics that Envoy groups have its dots") {
  CHECK(exposed_name("outlier_detection_ejections_active") == "outlier_detection.ejections_active");
  CHECK(exposed_name("health_check_attempt") == "health_check.attempt");
  CHECK(exposed_name("ssl_handshake") == "ssl.handshake");
  CHECK(exposed_name("upstream_cx_total") == "upstream_cx_total");
  CHECK(exposed_name("ssl") == "ssl");
}

}  // namespace
}  // namespace weft::observe
