#include "control-plane/telemetry/reading.h"

#include <catch2/catch.hpp>

#include "tests/control-plane/telemetry/told.h"

namespace weft::control::telemetry {
namespace {

using envoy::service::metrics::v3::StreamMetricsMessage;

const Reporter kWeb = {"shop", "web", "web-1"};
const Party kOrders = {Party::Kind::kService, "shop", "orders"};

std::optional<Reading> read(const StreamMetricsMessage& message, const Reporter& reporter = kWeb) {
  return read_metric(reporter, message.envoy_metrics(0), message.envoy_metrics(0).metric(0));
}

std::optional<Reading> read_counter(const std::string& name, const Labels& labels, const Reporter& reporter = kWeb) {
  StreamMetricsMessage message;
  add_counter(message, name, labels, 7);
  return read(message, reporter);
}

TEST_CASE("a proxy's own side is who it was let in as, whatever its labels say") {
  Labels labels = source_labels();
  labels.emplace_back("source_canonical_service", "till");
  labels.emplace_back("source_workload_namespace", "bank");
  const auto reading = read_counter("istio_requests_total", labels);
  REQUIRE(reading.has_value());
  CHECK(reading->edge.source == Party{Party::Kind::kService, "shop", "web"});
  CHECK(reading->edge.destination == kOrders);
  CHECK_FALSE(reading->edge.told_by_destination);
  CHECK(reading->total == 7);
  const auto called = read_counter("istio_requests_total", destination_labels("web"), {"shop", "carts", "c-1"});
  REQUIRE(called.has_value());
  CHECK(called->edge.destination == Party{Party::Kind::kService, "shop", "carts"});
  CHECK(called->edge.source == Party{Party::Kind::kService, "shop", "web"});
  CHECK(called->security == Security::kMutual);
  const auto nameless = read_counter("istio_requests_total", source_labels(), {"shop", "", "batch-7"});
  REQUIRE(nameless.has_value());
  CHECK(nameless->edge.source.name == "batch-7");
}

TEST_CASE("who is not known is outside, and what is not of the mesh is external") {
  const auto caller = read_counter("istio_requests_total", destination_labels("unknown"), {"shop", "orders", "o"});
  REQUIRE(caller.has_value());
  CHECK(caller->edge.source.kind == Party::Kind::kOutside);
  CHECK(caller->security == Security::kNone);
  const auto external = read_counter("istio_requests_total", {{"reporter", "source"},
                                                              {"destination_service", "pay.example"},
                                                              {"destination_service_name", "pay"},
                                                              {"destination_service_namespace", "shop"}});
  REQUIRE(external.has_value());
  CHECK(external->edge.destination == Party{Party::Kind::kExternal, "shop", "pay"});
  const auto nowhere = read_counter("istio_requests_total", {{"reporter", "source"},
                                                             {"destination_service", "unknown"},
                                                             {"destination_service_name", "unknown"},
                                                             {"destination_service_namespace", "unknown"}});
  REQUIRE(nowhere.has_value());
  CHECK(nowhere->edge.destination == Party{Party::Kind::kExternal, "", "unknown"});
}

TEST_CASE("a request failed if the server did, by its status or by gRPC's") {
  const auto failed = [](const Labels& labels) { return read_counter("istio_requests_total", labels)->failed; };
  CHECK_FALSE(failed(source_labels("200")));
  CHECK_FALSE(failed(source_labels("404")));
  CHECK(failed(source_labels("500")));
  CHECK(failed(source_labels("503")));
  // Who called went away.
  CHECK_FALSE(failed(source_labels("0")));
  Labels grpc = source_labels("200", "grpc");
  grpc.emplace_back("grpc_response_status", "14");
  CHECK(failed(grpc));
  grpc.back().second = "5";
  CHECK_FALSE(failed(grpc));
  grpc.back().second = "0";
  CHECK_FALSE(failed(grpc));
}

TEST_CASE("durations are put into our buckets by the bounds that a proxy has, whatever these are") {
  StreamMetricsMessage message;
  add_histogram(message, "istio_request_duration_milliseconds", source_labels(), {{0.5, 1}, {7, 2}, {10, 3}, {1e9, 4}});
  const auto reading = read(message);
  REQUIRE(reading.has_value());
  REQUIRE(reading->durations.has_value());
  Buckets expected{};
  expected[0] = 1;
  expected[3] = 5;  // ≤ 10
  expected.back() = 4;
  CHECK(*reading->durations == expected);
}

TEST_CASE("of connections that are not HTTP the opened ones and their bytes count") {
  Labels labels = source_labels("", "tcp");
  CHECK(read_counter("istio_tcp_connections_opened_total", labels)->counted == Counted::kConnections);
  CHECK(read_counter("istio_tcp_sent_bytes_total", labels)->counted == Counted::kSentBytes);
  CHECK(read_counter("istio_tcp_received_bytes_total", labels)->counted == Counted::kReceivedBytes);
  CHECK(read_counter("istio_tcp_sent_bytes_total", labels)->edge.protocol == "tcp");
  CHECK_FALSE(read_counter("istio_tcp_connections_closed_total", labels).has_value());
}

TEST_CASE("another proxy's clusters are edges by the names that we gave them, with its tags or without") {
  const auto plain = read_counter("cluster.shop/orders_80.upstream_rq_completed", {});
  REQUIRE(plain.has_value());
  CHECK(plain->edge.destination == kOrders);
  CHECK(plain->counted == Counted::kRequests);
  const auto tagged = read_counter(
      "cluster.upstream_rq_xx", {{"envoy.cluster_name", "external/shop/pay_443"}, {"envoy.response_code_class", "5"}});
  REQUIRE(tagged.has_value());
  CHECK(tagged->edge.destination == Party{Party::Kind::kExternal, "shop", "pay"});
  CHECK(tagged->counted == Counted::kFailures);
  const auto own = read_counter("cluster.inbound.upstream_rq_5xx", {});
  REQUIRE(own.has_value());
  CHECK(own->edge.told_by_destination);
  CHECK(own->edge.destination == Party{Party::Kind::kService, "shop", "web"});
  for (const char* other : {"cluster.shop/orders_80.upstream_cx_total", "cluster.weft-control.upstream_rq_completed",
                            "cluster.", "cluster.a", "cluster.upstream_rq_completed", "http.x.y", ""}) {
    INFO(other);
    CHECK_FALSE(read_counter(other, {}).has_value());
  }
}

TEST_CASE("what a proxy sends is bounded and never trusted to be a number") {
  StreamMetricsMessage message;
  Labels labels = source_labels();
  labels[3].second = std::string(100'000, 'x');
  add_counter(message, "istio_requests_total", labels, -5);
  auto reading = read(message);
  REQUIRE(reading.has_value());
  CHECK(reading->total == 0);
  CHECK(reading->edge.destination.name.size() == 253);
  message.mutable_envoy_metrics(0)->mutable_metric(0)->mutable_counter()->set_value(1e300);
  CHECK(read(message)->total == uint64_t{1} << 62);
}

}  // namespace
}  // namespace weft::control::telemetry
