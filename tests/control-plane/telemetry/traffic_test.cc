#include "control-plane/telemetry/traffic.h"

#include <catch2/catch.hpp>

#include "tests/control-plane/telemetry/told.h"

namespace weft::control::telemetry {
namespace {

using envoy::service::metrics::v3::StreamMetricsMessage;

const Reporter kWeb = {"shop", "web", "web-1"};

struct Fixture {
  explicit Fixture(Traffic::Limits limits = {}) : traffic(clock, limits) { clock.advance_ms(1'000'000); }

  void tell(uint64_t stream, double total, const std::string& code = "200") {
    StreamMetricsMessage message;
    add_counter(message, "istio_requests_total", source_labels(code), total);
    traffic.take(stream, message);
  }
  // Requests over the last minute, of all edges together.
  uint64_t requests() {
    uint64_t sum = 0;
    for (const MeasuredEdge& each : traffic.now(60'000).edges) sum += each.window.requests;
    return sum;
  }

  base::ManualClock clock;
  Traffic traffic;
};

TEST_CASE("what counters had come to before we looked is not traffic of now, and what rises after is") {
  Fixture f;
  const uint64_t stream = *f.traffic.open(kWeb);
  f.tell(stream, 1'000);
  CHECK(f.requests() == 0);
  f.tell(stream, 1'010);
  CHECK(f.requests() == 10);
  // A set of labels that is new has risen from nothing.
  f.tell(stream, 3, "503");
  CHECK(f.requests() == 13);
  CHECK(f.traffic.now(60'000).edges.at(0).window.failures == 3);
}

TEST_CASE("a counter that fell began anew") {
  Fixture f;
  const uint64_t stream = *f.traffic.open(kWeb);
  f.tell(stream, 1'000);
  f.tell(stream, 4);
  CHECK(f.requests() == 4);
  f.tell(stream, 5);
  CHECK(f.requests() == 5);
}

TEST_CASE("a proxy that comes back in time goes on where it was, later it begins anew") {
  Fixture f;
  uint64_t stream = *f.traffic.open(kWeb);
  f.tell(stream, 10);
  f.traffic.close(stream);
  f.clock.advance_ms(20'000);
  stream = *f.traffic.open(kWeb);
  f.tell(stream, 15);
  CHECK(f.requests() == 5);
  f.traffic.close(stream);
  f.clock.advance_ms(200'000);
  stream = *f.traffic.open(kWeb);
  f.tell(stream, 100);
  CHECK(f.requests() == 0);
}

TEST_CASE("rates are over the window that was asked, and not over time before anything was known") {
  Fixture f;
  const uint64_t stream = *f.traffic.open(kWeb);
  f.tell(stream, 0);
  f.tell(stream, 50);
  CHECK(f.traffic.now(30'000).window_ms == Traffic::kSlotMs);
  f.clock.advance_ms(25'000);
  f.tell(stream, 60);
  Traffic::Now now = f.traffic.now(30'000);
  CHECK(now.window_ms == 30'000);
  CHECK(now.edges.at(0).window.requests == 60);
  CHECK(f.traffic.now(10'000).edges.at(0).window.requests == 10);
  f.clock.advance_ms(300'000);
  now = f.traffic.now(60'000);
  CHECK(now.edges.at(0).window.requests == 0);
  CHECK(now.edges.at(0).total.requests == 60);
  CHECK(now.window_ms >= 60'000);
  // At last it is forgotten.
  f.clock.advance_ms(400'000);
  CHECK(f.traffic.now(60'000).edges.empty());
}

TEST_CASE("durations are of the requests since the last message, and are merged over proxies") {
  Fixture f;
  const uint64_t one = *f.traffic.open(kWeb);
  const uint64_t other = *f.traffic.open({"shop", "web", "web-2"});
  StreamMetricsMessage fast, slow;
  add_histogram(fast, "istio_request_duration_milliseconds", source_labels(), {{0.5, 0}, {1, 99}});
  add_histogram(slow, "istio_request_duration_milliseconds", source_labels(), {{500, 0}, {1000, 1}});
  f.traffic.take(one, fast);
  f.traffic.take(other, slow);
  const Traffic::Now now = f.traffic.now(30'000);
  REQUIRE(now.edges.size() == 1);
  CHECK(now.proxies == 2);
  CHECK(now.edges[0].window.quantile(0.5) == Approx(0.75).margin(0.01));
  CHECK(now.edges[0].window.quantile(0.995) > 500);
}

TEST_CASE("proxies, what is remembered of each and edges are bounded, and what is left out is counted") {
  Fixture f({.proxies = 2, .series_of_proxy = 3, .series = 5, .edges = 2});
  const uint64_t stream = *f.traffic.open(kWeb);
  f.tell(stream, 0);
  for (int i = 0; i < 10; ++i) f.tell(stream, 1, std::to_string(200 + i));
  CHECK(f.requests() == 3);
  CHECK(f.traffic.now(30'000).dropped_series == 7);
  const uint64_t other = *f.traffic.open({"shop", "web", "web-2"});
  for (int i = 0; i < 10; ++i) f.tell(other, 1, std::to_string(200 + i));
  CHECK(f.traffic.now(30'000).dropped_series == 15);
  const auto third = f.traffic.open({"shop", "web", "web-3"});
  REQUIRE_FALSE(third.ok());
  CHECK(third.status().code() == absl::StatusCode::kResourceExhausted);
  // Its place is free once it was gone for long enough.
  f.traffic.close(other);
  f.clock.advance_ms(200'000);
  CHECK(f.traffic.open({"shop", "web", "web-3"}).ok());
}

TEST_CASE("a stream that is not there tells nothing") {
  Fixture f;
  const uint64_t stream = *f.traffic.open(kWeb);
  f.traffic.close(stream);
  f.traffic.close(stream);
  f.tell(stream, 5);
  CHECK(f.traffic.now(30'000).edges.empty());
  CHECK(f.traffic.now(30'000).proxies == 0);
}

}  // namespace
}  // namespace weft::control::telemetry
