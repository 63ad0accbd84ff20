#include <catch2/catch.hpp>

#include "tests/proxy/pool/fixture.h"

// Clusters and hosts that the configuration or discovery takes away while the worker runs.

namespace weft::pool {
namespace {

TEST_CASE("removing a cluster closes idle connections now and busy ones after their exchange") {
  Fixture fixture;
  fixture.request();
  Request& busy = fixture.request();
  fixture.accept(0);
  fixture.accept(1);
  fixture.arrive(0, kOk);
  fixture.upstreams->assign(*fixture.slot, nullptr);
  CHECK_FALSE(fixture.wire(0).alive);
  CHECK(fixture.wire(1).alive);
  fixture.arrive(1, kOk);
  CHECK(busy.answered());
  CHECK_FALSE(fixture.wire(1).alive);
  CHECK(fixture.upstreams->open_connections() == 0);
}

TEST_CASE("a request that waits while its cluster is removed is served, and its connection is not kept") {
  Fixture fixture;
  Request& waiting = fixture.request();
  fixture.upstreams->assign(*fixture.slot, nullptr);
  fixture.loop.turn();
  CHECK(waiting.waits());
  fixture.accept(0);
  fixture.arrive(0, kOk);
  CHECK(waiting.answered());
  CHECK_FALSE(fixture.wire(0).alive);
}

TEST_CASE("a connection that nobody waits for any more is given up when its cluster is removed") {
  Fixture fixture;
  fixture.request();
  fixture.requests.clear();
  REQUIRE(fixture.wire(0).alive);
  fixture.upstreams->assign(*fixture.slot, nullptr);
  CHECK_FALSE(fixture.wire(0).alive);
  CHECK(fixture.cluster->breakers(cluster::Priority::kDefault).connections() == 0);
}

TEST_CASE("a request that began before may still come to a removed cluster; nothing stays open after it") {
  Fixture fixture;
  fixture.request();
  fixture.accept(0);
  fixture.arrive(0, kOk);
  fixture.pools->hold();
  fixture.upstreams->assign(*fixture.slot, nullptr);
  fixture.loop.turn();
  Request& late = fixture.request();
  REQUIRE(fixture.wires() == 2);
  fixture.accept(1);
  fixture.arrive(1, kOk);
  CHECK(late.answered());
  CHECK_FALSE(fixture.wire(1).alive);
  std::weak_ptr<cluster::Cluster> cluster = std::exchange(fixture.cluster, nullptr);
  fixture.loop.turn();
  CHECK_FALSE(cluster.expired());
  fixture.pools->release();
  fixture.loop.turn();
  CHECK(cluster.expired());
}

TEST_CASE("a worker may end while a removed cluster has an exchange open") {
  Fixture fixture;
  Request& busy = fixture.request();
  fixture.accept(0);
  fixture.upstreams->assign(*fixture.slot, nullptr);
  fixture.upstreams.reset();
  CHECK(busy.answer.closed);
  CHECK_FALSE(fixture.wire(0).alive);
}

TEST_CASE("the pools hold their cluster while they have connections, and let a removed one go") {
  Fixture fixture;
  fixture.request();
  fixture.accept(0);
  std::weak_ptr<cluster::Cluster> cluster = fixture.cluster;
  fixture.upstreams->assign(*fixture.slot, nullptr);
  fixture.cluster.reset();
  CHECK_FALSE(cluster.expired());
  fixture.arrive(0, kOk);
  fixture.loop.turn();
  CHECK(cluster.expired());
}

TEST_CASE("connections to a host that left its cluster end; those to the others stay") {
  Fixture fixture;
  fixture.request(0);
  fixture.request(1);
  Request& busy = fixture.request(0);
  for (size_t i = 0; i < 3; ++i) fixture.accept(i);
  fixture.arrive(0, kOk);
  fixture.arrive(1, kOk);
  fixture.cluster->set_hosts({{fixture.hosts[1]}});
  fixture.upstreams->drop_lost_hosts(*fixture.slot);
  CHECK_FALSE(fixture.wire(0).alive);
  CHECK(fixture.wire(1).alive);
  CHECK(fixture.wire(2).alive);
  fixture.arrive(2, kOk);
  CHECK(busy.answered());
  CHECK_FALSE(fixture.wire(2).alive);
  CHECK(fixture.request(1).reused);
}

TEST_CASE("without being told, the pools see that a host left when the next one is chosen") {
  Fixture fixture;
  fixture.request(0);
  fixture.accept(0);
  fixture.arrive(0, kOk);
  fixture.cluster->set_hosts({{fixture.hosts[1]}});
  CHECK(fixture.upstreams->find(*fixture.slot)->choose_host({}) == fixture.hosts[1]);
  fixture.loop.turn();
  CHECK_FALSE(fixture.wire(0).alive);
}

TEST_CASE("a host that comes back before its last exchange ended keeps its connection") {
  Fixture fixture;
  fixture.request(0);
  fixture.cluster->set_hosts({{fixture.hosts[1]}});
  fixture.upstreams->drop_lost_hosts(*fixture.slot);
  fixture.loop.turn();
  fixture.cluster->set_hosts({fixture.hosts});
  fixture.upstreams->drop_lost_hosts(*fixture.slot);
  fixture.accept(0);
  fixture.arrive(0, kOk);
  CHECK(fixture.wire(0).alive);
  CHECK(fixture.request(0).reused);
}

}  // namespace
}  // namespace weft::pool
