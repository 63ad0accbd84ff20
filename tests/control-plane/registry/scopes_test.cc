#include "control-plane/registry/scopes.h"

#include <catch2/catch.hpp>

#include "tests/control-plane/registry/fed.h"

namespace weft::control::registry {
namespace {

using source::Kind;

constexpr char kServices[] = R"(
{apiVersion: v1, kind: Service, metadata: {name: cart, namespace: shop}, spec: {ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: till, namespace: pay, annotations: {weft.mesh/export-to: "., shop"}}, spec: {ports: [{port: 80}]}}
)";

std::string scope(const std::string& space, const std::string& name, const std::string& spec) {
  return "{apiVersion: weft.mesh/v1, kind: Scope, metadata: {name: " + name + ", namespace: " + space + "}, spec: {" +
         spec + "}}\n";
}

std::string hosts_for(const Model& model, const std::string& space, const std::string& service) {
  const ScopePointer scope = model.scope_for(space, service);
  if (scope == nullptr) return "everything";
  std::string out;
  for (const HostPattern& host : scope->hosts) out += to_string(host) + " ";
  return out;
}

TEST_CASE("a Scope holds for its services, else its namespace's, else the mesh's") {
  Fed fed;
  fed.put(kServices);
  CHECK(hosts_for(fed.model(), "shop", "cart") == "everything");
  CHECK(fed.put(scope("weft-system", "mesh", "hosts: [\"./*\"]")).scopes == std::set<std::string>{"weft-system"});
  CHECK(hosts_for(fed.model(), "shop", "cart") == "weft-system/* ");
  fed.put(scope("shop", "all", "hosts: [cart, \"pay/*\"]"));
  fed.put(scope("shop", "cart", "services: [cart], hosts: [pay/till]"));
  CHECK(hosts_for(fed.model(), "shop", "cart") == "pay/till ");
  CHECK(hosts_for(fed.model(), "shop", "other") == "pay/* shop/cart ");
  CHECK(hosts_for(fed.model(), "shop", "") == "pay/* shop/cart ");
  CHECK(hosts_for(fed.model(), "pay", "till") == "weft-system/* ");
  CHECK(fed.erase({Kind::kScope, "shop", "cart"}).scopes == std::set<std::string>{"shop"});
  CHECK(hosts_for(fed.model(), "shop", "cart") == "pay/* shop/cart ");
}

TEST_CASE("a Scope may refuse unknown destinations; one that says nothing of them leaves it to the mesh's") {
  Fed fed;
  fed.put(kServices);
  CHECK_FALSE(fed.model().refuses_unknown("shop", "cart"));
  fed.put(scope("weft-system", "mesh", "outboundTrafficPolicy: {mode: REGISTRY_ONLY}"));
  CHECK(fed.model().refuses_unknown("shop", "cart"));
  CHECK(hosts_for(fed.model(), "shop", "cart") == "*/* ");
  fed.put(scope("shop", "all", "hosts: [cart]"));
  CHECK(fed.model().refuses_unknown("shop", "cart"));
  fed.put(scope("shop", "cart", "services: [cart], outboundTrafficPolicy: {mode: ALLOW_ANY}"));
  CHECK_FALSE(fed.model().refuses_unknown("shop", "cart"));
  CHECK(fed.model().refuses_unknown("shop", "other"));
}

TEST_CASE("of two Scopes for the same the older holds, and the other says so") {
  Fed fed;
  fed.put(kServices);
  fed.put(scope("shop", "z", "services: [cart], hosts: [cart]"));
  fed.put(scope("shop", "a", "services: [cart], hosts: [pay/till]"));
  CHECK(hosts_for(fed.model(), "shop", "cart") == "shop/cart ");
  CHECK(fed.warnings({Kind::kScope, "shop", "z"}) == "");
  CHECK(fed.warnings({Kind::kScope, "shop", "a"}) ==
        "Accepted is False, Conflicted: Scope shop/z holds for cart, and is older\n");
  fed.erase({Kind::kScope, "shop", "z"});
  CHECK(hosts_for(fed.model(), "shop", "cart") == "pay/till ");
  CHECK(fed.warnings({Kind::kScope, "shop", "a"}) == "");
}

TEST_CASE("a Scope says which services it names that are not there, or are not for its namespace") {
  Fed fed;
  fed.put(scope("other", "all", "hosts: [shop/cart, pay/till, \"nowhere/*\"]"));
  const source::Key key{Kind::kScope, "other", "all"};
  CHECK(fed.warnings(key) ==
        "ResolvedRefs is False, ServiceNotFound: the service pay/till does not exist; the service shop/cart does not "
        "exist\n");
  fed.put(kServices);
  CHECK(fed.warnings(key) ==
        "ResolvedRefs is False, ServiceNotFound: the service pay/till is exported to pay, shop, not to other\n");
}

TEST_CASE("a route may send only to services that are exported to its namespace, and says so where it is not") {
  Fed fed;
  fed.put(kServices);
  fed.put(R"(
{apiVersion: v1, kind: Service, metadata: {name: cart, namespace: other}, spec: {ports: [{port: 80}]}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: ReferenceGrant, metadata: {name: any, namespace: pay}, spec: {
  from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: other}], to: [{group: "", kind: Service}]}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: r, namespace: other}, spec: {
  parentRefs: [{group: "", kind: Service, name: cart}], rules: [{backendRefs: [{name: till, namespace: pay, port: 80}]}]}}
)");
  const source::Key key{Kind::kHttpRoute, "other", "r"};
  CHECK(fed.warnings(key) ==
        "ResolvedRefs is False, RefNotPermitted: spec.rules[0].backendRefs[0]: the service pay/till is exported to "
        "pay, shop, not to other\n");
  fed.put(R"(
{apiVersion: v1, kind: Service, metadata: {name: till, namespace: pay}, spec: {ports: [{port: 80}]}}
)");
  CHECK(fed.warnings(key) == "");
}

