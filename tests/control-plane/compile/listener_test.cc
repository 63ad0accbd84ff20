#include "control-plane/compile/listener.h"

#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <vector>

#include "envoy/config/route/v3/route.pb.h"
#include "tests/control-plane/compile/mesh_fixture.h"

namespace weft::control::compile {
namespace {

using snapshot::Type;

// The virtual hosts that have each domain of the outbound route.
std::map<std::string, std::vector<std::string>> owners_of(const registry::Model& model) {
  const Audience audience{.namespace_name = "shop", .outbound_port = 15001};
  Cache cache;
  std::map<std::string, std::vector<std::string>> owners;
  for (const auto& resource : compile_outbound_listener({model, audience}, cache)) {
    if (resource->type != Type::kRoute) continue;
    google::protobuf::Any any;
    envoy::config::route::v3::RouteConfiguration routes;
    REQUIRE((any.ParseFromString(resource->any) && any.UnpackTo(&routes)));
    for (const auto& host : routes.virtual_hosts()) {
      CHECK(host.routes_size() == 1);
      for (const std::string& domain : host.domains()) owners[domain].push_back(host.name());
    }
  }
  return owners;
}

const std::vector<std::string> kNone;
std::vector<std::string> one(const std::string& name) { return {name}; }

std::string with_address(const std::string& name, const std::string& address) {
  return "---\n{apiVersion: v1, kind: Service, metadata: {name: " + name +
         ", namespace: shop}, spec: {clusterIP: " + address + ", ports: [{name: http, port: 80}]}}\n";
}

TEST_CASE("a service has its names and addresses, with its port and without") {
  MeshFixture mesh;
  mesh.put(with_address("cart", "10.0.0.1") + service_text("cart", "http", 8080, "other"));
  auto owners = owners_of(mesh.model());
  for (const char* domain : {"cart", "cart:80", "cart.shop", "cart.shop.svc.cluster.local:80", "10.0.0.1"}) {
    CHECK(owners[domain] == one("shop/cart:80"));
  }
  CHECK(owners["cart.other"] == one("other/cart:8080"));
  CHECK(owners["cart.other:8080"] == one("other/cart:8080"));
}

TEST_CASE("of two services with one address the first has it, and each its own names") {
  MeshFixture mesh;
  mesh.put(with_address("cart", "10.0.0.1") + with_address("pay", "10.0.0.1"));
  auto owners = owners_of(mesh.model());
  for (const auto& [domain, hosts] : owners) {
    INFO(domain);
    CHECK(hosts.size() == 1);
  }
  CHECK(owners["cart"] == one("shop/cart:80"));
  CHECK(owners["pay.shop:80"] == one("shop/pay:80"));
  CHECK(owners["10.0.0.1"] == owners["10.0.0.1:80"]);
}

TEST_CASE("an external service with the host of another leaves each domain to one of them") {
  MeshFixture mesh;
  mesh.put(
      service_text("cart", "http", 80) +
      "---\n{apiVersion: weft.mesh/v1, kind: ExternalService, metadata: {name: old, namespace: shop}, spec: {hosts: "
      "[cart.shop, old.example.com], ports: [{name: http, port: 80}]}}");
  auto owners = owners_of(mesh.model());
  for (const auto& [domain, hosts] : owners) {
    INFO(domain);
    CHECK(hosts.size() == 1);
  }
  CHECK(owners["cart"] == one("shop/cart:80"));
  CHECK(owners["old.example.com"] == one("external/shop/old:80"));
  CHECK(owners["cart.shop"] == owners["cart.shop:80"]);
  CHECK(owners["cart.shop"] != kNone);
}

}  // namespace
}  // namespace weft::control::compile
