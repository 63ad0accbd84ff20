#pragma once

#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "api/text/parse.h"
#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/config/endpoint/v3/endpoint.pb.h"
#include "proxy/config/dynamic/clusters.h"

// Clusters with a source that a test speaks for, and workers that only keep what they are told.

namespace weft::config {

struct FakeSource final : xds::Source {
  void subscribe(xds::Type, std::vector<std::string> wanted) override { names = std::move(wanted); }
  bool connected() const override { return true; }
  std::vector<std::string> names;
};

struct Fixture : Intake, ClusterPublisher {
  std::vector<xds::Refusal> on_update(const std::string& source, xds::Type type, const xds::Update& update) override {
    return type == xds::Type::kCluster ? clusters.on_clusters(source, update) : clusters.on_endpoints(source, update);
  }
  void on_fetch_timeout(const std::string&, xds::Type, const std::vector<std::string>&) override {}
  void assign(const cluster::ClusterSlotPtr& slot, cluster::ClusterPtr cluster) override {
    ++assigned;
    if (cluster == nullptr) {
      running.erase(slot->name());
    } else {
      running[slot->name()] = cluster;
    }
  }
  void drop_lost_hosts(const cluster::ClusterSlotPtr&) override { ++dropped; }

  template <typename M>
  static xds::Resource resource(std::string name, const std::string& yaml) {
    M message;
    absl::Status parsed = text::parse(yaml, "test.yaml", &message);
    INFO(parsed.message());
    REQUIRE(parsed.ok());
    xds::Resource result{std::move(name), "", {}};
    result.body.PackFrom(message);
    return result;
  }
  // `more`: further fields, each after a comma.
  static xds::Resource cluster(const std::string& name, const std::string& more = "") {
    return resource<envoy::config::cluster::v3::Cluster>(name, "{ name: " + name + ", type: STATIC" + more + " }");
  }
  static xds::Resource discovered(const std::string& name, const std::string& more = "", std::string service = "") {
    return resource<envoy::config::cluster::v3::Cluster>(
        name, "{ name: " + name + ", type: EDS, eds_cluster_config: { service_name: '" + service +
                  "', eds_config: { path: /endpoints } }" + more + " }");
  }
  static xds::Resource endpoints(const std::string& name, const std::vector<int>& ports) {
    std::string yaml = "{ cluster_name: " + name + ", endpoints: [ { lb_endpoints: [ ";
    for (int port : ports) {
      yaml += "{ endpoint: { address: { socket_address: { address: 10.0.0.1, port_value: " + std::to_string(port) +
              " } } } }, ";
    }
    return resource<envoy::config::endpoint::v3::ClusterLoadAssignment>(name, yaml + "] } ] }");
  }

  std::vector<xds::Refusal> all_clusters(std::vector<xds::Resource> all) {
    return clusters.on_clusters("clusters", {"", std::move(all), {}, true});
  }
  std::vector<xds::Refusal> some_endpoints(std::vector<xds::Resource> some) {
    return clusters.on_endpoints(endpoint_source, {"", std::move(some), {}, false});
  }

  base::ManualClock clock;
  event::ManualLoop loop{clock};
  base::Random random{1};
  SharedParts parts;
  std::map<std::string, cluster::ClusterPtr> running;
  int assigned = 0, dropped = 0;
  FakeSource* source = nullptr;
  std::string endpoint_source;
  Sources sources{loop, *this, [this](const std::string& name, xds::Type, xds::Consumer&) {
                    auto made = std::make_unique<FakeSource>();
                    source = made.get();
                    endpoint_source = name;
                    return made;
                  }};
  Secrets secrets{parts, loop, sources, {}};
  Clusters clusters{parts, {loop, random, nullptr}, sources, secrets, *this};
};

}  // namespace weft::config
