#include <catch2/catch.hpp>

#include "proxy/cluster/cluster.h"

namespace weft::cluster {
namespace {

struct Fixture {
  explicit Fixture(OutlierPolicy policy, int count = 4) {
    ClusterConfig config;
    config.name = config.stat_name = "c";
    config.outlier = policy;
    cluster = std::make_unique<Cluster>(std::move(config), 1);
    for (int i = 0; i < count; ++i) {
      hosts.push_back(
          std::make_shared<Host>(transport::Address::parse_ip("127.0.0.1", static_cast<uint16_t>(i + 1)), "", 1));
    }
    cluster->set_hosts({hosts});
  }
  void report(int host, uint16_t status, int times = 1) {
    for (int i = 0; i < times; ++i) {
      cluster->report(*hosts[host], status, status == 0 ? http::Cause::kConnectRefused : http::Cause::kNone, now_ms, 0);
    }
  }
  void tick(int64_t ms) { cluster->tick(now_ms += ms); }
  int64_t now_ms = 1000;
  std::unique_ptr<Cluster> cluster;
  std::vector<HostPtr> hosts;
};

TEST_CASE("failures in a row eject a host; a success in between starts the count anew") {
  Fixture fixture({});
  fixture.report(0, 500, 4);
  fixture.report(0, 200);
  fixture.report(0, 500, 4);
  CHECK(fixture.hosts[0]->available());
  uint64_t before = fixture.cluster->hosts_version();
  fixture.report(0, 500);
  CHECK_FALSE(fixture.hosts[0]->available());
  CHECK(fixture.cluster->hosts_version() > before);
  CHECK(fixture.cluster->stats(0).outlier_detection_ejections_active.value() == 1);
}

TEST_CASE("an ejected host comes back after its time, which grows with each ejection") {
  Fixture fixture({});
  fixture.report(0, 503, 5);
  fixture.tick(29'000);
  CHECK_FALSE(fixture.hosts[0]->available());
  fixture.tick(10'000);
  CHECK(fixture.hosts[0]->available());
  CHECK(fixture.cluster->stats(0).outlier_detection_ejections_active.value() == 0);
  fixture.report(0, 503, 5);
  fixture.tick(40'000);
  CHECK_FALSE(fixture.hosts[0]->available());
  fixture.tick(30'000);
  CHECK(fixture.hosts[0]->available());
}

TEST_CASE("no more than the percentage is ejected, but always one may be") {
  Fixture fixture({});
  fixture.report(0, 500, 5);
  fixture.report(1, 500, 5);
  CHECK_FALSE(fixture.hosts[0]->available());
  CHECK(fixture.hosts[1]->available());
  CHECK(fixture.cluster->stats(0).outlier_detection_ejections_overflow.value() == 1);
}

TEST_CASE("a host that left while ejected makes room for another") {
  Fixture fixture({});
  fixture.report(0, 500, 5);
  fixture.cluster->set_hosts({{fixture.hosts[1], fixture.hosts[2]}});
  fixture.tick(10'000);
  fixture.report(1, 500, 5);
  CHECK_FALSE(fixture.hosts[1]->available());
}

TEST_CASE("an enforcing percentage ejects that share") {
  OutlierPolicy policy;
  policy.enforcing_consecutive_5xx_percent = 25;
  policy.max_ejection_percent = 100;
  Fixture fixture(policy, 100);
  int ejected = 0;
  for (int i = 0; i < 100; ++i) {
    fixture.report(i, 500, 5);
    ejected += fixture.hosts[i]->available() ? 0 : 1;
  }
  CHECK(ejected == 25);
}

TEST_CASE("failures to connect count apart when asked for") {
  OutlierPolicy policy;
  policy.split_external_local_origin_errors = true;
  policy.consecutive_local_origin_failure = 2;
  Fixture fixture(policy);
  fixture.report(0, 0);
  fixture.report(0, 500, 4);
  CHECK(fixture.hosts[0]->available());
  fixture.report(0, 0, 2);
  CHECK_FALSE(fixture.hosts[0]->available());
}

}  // namespace
}  // namespace weft::cluster
