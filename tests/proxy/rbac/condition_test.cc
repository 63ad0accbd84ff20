#include "proxy/rbac/condition.h"

#include <catch2/catch.hpp>

#include <string>

#include "proxy/route/path_template.h"

namespace weft::rbac {
namespace {

using Kind = route::StringMatcher::Kind;

route::StringMatcher text(Kind kind, std::string value) { return {kind, std::move(value), false, nullptr}; }

struct Case {
  Case() : request(arena) {
    connection.local = transport::Address::parse_ip("10.1.2.3", 8080);
    connection.remote = transport::Address::parse_ip("10.9.0.1", 4000);
    connection.direct_remote = transport::Address::parse_ip("192.0.2.1", 4000);
    tls.peer_verified = true;
    tls.peer_certificate_presented = true;
    tls.peer_uri_sans = {"spiffe://cluster.local/ns/shop/sa/web"};
    tls.sni = "cart.shop";
    connection.tls = &tls;
    request.method = "GET";
    request.path = "/cart/7?full=1";
    request.authority = "cart";
  }
  bool holds(const ConditionPtr& condition) {
    return condition->holds(Facts{connection, &request, remote_ip, &metadata});
  }
  bool holds_on_connection(const ConditionPtr& condition) { return condition->holds(Facts{connection}); }

