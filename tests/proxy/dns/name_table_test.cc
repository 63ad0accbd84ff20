#include "proxy/dns/name_table.h"

#include <catch2/catch.hpp>

namespace weft::dns {
namespace {

ServiceNames names(std::vector<std::string> hosts, const char* address, bool external = false) {
  return {std::move(hosts), {transport::Address::parse_ip(address, 0)}, external};
}

// The address of a name; empty if the mesh does not know it.
std::string look(const NameTable& table, std::string_view name) {
  const NameTable::Found found = table.find(name);
  return found.names == nullptr ? "" : found.names->addresses.front().ip_text();
}

TEST_CASE("a service is found by each of its hosts, and no longer by what it had before") {
  NameTable table;
  table.apply({"shop/cart", names({"cart", "cart.shop", "cart.shop.svc"}, "10.0.0.1")});
  CHECK(look(table, "cart") == "10.0.0.1");
  CHECK(look(table, "cart.shop.svc") == "10.0.0.1");
  CHECK(look(table, "shop") == "");
  CHECK(look(table, "") == "");
  table.apply({"shop/cart", names({"cart.shop"}, "10.0.0.2")});
  CHECK(look(table, "cart.shop") == "10.0.0.2");
  CHECK(look(table, "cart") == "");
  CHECK(table.size() == 1);
  table.apply({"shop/cart", std::nullopt});
  CHECK(look(table, "cart.shop") == "");
  CHECK(table.size() == 0);
  table.apply({"shop/cart", std::nullopt});
}

TEST_CASE("a wildcard is every name below it, and the longest counts") {
  NameTable table;
  table.apply({"external/a/wide", names({"*.example.com"}, "10.0.0.1", true)});
  table.apply({"external/a/narrow", names({"*.eu.example.com"}, "10.0.0.2", true)});
  table.apply({"external/a/one", names({"one.eu.example.com"}, "10.0.0.3", true)});
  CHECK(look(table, "www.example.com") == "10.0.0.1");
  CHECK(look(table, "a.b.example.com") == "10.0.0.1");
  CHECK(look(table, "www.eu.example.com") == "10.0.0.2");
  CHECK(look(table, "one.eu.example.com") == "10.0.0.3");
  CHECK(look(table, "example.com") == "");
  CHECK(look(table, "wwwexample.com") == "");
  CHECK(look(table, "*.example.com") == "10.0.0.1");
  table.apply({"external/a/wide", std::nullopt});
  CHECK(look(table, "www.example.com") == "");
}

TEST_CASE("with the search domain behind it a name is the one without it") {
  NameTable table;
  table.set_search("shop.svc.cluster.local");
  table.apply({"shop/cart", names({"cart", "cart.shop", "cart.shop.svc.cluster.local"}, "10.0.0.1")});
  table.apply({"external/shop/web", names({"web.example", "*.cdn.example"}, "10.0.0.2", true)});
  // The name itself comes first.
  CHECK(table.find("cart.shop.svc.cluster.local").canonical == "");
  CHECK(look(table, "cart.shop.shop.svc.cluster.local") == "10.0.0.1");
  CHECK(table.find("cart.shop.shop.svc.cluster.local").canonical == "cart.shop");
  CHECK(table.find("web.example.shop.svc.cluster.local").canonical == "web.example");
  CHECK(table.find("a.cdn.example.shop.svc.cluster.local").canonical == "a.cdn.example");
  CHECK(look(table, "a.cdn.example.shop.svc.cluster.local") == "10.0.0.2");
  CHECK(look(table, "other.shop.svc.cluster.local") == "");
  CHECK(look(table, "shop.svc.cluster.local") == "");
  CHECK(look(table, ".shop.svc.cluster.local") == "");
  // The other domains are searched only after the first one.
  CHECK(look(table, "web.example.svc.cluster.local") == "");
}

TEST_CASE("a name of which a label has a dot in it is below no wildcard") {
  NameTable table;
  table.set_search("shop.svc.cluster.local");
  table.apply({"external/shop/web", names({"*.cdn.example"}, "10.0.0.2", true)});
  CHECK(look(table, "a.cdn.example.shop.svc.cluster.local") == "10.0.0.2");
  CHECK(look(table, R"(a\..cdn.example.shop.svc.cluster.local)") == "");
  CHECK(look(table, R"(a\.b.cdn.example)") == "");
}

TEST_CASE("of two who have a host a service of the mesh comes first, and then the first name") {
  NameTable table;
  table.apply({"external/evil/web", names({"cart.shop.svc"}, "10.6.6.6", true)});
  CHECK(look(table, "cart.shop.svc") == "10.6.6.6");
  table.apply({"shop/cart", names({"cart.shop.svc"}, "10.0.0.1")});
  CHECK(look(table, "cart.shop.svc") == "10.0.0.1");
  table.apply({"external/evil/web", names({"cart.shop.svc"}, "10.6.6.7", true)});
  CHECK(look(table, "cart.shop.svc") == "10.0.0.1");
  table.apply({"a/cart", names({"cart.shop.svc", "cart.shop.svc"}, "10.0.0.3")});
  CHECK(look(table, "cart.shop.svc") == "10.0.0.3");
  table.apply({"a/cart", std::nullopt});
  table.apply({"shop/cart", std::nullopt});
  CHECK(look(table, "cart.shop.svc") == "10.6.6.7");
}

}  // namespace
}  // namespace weft::dns
