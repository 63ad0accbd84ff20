#include "tools/weftctl/explain.h"

#include <catch2/catch.hpp>

#include "control-plane/explain/explain.h"
#include "tests/control-plane/compile/mesh_fixture.h"
#include "tools/weftctl/config_dump.h"

namespace weft::weftctl {
namespace {

constexpr char kMesh[] = R"(
{apiVersion: v1, kind: Service, metadata: {name: cart, namespace: shop}, spec: {ports: [{name: main, port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: cart-v2, namespace: shop}, spec: {ports: [{name: main, port: 80}]}}
---
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4,
 metadata: {name: cart-1, namespace: shop, labels: {kubernetes.io/service-name: cart}},
 ports: [{name: main, port: 8080}],
 endpoints: [{addresses: [10.0.0.1], zone: a}, {addresses: [10.0.0.2], conditions: {ready: false}}]}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: canary, namespace: shop}, spec: {
  parentRefs: [{group: "", kind: Service, name: cart}],
  rules: [
    {name: test, matches: [{path: {value: /items}, headers: [{name: x-user, value: test}]}],
     filters: [{type: URLRewrite, urlRewrite: {hostname: cart.internal,
       path: {type: ReplacePrefixMatch, replacePrefixMatch: /v2}}}],
     backendRefs: [{name: cart-v2, port: 80}]},
    {name: old, matches: [{path: {value: /old}}],
     filters: [{type: RequestRedirect, requestRedirect: {hostname: new.example, statusCode: 301}}]},
    {name: main, matches: [{path: {value: /items}}], timeouts: {request: 2s, backendRequest: 500ms},
     backendRefs: [{name: cart, port: 80, weight: 9}, {name: cart-v2, port: 80}]}]}}
---
{apiVersion: weft.mesh/v1, kind: TrafficPolicy, metadata: {name: all, namespace: shop},
 spec: {targetRefs: [{kind: Service, name: cart}], retry: {attempts: 3, codes: [503]},
   timeouts: {request: 9s, connect: 1s}, circuitBreaker: {maxRequests: 100}}}
)";

class Fixture {
 public:
  Fixture() { mesh_.put(kMesh); }

  v1::Explanation ask(const std::string& url, const std::vector<std::string>& headers = {},
                      const std::string& from = "shop") {
    v1::ExplainRequest asked;
    asked.set_namespace_(from);
    const auto answer = control::explain::explain(mesh_.model(), asked, [](const control::source::Key& key) {
      return key.name == "canary" ? "/etc/weft/cart.yaml:7" : "";
    });
    REQUIRE(answer.ok());
    Request request;
    REQUIRE(set_url(url, &request).ok());
    for (const std::string& header : headers) REQUIRE(add_header(header, &request).ok());
    const auto found = explanation(*answer, from, request);
    INFO(found.status().message());
    REQUIRE(found.ok());
    return *found;
  }

 private:
  control::MeshFixture mesh_;
};

TEST_CASE("the winner is told with its object, revision, place and rule, and why the others did not match") {
  Fixture f;
  const v1::Explanation found = f.ask("http://cart/items/7?x=1");
  CHECK(found.virtual_host() == "shop/cart:80");
  REQUIRE(found.tried_size() == 2);
  CHECK(found.tried(0).name() == "HTTPRoute/shop/canary/0");
  CHECK_THAT(found.tried(0).outcome(), Catch::Contains("x-user"));
  CHECK(found.tried(1).name() == "HTTPRoute/shop/canary/2");
  CHECK(found.tried(1).outcome() == "matches");
  CHECK(found.winner().source().object().name() == "canary");
  CHECK(found.winner().source().revision() == 1);
  CHECK(found.winner().source().origin() == "/etc/weft/cart.yaml:7");
  CHECK(found.winner().rule() == 2);
  CHECK(found.winner().rule_name() == "main");
}

