#include "control-plane/registry/format.h"

#include <catch2/catch.hpp>
#include <string>

namespace weft::control::registry {
namespace {

TEST_CASE("durations are Gateway API's") {
  CHECK(parse_duration_ms("0s") == 0);
  CHECK(parse_duration_ms("500ms") == 500);
  CHECK(parse_duration_ms("1h30m10s5ms") == 5'410'005);
  CHECK(parse_duration_ms("99999h") == 359'996'400'000);
  for (const char* wrong : {"", "5", "s", "1.5s", "-1s", "100000s", "1d", "1s ", "1h1m1s1ms1s", "1S"}) {
    INFO(wrong);
    CHECK_FALSE(parse_duration_ms(wrong).has_value());
  }
}

TEST_CASE("names are RFC 1123's") {
  CHECK(is_dns_label("a"));
  CHECK(is_dns_label("0-a"));
  CHECK(is_dns_label(std::string(63, 'a')));
  for (const std::string& wrong : {std::string(), std::string(64, 'a'), std::string("-a"), std::string("a-"),
                                   std::string("A"), std::string("a_b"), std::string("a.b")}) {
    INFO(wrong);
    CHECK_FALSE(is_dns_label(wrong));
  }
  CHECK(is_dns_name("a.b-c.d"));
  CHECK_FALSE(is_dns_name("a..b"));
  CHECK_FALSE(is_dns_name("a."));
  CHECK_FALSE(is_dns_name(""));
  CHECK(is_host_pattern("*.a"));
  CHECK_FALSE(is_host_pattern("a.*"));
  CHECK_FALSE(is_dns_name("*.a"));
}

TEST_CASE("addresses and tokens") {
  CHECK(is_ipv4("10.0.0.1"));
  CHECK_FALSE(is_ipv4("10.0.0"));
  CHECK_FALSE(is_ipv4("010.0.0.256"));
  CHECK(is_ipv6("fd00::1"));
  CHECK_FALSE(is_ipv6("[fd00::1]"));
  CHECK(is_ip("::"));
  CHECK_FALSE(is_ip("a.example"));
  CHECK(is_token("X-Version"));
  CHECK_FALSE(is_token("x:y"));
  CHECK_FALSE(is_token(""));
}

}  // namespace
}  // namespace weft::control::registry
