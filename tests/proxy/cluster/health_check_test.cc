#include <catch2/catch.hpp>

#include "proxy/cluster/health_check.h"
#include "tests/fake/streams.h"

namespace weft::cluster {
namespace {

constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
constexpr std::string_view kBad = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";

struct Fixture {
  explicit Fixture(HealthCheckPolicy policy) : Fixture(std::vector<HealthCheckPolicy>{std::move(policy)}) {}
  explicit Fixture(std::vector<HealthCheckPolicy> policies) {
    ClusterConfig config;
    config.name = config.stat_name = "c";
    config.connector = connector;
    for (HealthCheckPolicy& policy : policies) {
      policy.timeout_ms = 100;
      policy.interval_ms = 1000;
      policy.no_traffic_interval_ms = 1000;
      config.health_checks.push_back(policy);
    }
    cluster = std::make_shared<Cluster>(std::move(config), 1);
    host = std::make_shared<Host>(transport::Address::parse_ip("127.0.0.1", 80), "", 1);
    cluster->set_hosts({{host}});
    CHECK_FALSE(host->available());
    checker = std::make_unique<HealthChecker>(loop, random, cluster, [this] { ready = true; });
    checker->start();
    loop.advance_ms(2);
  }
  fake::Wire& wire() { return *connector->wires.back(); }
  void answer(std::string_view bytes) {
    wire().arrive(bytes);
    loop.turn();
  }
  void next() { loop.advance_ms(1001); }

  base::ManualClock clock;
  event::ManualLoop loop{clock};
  base::Random random{1};
  std::shared_ptr<fake::Connector> connector = std::make_shared<fake::Connector>();
  ClusterPtr cluster;
  HostPtr host;
  bool ready = false;
  std::unique_ptr<HealthChecker> checker;
};

HealthCheckPolicy http_check() {
  HealthCheckPolicy policy;
  policy.kind = HealthCheckPolicy::Kind::kHttp;
  policy.host = "svc";
  policy.path = "/health";
  policy.healthy_threshold = 2;
  policy.unhealthy_threshold = 2;
  return policy;
}

TEST_CASE("the first answer decides at once; later ones wait for the threshold") {
  Fixture fixture(http_check());
  REQUIRE(fixture.connector->wires.size() == 1);
  fixture.wire().accept();
  fixture.loop.turn();
  CHECK(fixture.wire().sent.starts_with("GET /health HTTP/1.1\r\n"));
  CHECK(fixture.wire().sent.find("svc\r\n") != std::string::npos);
  CHECK_FALSE(fixture.ready);
  fixture.answer(kOk);
  CHECK(fixture.ready);
  CHECK(fixture.host->available());
  // A status that is not expected counts without a threshold.
  fixture.next();
  fixture.answer(kBad);
  CHECK_FALSE(fixture.host->available());
  fixture.next();
  fixture.answer(kOk);
  CHECK_FALSE(fixture.host->available());
  fixture.next();
  fixture.answer(kOk);
  CHECK(fixture.host->available());
  CHECK(fixture.connector->wires.size() == 1);
  CHECK(fixture.cluster->stats(0).health_check_attempt.value() == 4);
  CHECK(fixture.cluster->stats(0).health_check_healthy.value() == 1);
}

TEST_CASE("of several checks all must pass, and all are awaited") {
  Fixture fixture(std::vector<HealthCheckPolicy>{http_check(), HealthCheckPolicy{}});
  REQUIRE(fixture.connector->wires.size() == 2);
  fake::Wire& http = *fixture.connector->wires[0];
  http.accept();
  fixture.loop.turn();
  http.arrive(kOk);
  fixture.loop.turn();
  CHECK_FALSE(fixture.ready);
  CHECK_FALSE(fixture.host->available());
  fixture.connector->wires[1]->accept();
  fixture.loop.turn();
  CHECK(fixture.ready);
  CHECK(fixture.host->available());
  CHECK(fixture.cluster->stats(0).health_check_healthy.value() == 1);
  // One that fails is enough, whatever the other says.
  fixture.next();
  http.arrive(kBad);
  fixture.loop.turn();
  fixture.connector->wires.back()->accept();
  fixture.loop.turn();
  CHECK_FALSE(fixture.host->available());
  CHECK(fixture.cluster->stats(0).health_check_healthy.value() == 0);
}

TEST_CASE("a time-out counts towards the threshold and takes a new connection") {
  Fixture fixture(http_check());
  fixture.wire().accept();
  fixture.loop.turn();
  fixture.answer(kOk);
  fixture.next();
  fixture.loop.advance_ms(101);
  CHECK(fixture.host->available());
  CHECK_FALSE(fixture.wire().alive);
  fixture.next();
  REQUIRE(fixture.connector->wires.size() == 2);
  fixture.wire().refuse();
  fixture.loop.turn();
  CHECK_FALSE(fixture.host->available());
  CHECK(fixture.cluster->stats(0).health_check_network_failure.value() == 2);
}

TEST_CASE("a kept connection that closed between checks is no failure") {
  Fixture fixture(http_check());
  fixture.wire().accept();
  fixture.loop.turn();
  fixture.answer(kOk);
  fixture.wire().end();
  fixture.loop.turn();
  fixture.next();
  REQUIRE(fixture.connector->wires.size() == 2);
  fixture.wire().accept();
  fixture.loop.turn();
  fixture.answer(kOk);
  CHECK(fixture.cluster->stats(0).health_check_failure.value() == 0);
}

TEST_CASE("TCP: connecting is enough when nothing is sent; else the pieces must come in order") {
  Fixture connects(HealthCheckPolicy{});
  connects.wire().accept();
  connects.loop.turn();
  CHECK(connects.host->available());
  CHECK_FALSE(connects.wire().alive);
  HealthCheckPolicy policy;
  policy.tcp_send = "ping";
  policy.tcp_receive = {"po", "ng"};
  Fixture expects(policy);
  expects.wire().accept();
  expects.loop.turn();
  CHECK(expects.wire().sent == "ping");
  expects.answer("..po.");
  CHECK_FALSE(expects.host->available());
  expects.answer(".ng");
  CHECK(expects.host->available());
}

TEST_CASE("hosts that go are no longer checked, those that come are") {
  Fixture fixture(http_check());
  fixture.wire().accept();
  fixture.loop.turn();
  auto other = std::make_shared<Host>(transport::Address::parse_ip("127.0.0.2", 80), "", 1);
  fixture.cluster->set_hosts({{other}});
  CHECK_FALSE(fixture.connector->wires[0]->alive);
  fixture.loop.advance_ms(2);
  REQUIRE(fixture.connector->wires.size() == 2);
  CHECK(fixture.wire().to == other->address());
  fixture.wire().accept();
  fixture.loop.turn();
  fixture.answer(kOk);
  CHECK(other->available());
}

}  // namespace
}  // namespace weft::cluster