  base::Arena arena;
  http::RequestHead request;
  transport::TlsInfo tls;
  transport::ConnectionInfo connection;
  http::Metadata metadata;
  std::string remote_ip;
};

ConditionPtr within(AddressOf whose, const char* network, uint8_t bits) {
  return address(whose, transport::Address::parse_ip(network, 0), bits);
}

template <typename... Parts>
Conditions list(Parts... parts) {
  Conditions result;
  (result.push_back(std::move(parts)), ...);
  return result;
}

ConditionPtr never() { return none_of(always()); }

}  // namespace

TEST_CASE("conditions are combined by and, or and not") {
  Case test;
  CHECK(test.holds(all_of(list(always(), always()))));
  CHECK_FALSE(test.holds(all_of(list(always(), never()))));
  CHECK(test.holds(any_of(list(never(), always()))));
  CHECK_FALSE(test.holds(any_of(list(never(), never()))));
}

TEST_CASE("a principal is a name of a verified certificate") {
  Case test;
  auto exact = [] { return principal(text(Kind::kExact, "spiffe://cluster.local/ns/shop/sa/web")); };
  CHECK(test.holds(exact()));
  CHECK(test.holds(principal(text(Kind::kPrefix, "spiffe://cluster.local/ns/shop/"))));
  CHECK(test.holds(principal(text(Kind::kSuffix, "/sa/web"))));
  CHECK_FALSE(test.holds(principal(text(Kind::kExact, "spiffe://cluster.local/ns/shop/sa/we"))));
  CHECK(test.holds(any_authenticated()));
  test.tls.peer_dns_sans = {"web.shop"};
  test.tls.peer_subject = "CN=web";
  CHECK(test.holds(principal(text(Kind::kExact, "web.shop"))));
  CHECK(test.holds(principal(text(Kind::kExact, "CN=web"))));
  test.tls.peer_verified = false;
  CHECK_FALSE(test.holds(exact()));
  CHECK_FALSE(test.holds(any_authenticated()));
  test.tls.peer_verified = true;
  test.connection.tls = nullptr;
  CHECK_FALSE(test.holds(exact()));
  CHECK_FALSE(test.holds(any_authenticated()));
}

TEST_CASE("a path is compared without its query") {
  Case test;
  CHECK(test.holds(path(text(Kind::kExact, "/cart/7"))));
  CHECK_FALSE(test.holds(path(text(Kind::kSuffix, "full=1"))));
  auto regex = route::compile_path_template("/cart/{id}");
  REQUIRE(regex.ok());
  CHECK(test.holds(path_template(*regex)));
  test.request.path = "/cart/7/more";
  CHECK_FALSE(test.holds(path_template(*regex)));
}

TEST_CASE("what is asked of a request does not hold for a connection alone") {
  Case test;
  route::HeaderMatch get;
  get.name = ":method";
  get.kind = route::HeaderMatch::Kind::kString;
  get.string = text(Kind::kExact, "GET");
  CHECK(test.holds(header(get)));
  CHECK_FALSE(test.holds_on_connection(header(get)));
  CHECK(test.holds_on_connection(none_of(header(get))));
  CHECK_FALSE(test.holds_on_connection(path(text(Kind::kPrefix, "/"))));
}

TEST_CASE("each address is the one that was asked for") {
  Case test;
  CHECK(test.holds(within(AddressOf::kDestination, "10.1.0.0", 16)));
  CHECK(test.holds(within(AddressOf::kSource, "10.9.0.0", 24)));
  CHECK(test.holds(within(AddressOf::kDirectRemote, "192.0.2.1", 32)));
  CHECK(test.holds(within(AddressOf::kRemote, "10.9.0.1", 32)));
  test.remote_ip = "203.0.113.9";
  CHECK(test.holds(within(AddressOf::kRemote, "203.0.113.0", 24)));
  CHECK_FALSE(test.holds(within(AddressOf::kRemote, "10.9.0.1", 32)));
  CHECK_FALSE(test.holds(within(AddressOf::kRemote, "::", 0)));
  test.remote_ip = "/run/client.sock";
  CHECK_FALSE(test.holds(within(AddressOf::kRemote, "0.0.0.0", 0)));
}

TEST_CASE("ports and server names are the connection's") {
  Case test;
  CHECK(test.holds(destination_ports(8080, 8081)));
  CHECK_FALSE(test.holds(destination_ports(8081, 9000)));
  CHECK_FALSE(test.holds(destination_ports(8000, 8080)));
  CHECK(test.holds(server_name(text(Kind::kExact, "cart.shop"))));
  test.connection.tls = nullptr;
  test.connection.detected_server_name = "passed.on";
  CHECK(test.holds(server_name(text(Kind::kExact, "passed.on"))));
  test.connection.local = transport::Address::unix_path("/run/weft.sock");
  CHECK_FALSE(test.holds(destination_ports(0, 65536)));
}

TEST_CASE("metadata is found by its path, in lists and through absence") {
  Case test;
  http::MetadataEntry groups[] = {{"", http::MetadataValue::of("staff")}, {"", http::MetadataValue::of("admin")}};
  http::MetadataEntry claims[2] = {{"sub", http::MetadataValue::of("ann")}, {"groups", {}}};
  claims[1].value.kind = http::MetadataValue::Kind::kList;
  claims[1].value.entries = groups;
  claims[1].value.entry_count = 2;
  http::MetadataValue payload;
  payload.kind = http::MetadataValue::Kind::kStruct;
  payload.entries = claims;
  payload.entry_count = 2;
  test.metadata.set(test.arena, "jwt", "payload", payload);
  auto match = [&](std::vector<std::string> keys, ValueMatch value) {
    MetadataMatch result;
    result.name = "jwt";
    result.path = std::move(keys);
    result.value = std::move(value);
    return result;
  };
  ValueMatch is_ann;
  is_ann.kind = ValueMatch::Kind::kString;
  is_ann.string = text(Kind::kExact, "ann");
  CHECK(test.holds(metadata(match({"payload", "sub"}, is_ann))));
  CHECK_FALSE(test.holds(metadata(match({"payload", "iss"}, is_ann))));
  CHECK_FALSE(test.holds_on_connection(metadata(match({"payload", "sub"}, is_ann))));
  ValueMatch has_admin;
  has_admin.kind = ValueMatch::Kind::kOneOf;
  has_admin.parts.push_back(is_ann);
  has_admin.parts[0].string.value = "admin";
  CHECK(test.holds(metadata(match({"payload", "groups"}, has_admin))));
  has_admin.parts[0].string.value = "nobody";
  CHECK_FALSE(test.holds(metadata(match({"payload", "groups"}, has_admin))));
  ValueMatch absent;
  absent.boolean = false;
  CHECK(test.holds(metadata(match({"payload", "iss"}, absent))));
  CHECK_FALSE(test.holds(metadata(match({"payload", "sub"}, absent))));
  MetadataMatch inverted = match({"payload", "sub"}, is_ann);
  inverted.invert = true;
  CHECK_FALSE(test.holds(metadata(inverted)));
}

TEST_CASE("a condition says for which principals and paths alone it can hold") {
  auto only = [](const ConditionPtr& condition, Key key) {
    std::vector<std::string_view> values;
    if (!condition->only_for(key, &values)) return std::string("any");
    std::string text;
    for (std::string_view value : values) text += std::string(value) + " ";
    return text;
  };
  auto who = [](const char* name) { return principal(text(Kind::kExact, name)); };
  auto where = [](const char* name) { return path(text(Kind::kExact, name)); };
  CHECK(only(any_of(list(who("a"), who("b"))), Key::kPrincipal) == "a b ");
  CHECK(only(any_of(list(who("a"), where("/b"))), Key::kPrincipal) == "any");
  CHECK(only(all_of(list(who("a"), where("/b"))), Key::kPath) == "/b ");
  CHECK(only(none_of(who("a")), Key::kPrincipal) == "any");
  CHECK(only(principal(text(Kind::kPrefix, "a")), Key::kPrincipal) == "any");
}

}  // namespace weft::rbac
