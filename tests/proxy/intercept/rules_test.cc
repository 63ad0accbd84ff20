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

}  // namespace
}  // namespace weft::intercept