TEST_CASE("what holds is told with who says it: the rule over its policies, the cluster's apart") {
  Fixture f;
  const v1::Explanation found = f.ask("cart:80/items");
  CHECK(found.timeout_ms() == 2000);
  CHECK(found.attempt_timeout_ms() == 500);
  CHECK(found.retries() == 3);
  REQUIRE(found.winner().policies_size() == 3);
  CHECK(found.winner().policies(0).field() == "timeouts");
  CHECK(found.winner().policies(0).source().object().kind() == "HTTPRoute");
  CHECK(found.winner().policies(1).source().object().kind() == "TrafficPolicy");
  CHECK_THAT(found.winner().policies(2).value(), Catch::Contains("\"attempts\":3"));
  REQUIRE(found.destinations_size() == 2);
  CHECK(found.destinations(0).percent() == 90);
  const v1::ExplainedCluster& cluster = found.destinations(0).cluster();
  CHECK(cluster.name() == "shop/cart:80");
  REQUIRE(cluster.endpoints_size() == 2);
  CHECK(cluster.endpoints(0).zone() == "a");
  CHECK(cluster.endpoints(1).state() == v1::ExplainedEndpoint::NOT_READY);
  REQUIRE(cluster.policies_size() == 2);
  CHECK(cluster.policies(1).field() == "circuitBreaker");
}

TEST_CASE("a rewrite, a redirect, a host that nobody has and a path that no rule takes") {
  Fixture f;
  v1::Explanation found = f.ask("cart/items/7", {"x-user: test"});
  CHECK(found.sent_path() == "/v2/7");
  CHECK(found.sent_host() == "cart.internal");
  CHECK(found.winner().rule_name() == "test");
  found = f.ask("cart/old/x");
  CHECK(found.status() == 301);
  CHECK(found.location() == "http://new.example/old/x");
  CHECK(found.destinations().empty());
  found = f.ask("nobody.example");
  CHECK(found.virtual_host().empty());
  CHECK_FALSE(found.has_winner());
  found = f.ask("cart/none");
  CHECK(found.tried_size() == 3);
  CHECK_FALSE(found.has_winner());
  // The name alone is its own namespace's.
  CHECK(f.ask("cart", {}, "web").virtual_host().empty());
  found = f.ask("cart-v2.shop", {}, "web");
  CHECK(found.winner().name() == "Service/shop/cart-v2:80");
  CHECK(found.winner().source().object().kind() == "Service");
  CHECK(f.ask("x", {"Host: cart-v2"}).winner().name() == "Service/shop/cart-v2:80");
}

TEST_CASE("the text for people names all of it") {
  Fixture f;
  const std::string text = print(f.ask("cart/items"));
  for (const char* part : {"GET cart/items from namespace shop, revision 1", "HTTPRoute/shop/canary/2",
                           "by rule 2 \"main\" of HTTPRoute shop/canary (revision 1, /etc/weft/cart.yaml:7)",
                           "timeout 2000 ms", "shop/cart:80  90.0%", "10.0.0.1:8080", "not ready",
                           "TrafficPolicy shop/all (revision 1)", "no endpoints: such requests fail"}) {
    CHECK_THAT(text, Catch::Contains(part));
  }
  CHECK_THAT(print(f.ask("cart/none")), Catch::Contains("no route matches; the proxy answers 404"));
  CHECK_THAT(print(f.ask("cart/old")), Catch::Contains("redirected by 301 to http://new.example/old"));
}

TEST_CASE("a caller's service that does not exist, a URL without a host and a bad header are refused") {
  control::MeshFixture mesh;
  v1::ExplainRequest asked;
  asked.set_service("none");
  CHECK(absl::IsNotFound(control::explain::explain(mesh.model(), asked, [](const auto&) { return ""; }).status()));
  Request request;
  CHECK_FALSE(set_url("http:///x", &request).ok());
  request = {};
  CHECK_FALSE(set_url("ftp://cart/", &request).ok());
  CHECK_FALSE(add_header("no colon", &request).ok());
}