TEST_CASE("mistakes in scopes and exports are refused with their place") {
  const auto mistakes = [](const std::string& text) {
    const auto drafts = source::read_documents(text, "test.yaml");
    REQUIRE(drafts.ok());
    return std::string(validate((*drafts)[0]).message());
  };
  CHECK_THAT(mistakes(scope("shop", "s", "hosts: [a/b/c]")), Catch::Contains("spec.hosts[0]: expected \"service\""));
  CHECK_THAT(mistakes(scope("shop", "s", "services: [a, a], hosts: [b]")), Catch::Contains("stands a second time"));
  CHECK_THAT(mistakes(scope("shop", "s", "services: [a]")), Catch::Contains("spec.hosts: expected at least one"));
  CHECK_THAT(mistakes(scope("weft-system", "s", "services: [a], hosts: [b]")),
             Catch::Contains("spec.services: expected none"));
  CHECK_THAT(mistakes("{apiVersion: v1, kind: Service, metadata: {name: a, annotations: {weft.mesh/export-to: A}}, "
                      "spec: {ports: [{port: 80}]}}"),
             Catch::Contains("weft.mesh/export-to") && Catch::Contains("got \"A\""));
}

TEST_CASE("services are found by their namespace") {
  Fed fed;
  fed.put(kServices);
  const auto of_shop = fed.model().by_namespace.find({"shop"});
  REQUIRE(of_shop != nullptr);
  CHECK(of_shop->size() == 1);
  CHECK(of_shop->find({"shop", "cart"}) == fed.model().services.find({"shop", "cart"}));

  fed.put(R"({apiVersion: v1, kind: Service, metadata: {name: cart, namespace: shop}, spec: {ports: [{port: 81}]}})");
  const auto changed = fed.model().by_namespace.find({"shop"})->find({"shop", "cart"});
  REQUIRE(changed != nullptr);
  CHECK(changed->ports.at(0).port == 81);
  // Who has the map of before has it as it was.
  CHECK(of_shop->find({"shop", "cart"})->ports.at(0).port == 80);

  fed.erase({Kind::kService, "shop", "cart"});
  CHECK(fed.model().by_namespace.find({"shop"}) == nullptr);
}

}  // namespace
}  // namespace weft::control::registry
