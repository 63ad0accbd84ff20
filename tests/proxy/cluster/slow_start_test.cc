#include "proxy/cluster/slow_start.h"

#include <catch2/catch.hpp>
#include <map>

#include "proxy/cluster/balancer.h"

namespace weft::cluster {
namespace {

HostPtr make_host(uint16_t port, uint32_t weight = 1) {
  return std::make_shared<Host>(transport::Address::parse_ip("127.0.0.1", port), "", weight);
}

struct Fixture {
  explicit Fixture(BalancerKind kind, SlowStartPolicy policy = {.window_ms = 10'000}) {
    ClusterConfig config;
    config.name = config.stat_name = "c";
    config.balancer = kind;
    config.slow_start = policy;
    cluster = std::make_unique<Cluster>(std::move(config), 1);
    balancer = std::make_unique<Balancer>(*cluster, random);
  }
  // How many of so many requests the host gets.
  int share(const HostPtr& host, int of = 1000) {
    int count = 0;
    for (int i = 0; i < of; ++i) count += *balancer->choose(nullptr, 0, 0) == host ? 1 : 0;
    return count;
  }
  base::Random random{7};
  std::unique_ptr<Cluster> cluster;
  std::unique_ptr<Balancer> balancer;
};

TEST_CASE("a new host's share grows with time until it has its whole weight") {
  Fixture f(BalancerKind::kRoundRobin);
  const HostPtr old_host = make_host(1);
  const HostPtr new_host = make_host(2);
  f.cluster->set_hosts({{old_host}});
  f.cluster->tick(0);
  f.cluster->tick(20'000);
  f.cluster->set_hosts({{old_host, new_host}});
  // Before any time has passed it has the least share: 10 of 110.
  CHECK(f.share(new_host, 1100) == 100);
  f.cluster->tick(20'000);
  CHECK(f.share(new_host, 1100) == 100);
  f.cluster->tick(25'000);
  CHECK(f.share(new_host, 1500) == 500);
  f.cluster->tick(30'000);
  CHECK(f.share(new_host) == 500);
  CHECK(new_host->weight() == 1);
}

TEST_CASE("hosts that begin together share as they would without it") {
  Fixture f(BalancerKind::kRoundRobin);
  const HostPtr light = make_host(1, 1);
  const HostPtr heavy = make_host(2, 3);
  f.cluster->set_hosts({{light, heavy}});
  f.cluster->tick(0);
  CHECK(f.share(heavy) == 750);
  f.cluster->tick(5'000);
  CHECK(f.share(heavy) == 750);
}

TEST_CASE("a host that becomes healthy again begins anew") {
  Fixture f(BalancerKind::kRoundRobin);
  const HostPtr one = make_host(1);
  const HostPtr two = make_host(2);
  f.cluster->set_hosts({{one, two}});
  f.cluster->tick(0);
  f.cluster->tick(10'000);
  CHECK(f.share(two) == 500);
  two->set_flag(Host::kFailedActiveCheck, true);
  f.cluster->note_health_change();
  f.cluster->tick(11'000);
  two->set_flag(Host::kFailedActiveCheck, false);
  f.cluster->note_health_change();
  f.cluster->tick(12'000);
  CHECK(f.share(two, 1100) == 100);
}

TEST_CASE("the least loaded is weighed by its ramp") {
  Fixture f(BalancerKind::kLeastRequest);
  const HostPtr old_host = make_host(1);
  const HostPtr new_host = make_host(2);
  f.cluster->set_hosts({{old_host}});
  f.cluster->tick(0);
  f.cluster->tick(10'000);
  f.cluster->set_hosts({{old_host, new_host}});
  f.cluster->tick(10'000);
  // Only when both draws hit it: one in four.
  const int share = f.share(new_host);
  CHECK(share > 180);
  CHECK(share < 320);
  old_host->active_requests = 20;
  CHECK(f.share(new_host) > 650);
}

TEST_CASE("the curve bends with the aggression, and never falls below the least share") {
  const auto percent_at = [](SlowStartPolicy policy, int64_t elapsed_ms) {
    SlowStart slow_start(policy);
    HostSet hosts;
    const HostPtr host = make_host(1);
    hosts.priorities = {{host}};
    slow_start.sweep(hosts, 1'000);
    slow_start.sweep(hosts, 1'000 + elapsed_ms);
    return host->ramped_weight();
  };
  CHECK(percent_at({.window_ms = 10'000}, 2'500) == 25);
  CHECK(percent_at({.window_ms = 10'000, .aggression = 2}, 2'500) == 50);
  CHECK(percent_at({.window_ms = 10'000, .min_weight_percent = 40}, 2'500) == 40);
  CHECK(percent_at({.window_ms = 10'000, .min_weight_percent = 0}, 1) == 1);
  CHECK(percent_at({.window_ms = 10'000}, 10'000) == 100);
}

}  // namespace
}  // namespace weft::cluster
