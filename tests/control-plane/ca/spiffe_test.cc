#include "control-plane/ca/spiffe.h"

#include <catch2/catch.hpp>

namespace weft::control::ca {
namespace {

TEST_CASE("a SPIFFE ID is read as it is written, and nothing else is one") {
  const Identity cart{"shop", "cart.v1"};
  CHECK(spiffe_id("mesh.example", cart) == "spiffe://mesh.example/ns/shop/sa/cart.v1");
  CHECK(parse_spiffe_id("spiffe://mesh.example/ns/shop/sa/cart.v1", "mesh.example") == cart);
  for (const char* each :
       {"", "spiffe://mesh.example", "spiffe://other/ns/shop/sa/cart", "spiffe://mesh.example/ns/shop/sa/",
        "spiffe://mesh.example/ns//sa/cart", "spiffe://mesh.example/ns/shop/sa/cart/x",
        "spiffe://mesh.example/ns/a/b/sa/cart", "spiffe://mesh.example/ns/shop/sa/Cart",
        "SPIFFE://mesh.example/ns/shop/sa/cart", "spiffe://mesh.example.evil/ns/shop/sa/cart",
        "spiffe://mesh.example/ns/shop/sa/cart?x", " spiffe://mesh.example/ns/shop/sa/cart"}) {
    INFO(each);
    CHECK_FALSE(parse_spiffe_id(each, "mesh.example").has_value());
  }
  CHECK(is_trust_domain("cluster.local"));
  for (const char* each : {"", "Cluster", "a/b", "a:1", "a b"}) CHECK_FALSE(is_trust_domain(each));
  CHECK_FALSE(is_trust_domain(std::string(256, 'a')));
}

}  // namespace
}  // namespace weft::control::ca