TEST_CASE("the routes of a running proxy are found in its /config_dump") {
  constexpr char kDump[] = R"({"configs": [{"@type": "type.googleapis.com/envoy.admin.v3.BootstrapConfigDump"},
    {"@type": "type.googleapis.com/envoy.admin.v3.RoutesConfigDump", "dynamic_route_configs": [
      {"version_info": "1", "route_config": {"@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": "outbound", "virtual_hosts": [{"name": "shop/cart:80", "domains": ["cart"], "routes": [
          {"name": "HTTPRoute/shop/canary/2", "match": {"prefix": "/"}, "direct_response": {"status": 204}}]}]}}]}]})";
  const auto routes = routes_of_dump(kDump, "outbound");
  INFO(routes.status().message());
  REQUIRE(routes.ok());
  v1::ExplainResponse mesh;
  mesh.set_routes(*routes);
  Request request;
  REQUIRE(set_url("cart/x", &request).ok());
  const auto found = explanation(mesh, "shop", request);
  REQUIRE(found.ok());
  CHECK(found->winner().name() == "HTTPRoute/shop/canary/2");
  CHECK(found->status() == 204);
  CHECK(absl::IsNotFound(routes_of_dump(kDump, "inbound").status()));
  CHECK(absl::IsInvalidArgument(routes_of_dump("{}", "outbound").status()));
  CHECK(absl::IsInvalidArgument(routes_of_dump("{", "outbound").status()));
}

TEST_CASE("a path is judged as the proxy writes it, and said to be") {
  Fixture f;
  const v1::Explanation found = f.ask("cart/old/../%69tems?a=%41");
  CHECK(found.path() == "/old/../%69tems?a=%41");
  CHECK(found.canonical_path() == "/items?a=%41");
  CHECK(found.winner().rule_name() == "main");
  CHECK_THAT(print(found), Catch::Contains("the proxy reads the path as /items?a=%41\n"));
  CHECK(f.ask("cart/items").canonical_path().empty());
  // Slashes stay as they are.
  CHECK_FALSE(f.ask("cart//items").has_winner());
  const v1::Explanation refused = f.ask("cart/items%0");
  CHECK_FALSE(refused.has_winner());
  CHECK_THAT(print(refused), Catch::Contains("the path cannot be normalized; the proxy answers 400"));
}

TEST_CASE("how a running proxy reads paths is found in its /config_dump") {
  const auto dump = [](const std::string& rules) {
    return R"({"configs": [{"@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump", "dynamic_listeners": [
      {"name": "outbound", "active_state": {"listener": {"name": "outbound", "filter_chains": [{"filters": [
        {"typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
          "http_filters": [{"name": "x", "typed_config": {"@type": "type.googleapis.com/not.ours"}}], )" +
           rules + R"(}}]}]}}}]}, {"@type": "type.googleapis.com/envoy.admin.v3.RoutesConfigDump"}]})";
  };
  const auto ask = [&](const std::string& rules, const std::string& url) {
    v1::ExplainResponse mesh;
    const auto manager = manager_of_dump(dump(rules), "outbound");
    INFO(manager.status().message());
    REQUIRE(manager.ok());
    mesh.set_manager(*manager);
    Request request;
    REQUIRE(set_url(url, &request).ok());
    const auto found = explanation(mesh, "shop", request);
    REQUIRE(found.ok());
    return *found;
  };
  CHECK(ask("\"normalize_path\": true, \"merge_slashes\": true", "cart/a/..//b").canonical_path() == "/b");
  CHECK(ask("\"merge_slashes\": false", "cart/a/..//b").canonical_path().empty());
  const v1::Explanation sent = ask("\"path_with_escaped_slashes_action\": \"UNESCAPE_AND_REDIRECT\"", "cart/a%2Fb");
  CHECK(sent.status() == 307);
  CHECK(sent.location() == "/a/b");
  CHECK_THAT(print(sent), Catch::Contains("answers 307"));
  CHECK(ask("\"path_with_escaped_slashes_action\": \"REJECT_REQUEST\"", "cart/a%2Fb").path_refused() ==
        "the path has an escaped slash");
  CHECK(absl::IsNotFound(manager_of_dump(dump("\"via\": \"x\""), "inbound").status()));
}

TEST_CASE("routes that the proxy would refuse are refused with its reasons") {
  v1::ExplainResponse mesh;
  mesh.set_routes("\xff");
  CHECK_FALSE(explanation(mesh, "shop", {}).ok());
}

}  // namespace
}  // namespace weft::weftctl
