#include "control-plane/registry/visibility.h"

#include <catch2/catch.hpp>

namespace weft::control::registry {
namespace {

std::string read_export(std::string_view text) {
  const auto exported = parse_export(text, "shop");
  return exported.has_value() ? to_string(*exported) : "wrong";
}

std::string read_host(std::string_view text) {
  const auto host = parse_host_pattern(text, "shop");
  return host.has_value() ? to_string(*host) : "wrong";
}

TEST_CASE("a service is exported to all, to some namespaces, or to none") {
  CHECK(read_export("") == "all namespaces");
  CHECK(read_export("*") == "all namespaces");
  CHECK(read_export("., *") == "all namespaces");
  CHECK(read_export(".,other") == "other, shop");
  CHECK(read_export("b, a ,b") == "a, b");
  CHECK(read_export("~") == "no namespace");
  for (const char* text : {",", ".,", "Other", "a b", "shop/cart", "a;b"}) CHECK(read_export(text) == "wrong");
  const Export exported = *parse_export(".,other", "shop");
  CHECK(exported.allows("shop"));
  CHECK(exported.allows("other"));
  CHECK_FALSE(exported.allows("othe"));
  CHECK(Export{}.allows("any"));
  CHECK_FALSE(parse_export("~", "shop")->allows("shop"));
}

TEST_CASE("a host in a scope is a service, a namespace, or everything") {
  CHECK(read_host("cart") == "shop/cart");
  CHECK(read_host("./cart") == "shop/cart");
  CHECK(read_host("pay/till") == "pay/till");
  CHECK(read_host("pay/*") == "pay/*");
  CHECK(read_host("*") == "shop/*");
  CHECK(read_host("*/*") == "*/*");
  CHECK(read_host("~/*") == "~/*");
  for (const char* text : {"", "/", "a/", "/a", "a/b/c", "~/cart", "~", "A/b", "a/b.c"})
    CHECK(read_host(text) == "wrong");
}

TEST_CASE("a pattern matches by namespace and name, services and external ones alike") {
  const auto matches = [](const char* text, const ServiceName& name) {
    return parse_host_pattern(text, "shop")->matches(name);
  };
  CHECK(matches("cart", {"shop", "cart"}));
  CHECK(matches("cart", {"shop", "cart", true}));
  CHECK_FALSE(matches("cart", {"pay", "cart"}));
  CHECK(matches("*/cart", {"pay", "cart"}));
  CHECK_FALSE(matches("*/cart", {"pay", "till"}));
  CHECK(matches("pay/*", {"pay", "till"}));
  CHECK_FALSE(matches("~/*", {"shop", "cart"}));
}

TEST_CASE("two scopes together hold what is in both") {
  const auto patterns = [](std::initializer_list<const char*> texts) {
    std::vector<HostPattern> out;
    for (const char* text : texts) out.push_back(*parse_host_pattern(text, "shop"));
    sort_patterns(out);
    return out;
  };
  CHECK(intersect(patterns({"shop/*", "pay/till"}), patterns({"*/till", "shop/cart"})) ==
        patterns({"shop/cart", "shop/till", "pay/till"}));
  CHECK(intersect(patterns({"shop/*"}), patterns({"~/*"})).empty());
  CHECK(intersect(patterns({"*/*"}), patterns({"a/b", "*/c"})) == patterns({"a/b", "*/c"}));
}

}  // namespace
}  // namespace weft::control::registry
