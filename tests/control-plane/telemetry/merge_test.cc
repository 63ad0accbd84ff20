#include "control-plane/telemetry/merge.h"

#include <catch2/catch.hpp>

namespace weft::control::telemetry {
namespace {

const Party kWeb = {Party::Kind::kService, "shop", "web"};
const Party kOrders = {Party::Kind::kService, "shop", "orders"};
const Party kOutside = {Party::Kind::kOutside, "", ""};

MeasuredEdge edge(const Party& from, const Party& to, bool by_destination, uint64_t requests, uint64_t failures = 0) {
  MeasuredEdge out{.edge = {from, to, "http", by_destination}};
  out.window.requests = out.total.requests = requests;
  out.window.failures = failures;
  return out;
}

TEST_CASE("an edge that both ends tell is shown once, and the called service counts what it saw itself") {
  const Merged merged = merge({edge(kWeb, kOrders, false, 10, 2), edge(kWeb, kOrders, true, 9, 1)});
  REQUIRE(merged.edges.size() == 1);
  CHECK(merged.edges[0].window.requests == 10);
  CHECK(merged.edges[0].window.failures == 2);
  CHECK(merged.services.at(kOrders).first.requests == 9);
}

TEST_CASE("a service of which no proxy tells is as its callers tell it") {
  const Merged merged = merge({edge(kWeb, kOrders, false, 10)});
  CHECK(merged.services.at(kOrders).first.requests == 10);
  CHECK_FALSE(merged.services.contains(kWeb));
}

TEST_CASE("callers whom nobody knows are outside, but for those who tell of themselves") {
  SECTION("all are known by their own word") {
    const Merged merged = merge({edge(kWeb, kOrders, false, 1'000), edge(kOutside, kOrders, true, 1'010)});
    REQUIRE(merged.edges.size() == 1);
    CHECK(merged.edges[0].source == kWeb);
  }
  SECTION("half of them are not") {
    const Merged merged = merge({edge(kWeb, kOrders, false, 500), edge(kOutside, kOrders, true, 1'000)});
    REQUIRE(merged.edges.size() == 2);
    CHECK(merged.edges[1].source == kOutside);
    CHECK(merged.edges[1].window.requests == 500);
    CHECK(merged.services.at(kOrders).first.requests == 1'000);
  }
  SECTION("the called side knows its callers by their certificates, so that the unknown are others") {
    const Merged merged =
        merge({edge(kWeb, kOrders, false, 500), edge(kWeb, kOrders, true, 500), edge(kOutside, kOrders, true, 100)});
    REQUIRE(merged.edges.size() == 2);
    CHECK(merged.edges[1].window.requests == 100);
  }
}

TEST_CASE("a quantile lies within its bucket as far as its rank, and beyond all bounds at the last") {
  Sums sums;
  CHECK(sums.quantile(0.5) == 0);
  sums.durations[2] = 100;  // 1 to 5 ms
  CHECK(sums.quantile(0) == Approx(1));
  CHECK(sums.quantile(0.5) == Approx(3));
  CHECK(sums.quantile(1) == Approx(5));
  sums.durations.back() = 1'000;
  CHECK(sums.quantile(0.99) == kBounds.back());
}

}  // namespace
}  // namespace weft::control::telemetry
