#include "proxy/dns/resolv_conf.h"

#include <catch2/catch.hpp>

namespace weft::dns {
namespace {

TEST_CASE("servers and the first search domain are read from a resolv.conf") {
  const ResolvConf found = parse_resolv_conf(
      "# nameserver 1.1.1.1\n; search x\nsearch Shop.svc.cluster.local. svc.cluster.local\nnameserver 10.96.0.10\n"
      "\tnameserver  fd00::a # x\nnameserver cart\nnameserver\noptions ndots:5\n");
  REQUIRE(found.servers.size() == 2);
  CHECK(found.servers[0].to_string() == "10.96.0.10:53");
  CHECK(found.servers[1].to_string() == "[fd00::a]:53");
  CHECK(found.search == "shop.svc.cluster.local");
  CHECK(parse_resolv_conf("search a\ndomain b.example\n").search == "b.example");
  CHECK(parse_resolv_conf("search .\n").search == "");
  CHECK(parse_resolv_conf("") == ResolvConf{});
}

}  // namespace
}  // namespace weft::dns
