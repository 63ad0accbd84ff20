#include "tests/proxy/config/dynamic/fixture.h"

namespace weft::config {
namespace {

TEST_CASE("clusters come, change and go; those that did not change are not touched") {
  Fixture f;
  CHECK(f.all_clusters({f.cluster("a"), f.cluster("b")}).empty());
  CHECK(f.assigned == 2);
  cluster::ClusterPtr a = f.running["a"], b = f.running["b"];
  f.all_clusters({f.cluster("a"), f.cluster("b", ", connect_timeout: 3s")});
  CHECK(f.assigned == 3);
  CHECK(f.running["a"] == a);
  CHECK(f.running["b"] != b);
  // Its metrics go on.
  CHECK(f.running["b"]->stats_family() == b->stats_family());
  f.all_clusters({f.cluster("a")});
  CHECK(f.running.size() == 1);
  CHECK_FALSE(f.clusters.contains("b"));
}

TEST_CASE("a bad cluster is refused with the field's path, the good ones beside it are taken, and the old one stays") {
  Fixture f;
  f.all_clusters({f.cluster("a")});
  cluster::ClusterPtr before = f.running["a"];
  auto refusals = f.all_clusters({f.cluster("a", ", connect_timeout: -1s"), f.cluster("b"), f.cluster("b"),
                                  f.cluster("new", ", upstream_config: { name: x }")});
  REQUIRE(refusals.size() == 3);
  CHECK(refusals[0].name == "a");
  CHECK(refusals[0].reason == "connect_timeout: expected more than zero");
  CHECK(refusals[1].reason == "stands twice in the update");
  CHECK(refusals[2].reason.find("upstream_config") != std::string::npos);
  CHECK(f.running["a"] == before);
  CHECK(f.running.contains("b"));
  CHECK(f.clusters.ledger().refused().contains("a"));
  CHECK(f.clusters.ledger().refused().contains("new"));
  CHECK(f.all_clusters({f.cluster("a")}).empty());
  CHECK(f.clusters.ledger().refused().empty());
}

TEST_CASE("a cluster of the bootstrap is not changed by a source") {
  Fixture f;
  cluster::ClusterConfig config;
  config.name = config.stat_name = "fixed";
  f.clusters.add_static(std::make_shared<cluster::Cluster>(std::move(config), 1));
  f.clusters.start([] {});
  auto refusals = f.all_clusters({f.cluster("fixed")});
  REQUIRE(refusals.size() == 1);
  CHECK(refusals[0].reason == "the bootstrap has a cluster of this name");
  f.all_clusters({});
  CHECK(f.running.contains("fixed"));
}

TEST_CASE("a cluster waits for its endpoints, and the one before serves until then") {
  Fixture f;
  f.all_clusters({f.cluster("a")});
  cluster::ClusterPtr before = f.running["a"];
  f.all_clusters({f.discovered("a")});
  f.loop.advance_ms(1);
  CHECK(f.source->names == std::vector<std::string>{"a"});
  CHECK(f.running["a"] == before);
  CHECK(f.clusters.entries().at("a").warming != nullptr);
  CHECK(f.some_endpoints({f.endpoints("a", {1, 2})}).empty());
  CHECK(f.running["a"] != before);
  CHECK(f.running["a"]->hosts()->size() == 2);

  // Taken back while it warmed: what runs goes on.
  cluster::ClusterPtr now = f.running["a"];
  f.all_clusters({f.discovered("a", "", "other")});
  CHECK(f.clusters.entries().at("a").warming != nullptr);
  f.all_clusters({f.discovered("a")});
  CHECK(f.clusters.entries().at("a").warming == nullptr);
  CHECK(f.running["a"] == now);
}

TEST_CASE("a cluster whose endpoints do not come in time goes on without") {
  Fixture f;
  f.all_clusters({f.discovered("a")});
  CHECK(f.running.empty());
  f.clusters.on_endpoints_timeout(f.endpoint_source, {"a"});
  CHECK(f.running["a"]->hosts()->size() == 0);
  f.some_endpoints({f.endpoints("a", {1})});
  CHECK(f.running["a"]->hosts()->size() == 1);
}

TEST_CASE("a new version of a cluster does not wait for endpoints that did not come for the one before") {
  Fixture f;
  f.all_clusters({f.discovered("a")});
  f.clusters.on_endpoints_timeout(f.endpoint_source, {"a"});
  cluster::ClusterPtr before = f.running["a"];
  f.all_clusters({f.discovered("a", ", connect_timeout: 3s")});
  CHECK(f.running["a"] != before);
  CHECK(f.clusters.entries().at("a").warming == nullptr);
  // They may still come.
  f.some_endpoints({f.endpoints("a", {1})});
  CHECK(f.running["a"]->hosts()->size() == 1);
}

TEST_CASE("endpoints that stay are the same objects; bad ones leave those before in force") {
  Fixture f;
  f.all_clusters({f.discovered("a")});
  f.some_endpoints({f.endpoints("a", {1, 2})});
  cluster::HostPtr second = f.running["a"]->hosts()->priorities[0][1];
  f.some_endpoints({f.endpoints("a", {2, 3})});
  CHECK(f.running["a"]->hosts()->priorities[0][0] == second);
  auto refusals = f.some_endpoints({f.endpoints("a", {70000})});
  REQUIRE(refusals.size() == 1);
  CHECK(refusals[0].reason.find("endpoints[0].lb_endpoints[0].endpoint.address.socket_address.port_value") == 0);
  CHECK(f.running["a"]->hosts()->size() == 2);
}

TEST_CASE("a locality may have a weight, which means nothing where localities are not weighed") {
  Fixture f;
  f.all_clusters({f.discovered("a")});
  auto weighed = f.resource<envoy::config::endpoint::v3::ClusterLoadAssignment>(
      "a",
      "{ cluster_name: a, endpoints: [ { load_balancing_weight: 7, lb_endpoints: [ { endpoint: { address: { "
      "socket_address: { address: 10.0.0.1, port_value: 1 } } } } ] } ] }");
  CHECK(f.some_endpoints({weighed}).empty());
  CHECK(f.running["a"]->hosts()->size() == 1);
}

TEST_CASE("a changed cluster has at once the endpoints that are known of its service") {
  Fixture f;
  f.all_clusters({f.discovered("a")});
  f.some_endpoints({f.endpoints("a", {1})});
  cluster::ClusterPtr before = f.running["a"];
  f.all_clusters({f.discovered("a", ", connect_timeout: 3s")});
  CHECK(f.running["a"] != before);
  CHECK(f.running["a"]->hosts()->size() == 1);
}

TEST_CASE("with 10,000 clusters an endpoint's change touches one of them") {
  Fixture f;
  std::vector<xds::Resource> clusters, endpoints;
  for (int i = 0; i < 10'000; ++i) {
    std::string name = "c" + std::to_string(i);
    clusters.push_back(f.discovered(name));
    endpoints.push_back(f.endpoints(name, {1}));
  }
  f.all_clusters(clusters);
  f.some_endpoints(endpoints);
  REQUIRE(f.assigned == 10'000);
  std::map<std::string, uint64_t> versions;
  for (const auto& [name, cluster] : f.running) versions[name] = cluster->hosts_version();
  // As a watched file tells it: all of them again, one changed.
  endpoints[4'711] = f.endpoints("c4711", {1, 2});
  f.some_endpoints(endpoints);
  f.all_clusters(clusters);
  CHECK(f.assigned == 10'000);
  CHECK(f.dropped == 1);
  int touched = 0;
  for (const auto& [name, cluster] : f.running) touched += cluster->hosts_version() != versions[name];
  CHECK(touched == 1);
  CHECK(f.running["c4711"]->hosts()->size() == 2);
}

TEST_CASE("the start waits for clusters that are awaited, and for their endpoints") {
  Fixture f;
  bool ready = false;
  f.clusters.await("clusters");
  f.clusters.start([&] { ready = true; });
  CHECK_FALSE(ready);
  f.all_clusters({f.cluster("a"), f.discovered("b")});
  CHECK_FALSE(ready);
  f.some_endpoints({f.endpoints("b", {1})});
  CHECK(ready);
}

}  // namespace
}  // namespace weft::config
