#include "control-plane/compile/name_table.h"

#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <vector>

#include "control-plane/compile/compile.h"
#include "control-plane/compile/reach.h"
#include "google/protobuf/any.pb.h"
#include "tests/control-plane/compile/mesh_fixture.h"
#include "weft/v1/name_table.pb.h"

namespace weft::control::compile {
namespace {

using snapshot::Type;
using Texts = std::vector<std::string>;

const Audience kShop{.namespace_name = "shop", .is_weft = true, .capture = {.port = 15001}, .resolves_names = true};

constexpr char kServices[] = R"(
{apiVersion: v1, kind: Service, metadata: {name: cart, namespace: shop},
 spec: {clusterIP: 10.1.0.1, clusterIPs: [10.1.0.1, "fd00::1"], ports: [{name: http, port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {ports: [{name: http, port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: kafka, namespace: shop},
 spec: {clusterIP: None, ports: [{name: tcp, port: 9092}, {name: http-admin, port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: udp, namespace: shop},
 spec: {ports: [{name: udp, port: 53, protocol: UDP}]}}
---
{apiVersion: weft.mesh/v1, kind: ExternalService, metadata: {name: pay, namespace: bank},
 spec: {hosts: [pay.example.com, cart.shop.svc.cluster.local], ports: [{name: tls, port: 443}]}}
)";

constexpr char kBrokers[] = R"(
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice,
 metadata: {name: kafka-1, namespace: shop, labels: {kubernetes.io/service-name: kafka}}, addressType: IPv4,
 endpoints: [{addresses: [10.2.0.2]}, {addresses: [10.2.0.1]}, {addresses: [10.2.0.3], conditions: {ready: false}}],
 ports: [{name: tcp, port: 9092}, {name: http-admin, port: 8080}]}
)";

v1::NameTable unpacked(const snapshot::ResourcePointer& resource) {
  google::protobuf::Any any;
  REQUIRE(any.ParseFromString(resource->any));
  v1::NameTable names;
  REQUIRE(any.UnpackTo(&names));
  return names;
}

std::map<std::string, v1::NameTable> tables(const registry::Model& model, const Audience& audience) {
  Cache cache;
  std::map<std::string, v1::NameTable> out;
  const Compiled compiled = compile_all({model, audience}, cache);
  for (const auto& resource : compiled[static_cast<size_t>(Type::kName)]) {
    out[resource->name] = unpacked(resource);
  }
  return out;
}

Texts texts(const google::protobuf::RepeatedPtrField<std::string>& field) { return {field.begin(), field.end()}; }

TEST_CASE("names below a wildcard have the addresses that it gives, and no others") {
  MeshFixture mesh;
  mesh.put(R"(
{apiVersion: weft.mesh/v1, kind: ExternalService, metadata: {name: wild, namespace: shop},
 spec: {hosts: ["*.example.com"], resolution: None, ports: [{name: tls, port: 443}]}}
---
{apiVersion: weft.mesh/v1, kind: ExternalService, metadata: {name: fixed, namespace: shop},
 spec: {hosts: ["*.example.org"], resolution: Static, addresses: [192.0.2.1], endpoints: [{address: 10.0.0.1}],
        ports: [{name: http, port: 80}]}}
---
{apiVersion: weft.mesh/v1, kind: ExternalService, metadata: {name: many, namespace: shop},
 spec: {hosts: ["*.example.net"], resolution: Static, endpoints: [{address: 10.0.0.1}], ports: [{name: http, port: 80}]}}
)");
  const auto names = tables(mesh.model(), kShop);
  REQUIRE(names.size() == 1);
  CHECK(texts(names.at("external/shop/fixed").hosts()) == Texts{"*.example.org"});
  CHECK(texts(names.at("external/shop/fixed").addresses()) == Texts{"192.0.2.1"});
}

TEST_CASE("a service's hosts have the addresses by which calls to it are known") {
  MeshFixture mesh;
  mesh.put(kServices);
  auto names = tables(mesh.model(), kShop);
  CHECK(texts(names["shop/cart"].hosts()) ==
        Texts{"cart", "cart.shop", "cart.shop.svc", "cart.shop.svc.cluster.local"});
  CHECK(texts(names["shop/cart"].addresses()) == Texts{"10.1.0.1", "fd00::1"});
  CHECK_FALSE(names["shop/cart"].external());
  const auto web = mesh.model().services.find({"shop", "web", false});
  REQUIRE(web->assigned.size() == 2);
  CHECK(texts(names["shop/web"].addresses()) == web->assigned);
  CHECK(names["external/bank/pay"].hosts(0) == "pay.example.com");
  CHECK(names["external/bank/pay"].external());
  CHECK(texts(names["external/bank/pay"].addresses()) ==
        mesh.model().services.find({"bank", "pay", true})->virtual_addresses());
}

TEST_CASE("a name alone is for the service's own namespace") {
  MeshFixture mesh;
  mesh.put(kServices);
  Audience other = kShop;
  other.namespace_name = "bank";
  auto names = tables(mesh.model(), other);
  CHECK(texts(names["shop/cart"].hosts()) == Texts{"cart.shop", "cart.shop.svc", "cart.shop.svc.cluster.local"});
}

TEST_CASE("a headless service has its endpoints' addresses, and none without endpoints") {
  MeshFixture mesh;
  mesh.put(kServices);
  CHECK_FALSE(tables(mesh.model(), kShop).contains("shop/kafka"));
  mesh.put(kBrokers);
  auto names = tables(mesh.model(), kShop);
  CHECK(texts(names["shop/kafka"].addresses()) == Texts{"10.2.0.1", "10.2.0.2"});
}

TEST_CASE("what no proxy takes calls for has no name") {
  MeshFixture mesh;
  mesh.put(kServices);
  CHECK_FALSE(tables(mesh.model(), kShop).contains("shop/udp"));
}

TEST_CASE("where nothing is taken by IPv6 there are no virtual addresses of it") {
  MeshFixture mesh;
  mesh.put(kServices);
  Audience without = kShop;
  without.capture.ipv6 = false;
  auto names = tables(mesh.model(), without);
  CHECK(names["shop/web"].addresses_size() == 1);
  // A service's own addresses are what they are.
  CHECK(names["shop/cart"].addresses_size() == 2);
}

TEST_CASE("only those who answer questions are told names, and only of what is in their scope") {
  MeshFixture mesh;
  mesh.put(kServices);
  Audience silent = kShop;
  silent.resolves_names = false;
  CHECK(tables(mesh.model(), silent).empty());
  Audience limited = kShop;
  limited.scope = compile::Hosts{registry::HostPattern{"shop", "web"}};
  auto names = tables(mesh.model(), limited);
  CHECK(names.size() == 1);
  CHECK(names.contains("shop/web"));
}

// The names that a change of the mesh brings.
struct Changing {
  Changing() {
    mesh.put(kServices);
    before = mesh.registry.model();
    compile_all({*before, kShop}, cache);
  }
  std::map<std::string, bool> change(const std::string& text) {
    const registry::ChangeSet changed = mesh.put(text);
    cache.forget(changed);
    std::map<std::string, bool> out;
    const std::set<registry::ServiceName> none;
    const Reach reach_before(*before, kShop);
    const Reach reach_after(mesh.model(), kShop);
    for (const auto& each : compile_changes({reach_before, none}, {reach_after, none}, changed, cache)) {
      if (each.type == Type::kName) out[each.name] = each.resource != nullptr;
    }
    before = mesh.registry.model();
    return out;
  }
  MeshFixture mesh;
  Cache cache;
  registry::ModelPointer before;
};

TEST_CASE("a change of a service changes its own names alone") {
  Changing f;
  using Changed = std::map<std::string, bool>;
  CHECK(f.change(service_text("new", "http", 80)) == Changed{{"shop/new", true}});
  CHECK(f.change(kBrokers) == Changed{{"shop/kafka", true}});
  // Without TCP ports it has none any more.
  CHECK(f.change("{apiVersion: v1, kind: Service, metadata: {name: new, namespace: shop},"
                 " spec: {ports: [{name: udp, port: 53, protocol: UDP}]}}") == Changed{{"shop/new", false}});
}

}  // namespace
}  // namespace weft::control::compile
