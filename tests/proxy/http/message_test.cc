#include "proxy/http/message.h"

#include <catch2/catch.hpp>

namespace weft::http {
namespace {

TEST_CASE("an authority is a host and perhaps a port") {
  for (std::string_view good : {"a", "a.example", "a:80", "a:", "A_b-c~1", "127.0.0.1:1", "[::1]", "[::1]:80",
                                "[::ffff:1.2.3.4]", "[fe80::1%25eth0]:1", "[v1.x:y]", "a%2f", "a!$&'()*+;="}) {
    INFO(good);
    CHECK(is_authority(good));
  }
  for (std::string_view bad : {"",       ":80",     "me@a", "a b",  "a/b",  "a?b", "a#b",   "a\\b", "a,b",
                               "a:b",    "a:80:80", "a:8x", "[::1", "::1]", "::1", "[]",    "[1]",  "[zz]",
                               "[::1]a", "[::1]:x", "a[b]", "a%2",  "a%zz", "a{b", "a\x7f", "a\xe4"}) {
    INFO(bad);
    CHECK_FALSE(is_authority(bad));
  }
}

TEST_CASE("the port of an authority") {
  CHECK(port_of("a:80") == "80");
  CHECK(port_of("[::1]:80") == "80");
  CHECK(port_of("a") == "");
  CHECK(port_of("a:") == "");
  CHECK(port_of("[::1]") == "");
  CHECK(host_of("a:80") == "a");
  CHECK(host_of("a") == "a");
  CHECK(host_of("[::1]:80") == "::1");
  CHECK(host_of("[::1]") == "::1");
}

TEST_CASE("what an answer makes of a request's rest") {
  base::Arena arena;
  RequestHead request(arena);
  request.method_id = Method::kGet;
  CHECK(request.opens_tunnel(101));
  CHECK_FALSE(request.opens_tunnel(200));
  request.method_id = Method::kConnect;
  CHECK(request.opens_tunnel(200));
  CHECK_FALSE(request.opens_tunnel(407));
}

}  // namespace
}  // namespace weft::http
