#include "control-plane/registry/peer_authentications.h"

#include <catch2/catch.hpp>

#include "tests/control-plane/registry/fed.h"

namespace weft::control::registry {
namespace {

using source::Kind;

constexpr char kServices[] = R"(
{apiVersion: v1, kind: Service, metadata: {name: cart, namespace: shop}, spec: {ports: [{port: 80, targetPort: 8080}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: till, namespace: pay}, spec: {ports: [{port: 80}]}}
)";

std::string authentication(const std::string& space, const std::string& name, const std::string& spec) {
  return "{apiVersion: weft.mesh/v1, kind: PeerAuthentication, metadata: {name: " + name + ", namespace: " + space +
         "}, spec: {" + spec + "}}\n";
}

std::string mode(const Model& model, const std::string& space, const std::string& service, uint16_t port = 8080) {
  switch (model.mtls_mode(space, service, port)) {
    case MtlsMode::kStrict:
      return "STRICT";
    case MtlsMode::kDisable:
      return "DISABLE";
    case MtlsMode::kPermissive:
      break;
  }
  return "PERMISSIVE";
}

TEST_CASE("the most specific that says a mode holds: a port's, its services', its namespace's, the mesh's") {
  Fed fed;
  fed.put(kServices);
  CHECK(mode(fed.model(), "shop", "cart") == "PERMISSIVE");
  CHECK(fed.put(authentication("weft-system", "mesh", "mtls: {mode: STRICT}")).mtls ==
        std::set<std::string>{"weft-system"});
  CHECK(mode(fed.model(), "shop", "cart") == "STRICT");
  fed.put(authentication("shop", "all", "mtls: {mode: DISABLE}"));
  CHECK(mode(fed.model(), "shop", "cart") == "DISABLE");
  CHECK(mode(fed.model(), "pay", "till") == "STRICT");
  fed.put(authentication("shop", "cart",
                         "services: [cart], mtls: {mode: UNSET}, portLevelMtls: {9090: {mode: STRICT}, 9091: {}}"));
  CHECK(mode(fed.model(), "shop", "cart") == "DISABLE");
  CHECK(mode(fed.model(), "shop", "cart", 9090) == "STRICT");
  CHECK(mode(fed.model(), "shop", "cart", 9091) == "DISABLE");
  CHECK(mode(fed.model(), "shop", "other", 9090) == "DISABLE");
  CHECK(fed.erase({Kind::kPeerAuthentication, "shop", "all"}).mtls == std::set<std::string>{"shop"});
  CHECK(mode(fed.model(), "shop", "cart") == "STRICT");
}

TEST_CASE("of two for the same the older holds, and the other says so; so does one for services that are not there") {
  Fed fed;
  fed.put(kServices);
  fed.put(authentication("shop", "z", "services: [cart], mtls: {mode: STRICT}"));
  fed.put(authentication("shop", "a", "services: [cart, gone], mtls: {mode: DISABLE}"));
  CHECK(mode(fed.model(), "shop", "cart") == "STRICT");
  CHECK(fed.warnings({Kind::kPeerAuthentication, "shop", "z"}) == "");
  CHECK(fed.warnings({Kind::kPeerAuthentication, "shop", "a"}) ==
        "Accepted is False, Conflicted: PeerAuthentication shop/z holds for cart, and is older\n"
        "ResolvedRefs is False, ServiceNotFound: the service shop/gone does not exist\n");
  fed.put("{apiVersion: v1, kind: Service, metadata: {name: gone, namespace: shop}, spec: {ports: [{port: 80}]}}");
  fed.erase({Kind::kPeerAuthentication, "shop", "z"});
  CHECK(fed.warnings({Kind::kPeerAuthentication, "shop", "a"}) == "");
  CHECK(mode(fed.model(), "shop", "cart") == "DISABLE");
}

Workload cart_workload(const std::string& address) {
  return {.name = {.namespace_name = "shop", .service = "cart", .node = address},
          .address = address,
          .port = 15006,
          .app_port = 8080,
          .mtls = true,
          .listening = true};
}

TEST_CASE("a workload with a certificate is called by mutual TLS, unless that is DISABLE for its port") {
  Fed fed;
  const ServiceName cart{.namespace_name = "shop", .name = "cart"};
  fed.put(kServices);
  fed.announce(cart_workload("10.0.0.1"));
  const auto endpoints = [&] { return fed.model().endpoints.find(cart)->of(80); };
  REQUIRE(endpoints().size() == 1);
  CHECK(endpoints()[0].mtls);
  const ChangeSet changed = fed.put(authentication("weft-system", "mesh", "mtls: {mode: DISABLE}"));
  CHECK(changed.endpoints == std::set<ServiceName>{cart});
  CHECK_FALSE(endpoints()[0].mtls);
  fed.put(authentication("shop", "cart", "services: [cart], portLevelMtls: {8080: {mode: STRICT}}"));
  CHECK(endpoints()[0].mtls);
}

TEST_CASE("a port of a workload that takes all of its ports is called as its own mode says") {
  Fed fed;
  fed.put(
      "{apiVersion: v1, kind: Service, metadata: {name: cart, namespace: shop}, spec: {ports: "
      "[{name: a, port: 80, targetPort: 8080}, {name: b, port: 90, targetPort: 9090}]}}");
  Workload workload = cart_workload("10.0.0.1");
  workload.port = workload.app_port;
  workload.takes_all_ports = true;
  fed.announce(workload);
  fed.put(
      authentication("shop", "cart", "services: [cart], mtls: {mode: STRICT}, portLevelMtls: {9090: {mode: DISABLE}}"));
  const auto endpoints = fed.model().endpoints.find({.namespace_name = "shop", .name = "cart"});
  CHECK(endpoints->of(80).at(0).mtls);
  CHECK_FALSE(endpoints->of(90).at(0).mtls);
  CHECK(endpoints->of(90).at(0).can_mtls);
  CHECK(endpoints->of(80).at(0).app_port == 8080);
  CHECK(endpoints->of(90).at(0).app_port == 9090);
}

TEST_CASE("of an address that an EndpointSlice has, too, the workload's own word counts, but for where it runs") {
  Fed fed;
  fed.put(kServices);
  fed.put(R"({apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4,
    metadata: {name: a, namespace: shop, labels: {kubernetes.io/service-name: cart}}, ports: [{port: 8080}],
    endpoints: [{addresses: [10.0.0.1], zone: z}, {addresses: [10.0.0.2]}]})");
  fed.announce(cart_workload("10.0.0.1"));
  const auto endpoints = fed.model().endpoints.find({.namespace_name = "shop", .name = "cart"})->of(80);
  REQUIRE(endpoints.size() == 2);
  CHECK(endpoints[0].address == "10.0.0.1");
  CHECK(endpoints[0].port == 15006);
  CHECK(endpoints[0].mtls);
  CHECK(endpoints[0].zone == "z");
  CHECK(endpoints[1].address == "10.0.0.2");
  CHECK_FALSE(endpoints[1].mtls);
}

TEST_CASE("the accounts of a service's workloads are those it names, or one of its own name") {
  Fed fed;
  fed.put(kServices);
  CHECK(fed.model().services.find({.namespace_name = "pay", .name = "till"})->service_accounts ==
        std::vector<std::string>{"till"});
  fed.put(R"({apiVersion: v1, kind: Service, spec: {ports: [{port: 80}]}, metadata: {name: till, namespace: pay,
    annotations: {weft.mesh/service-accounts: "b, a"}}})");
  CHECK(fed.model().services.find({.namespace_name = "pay", .name = "till"})->service_accounts ==
        std::vector<std::string>{"a", "b"});
}

}  // namespace
}  // namespace weft::control::registry
