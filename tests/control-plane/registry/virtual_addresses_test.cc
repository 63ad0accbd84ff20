#include "control-plane/registry/virtual_addresses.h"

#include <catch2/catch.hpp>

#include "control-plane/registry/format.h"
#include "tests/control-plane/registry/fed.h"

namespace weft::control::registry {
namespace {

const ServiceName kCart{.namespace_name = "shop", .name = "cart"};

TEST_CASE("a service has one address of each family, and keeps it") {
  VirtualAddresses addresses;
  const std::vector<std::string> cart = addresses.assign(kCart);
  REQUIRE(cart.size() == 2);
  CHECK(is_ip(cart[0]));
  CHECK(cart[0].starts_with("240.240."));
  CHECK(is_ip(cart[1]));
  CHECK(cart[1].starts_with("2001:2::f0f0:"));
  CHECK(addresses.assign({.namespace_name = "shop", .name = "till"}) != cart);
  CHECK(addresses.assign({.namespace_name = "shop", .name = "cart", .external = true}) != cart);
  CHECK(addresses.assign(kCart) == cart);
}

TEST_CASE("no two services have the same address, and none looks like that of a network") {
  VirtualAddresses addresses;
  std::set<std::string> all;
  for (int i = 0; i < 65'024; ++i) {
    const auto own = addresses.assign({.namespace_name = "n", .name = std::to_string(i)});
    REQUIRE(own.size() == 2);
    REQUIRE(all.insert(own[0]).second);
    REQUIRE_FALSE(own[0].ends_with(".0"));
    REQUIRE_FALSE(own[0].ends_with(".255"));
  }
  // That was all of them.
  CHECK(addresses.assign(kCart).empty());
  addresses.release({.namespace_name = "n", .name = "7"});
  CHECK_FALSE(addresses.assign(kCart).empty());
}

TEST_CASE("what was kept is as it was, whoever would come first now, and what nobody needs is free") {
  VirtualAddresses before;
  const std::vector<std::string> cart = before.assign(kCart);
  const auto changes = before.take_changes();
  REQUIRE(changes.size() == 1);
  REQUIRE(changes[0].number.has_value());
  CHECK(before.take_changes().empty());

  VirtualAddresses after;
  const ServiceName gone{.namespace_name = "shop", .name = "gone"};
  // The place that another would have by itself.
  after.restore({{gone, *changes[0].number}, {kCart, 0x1234}, {{.namespace_name = "x", .name = "y"}, 0x1200}});
  CHECK(after.assign(kCart)[0] == "240.240.18.52");
  CHECK(after.assign(kCart)[1] == "2001:2::f0f0:1234");
  after.release_unclaimed();
  CHECK(after.take_changes() == std::vector<VirtualAddresses::Change>{{gone, std::nullopt}});
  after.release(kCart);
  CHECK(after.assign(kCart) == cart);
}

TEST_CASE("only a service that has no address, and is not headless, is given one") {
  Fed fed;
  fed.put(R"(
{apiVersion: v1, kind: Service, metadata: {name: own, namespace: shop}, spec: {clusterIP: 10.1.0.1, ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: headless, namespace: shop}, spec: {clusterIP: None, ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: cart, namespace: shop}, spec: {ports: [{port: 80}]}}
---
{apiVersion: weft.mesh/v1, kind: ExternalService, metadata: {name: pay, namespace: shop},
 spec: {hosts: [pay.example.com], ports: [{name: tls, port: 443}]}}
)");
  const auto addresses = [&](const char* name, bool external = false) {
    return fed.model().services.find({"shop", name, external})->virtual_addresses();
  };
  CHECK(addresses("own") == std::vector<std::string>{"10.1.0.1"});
  CHECK(addresses("headless").empty());
  CHECK(addresses("cart").size() == 2);
  CHECK(addresses("pay", true).size() == 2);
  const auto before = addresses("cart");
  fed.put("{apiVersion: v1, kind: Service, metadata: {name: cart, namespace: shop}, spec: {ports: [{port: 81}]}}");
  CHECK(addresses("cart") == before);
}

}  // namespace
}  // namespace weft::control::registry
