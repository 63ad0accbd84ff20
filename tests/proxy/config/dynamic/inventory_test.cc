#include "proxy/config/dynamic/inventory.h"

#include "tests/proxy/config/dynamic/fixture.h"

namespace weft::config {
namespace {

// Takes note of what changed, and asks when the test does.
struct Watched : Fixture, ResourceWatcher {
  Watched() { clusters.watch(this); }
  ~Watched() { clusters.watch(nullptr); }
  void on_resource_changed(const ResourceKey& key) override { noted.insert(key.name); }
  std::set<std::string> take_noted() { return std::exchange(noted, {}); }
  ResourceState cluster_state(const std::string& name) { return clusters.state({xds::Type::kCluster, "", name}); }
  ResourceState endpoints_state(const std::string& name) {
    return clusters.state({xds::Type::kEndpoints, endpoint_source, name});
  }
  static xds::Resource of_version(xds::Resource resource, const std::string& version) {
    resource.version = version;
    return resource;
  }
  std::set<std::string> visited() {
    std::set<std::string> names;
    clusters.visit([&](const ResourceKey& key) {
      names.insert((key.type == xds::Type::kEndpoints ? "endpoints " : "") + key.name);
    });
    return names;
  }

  std::set<std::string> noted;
};

}  // namespace

TEST_CASE("a cluster warms until its endpoints are known, and both are then in force") {
  Watched f;
  REQUIRE(f.all_clusters({Watched::of_version(Watched::discovered("a", "", "eds"), "1")}).empty());
  f.loop.turn();
  CHECK(f.take_noted().contains("a"));
  CHECK(f.cluster_state("a").version.empty());
  CHECK(f.cluster_state("a").warming_version == "1");
  REQUIRE(f.some_endpoints({Watched::of_version(Watched::endpoints("eds", {80}), "7")}).empty());
  CHECK(f.take_noted() == std::set<std::string>{"a", "eds"});
  CHECK(f.cluster_state("a").version == "1");
  CHECK(f.cluster_state("a").warming_version.empty());
  CHECK(f.endpoints_state("eds").version == "7");
  CHECK(f.visited() == std::set<std::string>{"a", "endpoints eds"});
}

TEST_CASE("what is told again and is the same is no change") {
  Watched f;
  REQUIRE(f.all_clusters({Watched::cluster("a"), Watched::cluster("b")}).empty());
  f.take_noted();
  REQUIRE(f.all_clusters({Watched::cluster("a"), Watched::cluster("b", ", connect_timeout: 3s")}).empty());
  CHECK(f.take_noted() == std::set<std::string>{"b"});
}

TEST_CASE("a refusal is told with its version beside what runs, and is gone when one is taken") {
  Watched f;
  REQUIRE(f.all_clusters({Watched::of_version(Watched::cluster("a"), "1")}).empty());
  REQUIRE(f.all_clusters({Watched::of_version(Watched::cluster("a", ", connect_timeout: 0s"), "2")}).size() == 1);
  CHECK(f.take_noted().contains("a"));
  CHECK(f.cluster_state("a").version == "1");
  REQUIRE(f.cluster_state("a").refused.has_value());
  CHECK(f.cluster_state("a").refused->version == "2");
  CHECK(f.cluster_state("a").refused->reason.find("connect_timeout") != std::string::npos);
  REQUIRE(f.all_clusters({Watched::of_version(Watched::cluster("a"), "1")}).empty());
  CHECK(f.take_noted().contains("a"));
  CHECK_FALSE(f.cluster_state("a").refused.has_value());
}

TEST_CASE("endpoints that are refused leave in force what was") {
  Watched f;
  REQUIRE(f.all_clusters({Watched::discovered("a", "", "eds")}).empty());
  f.loop.turn();
  REQUIRE(f.some_endpoints({Watched::of_version(Watched::endpoints("eds", {80}), "1")}).empty());
  f.take_noted();
  REQUIRE(f.some_endpoints({Watched::of_version(Watched::endpoints("eds", {70000}), "2")}).size() == 1);
  CHECK(f.take_noted() == std::set<std::string>{"eds"});
  CHECK(f.endpoints_state("eds").version == "1");
  CHECK(f.endpoints_state("eds").refused->version == "2");
  REQUIRE(f.some_endpoints({Watched::of_version(Watched::endpoints("eds", {80}), "1")}).empty());
  CHECK(f.take_noted() == std::set<std::string>{"eds"});
  CHECK_FALSE(f.endpoints_state("eds").refused.has_value());
}

TEST_CASE("what goes is told as gone, with its endpoints") {
  Watched f;
  REQUIRE(f.all_clusters({Watched::discovered("a", "", "eds")}).empty());
  f.loop.turn();
  REQUIRE(f.some_endpoints({Watched::endpoints("eds", {80})}).empty());
  f.take_noted();
  REQUIRE(f.all_clusters({}).empty());
  CHECK(f.take_noted() == std::set<std::string>{"a", "eds"});
  CHECK(f.cluster_state("a").version.empty());
  CHECK(f.endpoints_state("eds").version.empty());
  CHECK(f.visited().empty());
}

}  // namespace weft::config
