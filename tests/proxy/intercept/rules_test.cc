#include "proxy/intercept/rules.h"

#include <catch2/catch.hpp>

namespace weft::intercept {
namespace {

TEST_CASE("a CIDR is a network, or an address alone") {
  const std::pair<const char*, const char*> cases[] = {{"10.0.0.0/8", "10.0.0.0/8"}, {"10.1.2.3", "10.1.2.3/32"},
                                                       {"0.0.0.0/0", "0.0.0.0/0"},   {"172.16.0.0/12", "172.16.0.0/12"},
                                                       {"fd00::/8", "fd00::/8"},     {"::1", "::1/128"}};
  for (const auto& [text, wanted] : cases) {
    auto parsed = parse_cidr(text);
    REQUIRE(parsed.ok());
    CHECK(parsed->text() == wanted);
  }
}

TEST_CASE("what is no CIDR is refused") {
  for (const char* text : {"", "/8", "cart", "10.0.0/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/8x", "fd00::/129",
                           "10.0.0.1/8", "172.24.0.0/12", "fd00::1/64", "10.0.0.0/-1"}) {
    INFO(text);
    CHECK(!parse_cidr(text).ok());
  }
}

TEST_CASE("nameservers are read from a resolv.conf") {
  auto found = nameservers_of(
      "# nameserver 1.1.1.1\nsearch shop.svc.cluster.local\nnameserver 10.96.0.10\n\tnameserver  fd00::a # x\n"
      "nameserver cart\nnameserver\noptions ndots:5\n");
  REQUIRE(found.size() == 2);
  CHECK(found[0].ip_text() == "10.96.0.10");
  CHECK(found[1].ip_text() == "fd00::a");
}

}  // namespace
}  // namespace weft::intercept
