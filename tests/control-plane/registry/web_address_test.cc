#include "control-plane/registry/web_address.h"

#include <catch2/catch.hpp>

namespace weft::control::registry {

TEST_CASE("an address of the web has a scheme, a host, and what is not said by default") {
  const auto plain = parse_web_address("http://keys.example");
  REQUIRE(plain.has_value());
  CHECK_FALSE(plain->is_https);
  CHECK(plain->host == "keys.example");
  CHECK(plain->port == 80);
  CHECK(plain->authority == "keys.example");
  CHECK(plain->path == "/");
  const auto whole = parse_web_address("https://keys.example:8443/a/b?c=d");
  REQUIRE(whole.has_value());
  CHECK(whole->is_https);
  CHECK(whole->port == 8443);
  CHECK(whole->authority == "keys.example:8443");
  CHECK(whole->path == "/a/b?c=d");
  CHECK(parse_web_address("https://keys.example")->port == 443);
  CHECK(parse_web_address("https://keys.example?a")->path == "/?a");
  const auto ipv6 = parse_web_address("http://[fd00::1]:81/");
  REQUIRE(ipv6.has_value());
  CHECK(ipv6->host == "fd00::1");
  CHECK(ipv6->port == 81);
  CHECK(ipv6->authority == "[fd00::1]:81");
  CHECK(parse_web_address("http://127.0.0.1/x")->host == "127.0.0.1");
}

TEST_CASE("what is no address of the web is none") {
  for (const char* text :
       {"", "keys.example", "ftp://keys.example/", "http://", "http:///x", "http://user@keys.example/",
        "http://Keys.example/", "http://keys.example:/", "http://keys.example:0/", "http://keys.example:65536/",
        "http://keys.example:80a/", "http://[fd00::1/", "http://[fd00::1]x/", "http://[keys]/", "http://fd00::1/",
        "http://a_b/", "http://keys.example/#part", "http://keys.example/a b", "http://keys.example/a\nb"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_web_address(text).has_value());
  }
  CHECK_FALSE(parse_web_address("http://keys.example/" + std::string(2048, 'a')).has_value());
}

}  // namespace weft::control::registry
