#include "proxy/observe/hop_metrics.h"

#include <catch2/catch.hpp>
#include <map>
#include <optional>

#include "proxy/observe/hop_reporter.h"
#include "tests/proxy/observe/record.h"

// Hops counted by who is at their two ends: labels, bounds, and what is forgotten.

namespace weft::observe {
namespace {

using Labels = std::map<std::string, std::string>;

const WorkloadIdentity kWeb = WorkloadIdentity::make("web-v1", "shop", "web", "web");
const WorkloadIdentity kCart = WorkloadIdentity::make("cart-v2", "store", "cart", "cart-account");
const ServiceIdentity kCartService = ServiceIdentity::make("cart.store.svc.cluster.local", "cart", "store", false);
const char kWebId[] = "spiffe://cluster.local/ns/shop/sa/web";
const char kCartId[] = "spiffe://cluster.local/ns/store/sa/cart-account";

struct Shown {
  Labels labels;
  HopMetrics::Sample sample;
};

std::vector<Shown> all(const HopMetrics& metrics) {
  std::vector<Shown> shown;
  metrics.visit([&](const HopMetrics::Sample& sample) {
    Labels labels;
    for (const auto& [name, value] : sample.series->labels) labels.emplace(std::string(name), value);
    CHECK(labels.size() == sample.series->labels.size());
    shown.push_back({std::move(labels), sample});
  });
  return shown;
}

Shown only(const HopMetrics& metrics) {
  std::vector<Shown> shown = all(metrics);
  REQUIRE(shown.size() == 1);
  return shown[0];
}

std::shared_ptr<HopMetrics> make(size_t max_series = 100, uint32_t workers = 2) {
  return std::make_shared<HopMetrics>(
      HopMetrics::Options{.workers = workers, .max_series = max_series, .idle_ns = 1'000});
}

TEST_CASE("a request that goes out is told with the names of both ends, the endpoint's by its metadata") {
  auto metrics = make();
  HopReporter reporter(metrics, HopSide::kSource, kWeb);
  Exchange exchange;
  auto principals = ConnectionPrincipals::make(kWebId, kCartId, true);
  exchange.record.ends = {.upstream = &principals, .workload = &kCart, .service = &kCartService, .connected = true};
  reporter.count_request(exchange.record, 1);
  Labels labels = only(*metrics).labels;
  CHECK(labels == Labels{{"reporter", "source"},
                         {"source_workload", "web-v1"},
                         {"source_workload_namespace", "shop"},
                         {"source_principal", kWebId},
                         {"source_app", "web"},
                         {"source_version", "unknown"},
                         {"source_canonical_service", "web"},
                         {"source_canonical_revision", "latest"},
                         {"destination_workload", "cart-v2"},
                         {"destination_workload_namespace", "store"},
                         {"destination_principal", kCartId},
                         {"destination_app", "cart"},
                         {"destination_version", "unknown"},
                         {"destination_canonical_service", "cart"},
                         {"destination_canonical_revision", "latest"},
                         {"destination_service", "cart.store.svc.cluster.local"},
                         {"destination_service_name", "cart"},
                         {"destination_service_namespace", "store"},
                         {"request_protocol", "http"},
                         {"response_code", "200"},
                         {"grpc_response_status", ""},
                         {"response_flags", "-"},
                         {"connection_security_policy", "mutual_tls"},
                         {"cause", "none"}});
}

TEST_CASE("an endpoint without a name of its own is its service's, unless that is outside the mesh") {
  auto metrics = make();
  HopReporter reporter(metrics, HopSide::kSource, kWeb);
  auto unnamed = WorkloadIdentity::make("", "", "", "");
  Exchange exchange;
  exchange.record.ends = {.workload = &unnamed, .service = &kCartService, .connected = true};
  reporter.count_request(exchange.record, 1);
  Labels labels = only(*metrics).labels;
  CHECK(labels["destination_workload"] == "cart");
  CHECK(labels["destination_workload_namespace"] == "store");
  CHECK(labels["destination_canonical_service"] == "cart");

  auto others = make();
  auto outside = ServiceIdentity::make("pay.example", "pay", "store", true);
  exchange.record.ends.service = &outside;
  HopReporter(others, HopSide::kSource, kWeb).count_request(exchange.record, 1);
  labels = only(*others).labels;
  CHECK(labels["destination_workload"] == "unknown");
  CHECK(labels["destination_service_name"] == "pay");
}

TEST_CASE("what the proxy answers itself has its cause and flag, and no endpoint where none was chosen") {
  auto metrics = make();
  HopReporter reporter(metrics, HopSide::kSource, kWeb);
  Exchange exchange;
  exchange.record.status = 503;
  exchange.record.cause = http::Cause::kNoHealthyUpstream;
  exchange.record.retry_limit_exceeded = true;
  exchange.record.ends.service = &kCartService;
  reporter.count_request(exchange.record, 1);
  Labels labels = only(*metrics).labels;
  CHECK(labels["response_code"] == "503");
  CHECK(labels["cause"] == "no_healthy_upstream");
  CHECK(labels["response_flags"] == "UH,URX");
  CHECK(labels["destination_workload"] == "unknown");
  CHECK(labels["destination_canonical_service"] == "cart");
  CHECK(labels["connection_security_policy"] == "unknown");
}

TEST_CASE("on the called side the caller is who its certificate says, and names add only what that leaves open") {
  auto metrics = make();
  HopReporter reporter(metrics, HopSide::kDestination, kCart);
  Exchange exchange;
  auto principals = ConnectionPrincipals::make(kCartId, kWebId, true);
  exchange.record.ends = {.downstream = &principals, .service = &kCartService};
  SECTION("by the certificate alone") {
    reporter.count_request(exchange.record, 1);
    Labels labels = only(*metrics).labels;
    CHECK(labels["source_workload"] == "web");
    CHECK(labels["source_workload_namespace"] == "shop");
    CHECK(labels["source_principal"] == kWebId);
    CHECK(labels["destination_principal"] == kCartId);
    CHECK(labels["destination_workload"] == "cart-v2");
    CHECK(labels["connection_security_policy"] == "mutual_tls");
  }
  SECTION("with what its proxy says") {
    exchange.record.ends.peer_names = "web-canary/front";
    reporter.count_request(exchange.record, 1);
    Labels labels = only(*metrics).labels;
    CHECK(labels["source_workload"] == "web-canary");
    CHECK(labels["source_canonical_service"] == "front");
    CHECK(labels["source_workload_namespace"] == "shop");
  }
  SECTION("what is no name is not taken") {
    exchange.record.ends.peer_names = "a\"} b/front";
    reporter.count_request(exchange.record, 1);
    CHECK(only(*metrics).labels["source_workload"] == "web");
  }
  SECTION("without a verified certificate nobody is known") {
    auto one_sided = ConnectionPrincipals::make(kCartId, "", false);
    exchange.record.ends.downstream = &one_sided;
    exchange.record.ends.peer_names = "web-canary/front";
    reporter.count_request(exchange.record, 1);
    Labels labels = only(*metrics).labels;
    CHECK(labels["source_workload"] == "unknown");
    CHECK(labels["source_principal"] == "unknown");
    CHECK(labels["connection_security_policy"] == "none");
  }
}

TEST_CASE("the names are said only where the service account does not say them") {
  auto metrics = make();
  CHECK(HopReporter(metrics, HopSide::kSource, kWeb).peer_header() == "web-v1/web");
  CHECK(HopReporter(metrics, HopSide::kSource, WorkloadIdentity::make("web", "shop", "web", "web"))
            .peer_header()
            .empty());
  CHECK(HopReporter(metrics, HopSide::kSource, WorkloadIdentity::make("", "shop", "", "")).peer_header().empty());
}

TEST_CASE("gRPC is told by its own status, from trailers or from an answer that is all trailers") {
  auto metrics = make();
  HopReporter reporter(metrics, HopSide::kSource, kWeb);
  Exchange exchange;
  exchange.request.headers.add("content-type", "application/grpc");
  http::HeaderMap trailers(exchange.arena);
  auto status = [&] {
    reporter.count_request(exchange.record, 1);
    Labels labels = only(*metrics).labels;
    CHECK(labels["request_protocol"] == "grpc");
    return labels["grpc_response_status"];
  };
  SECTION("in trailers") {
    trailers.add("grpc-status", "14");
    exchange.record.response_trailers = &trailers;
    CHECK(status() == "14");
  }
  SECTION("in the head") {
    exchange.response.headers.add("grpc-status", "0");
    CHECK(status() == "0");
  }
  SECTION("a number that gRPC does not have") {
    trailers.add("grpc-status", "4000");
    exchange.record.response_trailers = &trailers;
    CHECK(status() == "other");
  }
  SECTION("none") { CHECK(status().empty()); }
}

TEST_CASE("durations and sizes are counted in Envoy's buckets, over all workers") {
  auto metrics = make();
  HopReporter reporter(metrics, HopSide::kSource, kWeb);
  Exchange exchange;  // 12.9 ms, 5 and 7 bytes
  reporter.count_request(exchange.record, 0);
  exchange.record.end_ns = exchange.record.start_ns + 400'000;
  reporter.count_request(exchange.record, 1);
  HopMetrics::Sample sample = only(*metrics).sample;
  CHECK(sample.requests == 2);
  CHECK(sample.duration_ms.count() == 2);
  CHECK(sample.duration_ms.counts[0] == 1);  // ≤ 0.5
  CHECK(sample.duration_ms.counts[4] == 1);  // ≤ 25
  CHECK(sample.duration_ms.sum_thousandths == 12'900 + 400);
  CHECK(sample.request_bytes.sum_thousandths == 10'000);
  CHECK(sample.response_bytes.counts[3] == 2);  // ≤ 10
  CHECK(sample.opened == 0);
}

TEST_CASE("a TCP connection is counted when it opens, as bytes pass, and with what became of it when it closes") {
  auto metrics = make();
  HopReporter reporter(metrics, HopSide::kSource, kWeb);
  TcpHop hop{{.workload = &kCart, .service = &kCartService, .connected = true}};
  reporter.count_opened(hop, 1, 10);
  reporter.count_bytes(hop, 3, 4, 1, 11);
  reporter.count_bytes(hop, 3, 4, 1, 12);
  Shown open = only(*metrics);
  CHECK(open.labels["request_protocol"] == "tcp");
  CHECK(open.labels.count("response_code") == 0);
  CHECK(open.labels["destination_workload"] == "cart-v2");
  CHECK(open.sample.received_bytes == 6);
  CHECK(open.sample.sent_bytes == 8);
  CHECK(open.sample.opened == 1);
  CHECK(open.sample.closed == 0);
  hop.cause = http::Cause::kUpstreamReset;
  reporter.count_closed(hop, 1, 13);
  REQUIRE(all(*metrics).size() == 2);
  for (const Shown& each : all(*metrics)) {
    CHECK(each.sample.closed == (each.labels.at("cause") == "upstream_reset" ? 1 : 0));
  }
}

TEST_CASE("beyond the bound what is new is counted together, and a metric says so") {
  auto metrics = make(3);
  HopReporter reporter(metrics, HopSide::kSource, kWeb);
  Exchange exchange;
  for (int i = 0; i < 50; ++i) {
    WorkloadIdentity workload = WorkloadIdentity::make("w" + std::to_string(i), "n", "s", "a");
    exchange.record.ends.workload = &workload;
    for (int repeat = 0; repeat < 3; ++repeat) reporter.count_request(exchange.record, 1);
  }
  uint64_t total = 0;
  std::optional<Shown> overflow;
  std::vector<Shown> shown = all(*metrics);
  for (const Shown& each : shown) {
    total += each.sample.requests;
    if (each.labels.at("destination_workload") == "overflow") overflow = each;
  }
  CHECK(shown.size() == 4);
  CHECK(total == 150);
  REQUIRE(overflow.has_value());
  CHECK(overflow->sample.requests == 141);
  CHECK(overflow->labels["response_code"] == "200");
  CHECK(overflow->labels["reporter"] == "source");
  metrics->evict_idle(0);
  std::map<std::string, int64_t> told;
  struct Visitor : MetricVisitor {
    explicit Visitor(std::map<std::string, int64_t>& told) : told(told) {}
    void counter(std::string_view name, uint64_t value) override { told[std::string(name)] = value; }
    void gauge(std::string_view name, int64_t value) override { told[std::string(name)] = value; }
    void histogram(std::string_view, const Histogram::Summary&) override {}
    std::map<std::string, int64_t>& told;
  } visitor(told);
  metrics->family().visit(visitor);
  CHECK(told["series"] == 4);
  CHECK(told["overflowed"] >= 47);
}

TEST_CASE("what no worker used for the idle time is forgotten, and begins anew when it comes back") {
  auto metrics = make();
  HopReporter reporter(metrics, HopSide::kSource, kWeb);
  TcpHop quiet{{.workload = &kCart}};
  TcpHop busy{{.workload = &kWeb}};
  reporter.count_opened(quiet, 0, 1'000);
  reporter.count_opened(busy, 0, 1'000);
  reporter.count_opened(busy, 1, 3'000);
  metrics->evict_idle(3'500);
  CHECK(only(*metrics).labels["destination_workload"] == "web-v1");
  CHECK(only(*metrics).sample.opened == 2);
  reporter.count_opened(busy, 0, 3'600);
  reporter.count_opened(quiet, 0, 3'600);
  for (const Shown& each : all(*metrics)) {
    CHECK(each.sample.opened == (each.labels.at("destination_workload") == "web-v1" ? 3 : 1));
  }
}

TEST_CASE("a SPIFFE ID is read in the mesh's form alone") {
  CHECK(spiffe_parts(kWebId).namespace_name == "shop");
  CHECK(spiffe_parts(kWebId).service_account == "web");
  for (const char* other :
       {"", "spiffe://x", "spiffe://x/ns/shop", "spiffe://x/ns//sa/web", "spiffe://x/ns/shop/sa/",
        "spiffe://x/ns/shop/sa/web/more", "https://x/ns/shop/sa/web", "spiffe://x/a/ns/shop/sa/web"}) {
    INFO(other);
    CHECK(spiffe_parts(other).namespace_name.empty());
  }
}

}  // namespace
}  // namespace weft::observe
