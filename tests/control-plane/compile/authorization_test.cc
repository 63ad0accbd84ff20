#include "control-plane/compile/authorization.h"

#include <catch2/catch.hpp>
#include <string>

#include "api/text/parse.h"
#include "api/text/print.h"
#include "control-plane/compile/authorization_rule.h"
#include "envoy/config/listener/v3/listener.pb.h"
#include "envoy/extensions/filters/http/rbac/v3/rbac.pb.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"
#include "envoy/extensions/filters/network/rbac/v3/rbac.pb.h"
#include "tests/control-plane/compile/mesh_fixture.h"
#include "weft/v1/authorization_policy.pb.h"

namespace weft::control::compile {
namespace {

using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;

v1::AuthorizationRule rule_of(const std::string& text) {
  v1::AuthorizationRule rule;
  const absl::Status read = text::parse(text, "rule.yaml", &rule);
  INFO(read.message());
  REQUIRE(read.ok());
  return rule;
}

// As JSON; "none" if it can match nothing.
std::string compiled(const std::string& text, const AuthorizationRuleOptions& options = {}) {
  const auto policy = compile_authorization_rule(rule_of(text), options);
  if (!policy.has_value()) return "none";
  text::PrintOptions print;
  print.indent = false;
  print.proto_names = false;
  return text::print_json(*policy, print);
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

#define CHECK_HAS(text, part) \
  do {                        \
    INFO(text);               \
    CHECK(has(text, part));   \
  } while (false)

const AuthorizationRuleOptions kConnectionAllowed = {std::nullopt, false, false};
const AuthorizationRuleOptions kConnectionDenied = {std::nullopt, false, true};

std::string policy_text(const std::string& name, const std::string& space, const std::string& spec,
                        const std::string& annotations = "") {
  return "{apiVersion: weft.mesh/v1, kind: AuthorizationPolicy, metadata: {name: " + name + ", namespace: " + space +
         ", annotations: {" + annotations + "}}, spec: {" + spec + "}}\n---\n";
}

HttpConnectionManager manager_with(const MeshFixture& mesh) {
  HttpConnectionManager manager;
  manager.add_http_filters()->set_name("router");
  const registry::Authorizations policies = mesh.model().caller_rules_for({"shop", "cart"}).policies;
  add_authorization({policies, 8080}, &manager);
  return manager;
}

}  // namespace

TEST_CASE("a caller is known by its certificate, with or without the scheme") {
  const std::string exact = R"("principalName":{"exact":"spiffe://cluster.local/ns/shop/sa/web"})";
  CHECK_HAS(compiled("{from: [{source: {principals: [cluster.local/ns/shop/sa/web]}}]}"), exact);
  CHECK_HAS(compiled("{from: [{source: {principals: ['spiffe://cluster.local/ns/shop/sa/web']}}]}"), exact);
  CHECK_HAS(compiled("{from: [{source: {principals: ['cluster.local/ns/shop/*']}}]}"),
            R"({"prefix":"spiffe://cluster.local/ns/shop/"})");
  CHECK_HAS(compiled("{from: [{source: {principals: ['*/sa/web']}}]}"), R"({"suffix":"/sa/web"})");
  CHECK_HAS(compiled("{from: [{source: {principals: ['*']}}]}"), R"({"prefix":"spiffe://"})");
  CHECK_HAS(compiled("{from: [{source: {namespaces: [shop]}}]}"), R"({"contains":"/ns/shop/sa/"})");
  CHECK_HAS(compiled("{from: [{source: {notNamespaces: ['shop*']}}]}"),
            R"({"notId":{"orIds":{"ids":[{"authenticated":{"principalName":{"contains":"/ns/shop"}}}]}}})");
}

TEST_CASE("addresses are of the peer, or of the client as far as it can be trusted") {
  const std::string text = compiled("{from: [{source: {ipBlocks: [10.0.0.0/8], notRemoteIpBlocks: [203.0.113.7]}}]}");
  CHECK_HAS(text, R"({"directRemoteIp":{"addressPrefix":"10.0.0.0","prefixLen":8}})");
  CHECK_HAS(text, R"({"notId":{"orIds":{"ids":[{"remoteIp":{"addressPrefix":"203.0.113.7","prefixLen":32}}]}}})");
}

TEST_CASE("an operation is told by host, method, path and port") {
  const std::string text =
      compiled(R"({to: [{operation: {hosts: [cart], methods: [GET, HEAD], paths: ["/items/*", "/a/{*}/b/{**}"]}}]})");
  CHECK_HAS(text, R"({"name":":authority","stringMatch":{"exact":"cart","ignoreCase":true}})");
  CHECK_HAS(text, R"({"name":":authority","stringMatch":{"prefix":"cart:","ignoreCase":true}})");
  CHECK_HAS(text, R"({"name":":method","stringMatch":{"exact":"HEAD"}})");
  CHECK_HAS(text, R"({"urlPath":{"path":{"prefix":"/items/"}}})");
  CHECK_HAS(text, R"("pathTemplate":"/a/*/b/**")");
  CHECK_HAS(text, R"("principals":[{"any":true}])");
}

TEST_CASE("a port is the application's, and known where all connections are for it") {
  const std::string rule = "{to: [{operation: {ports: ['8080']}}]}";
  CHECK_HAS(compiled(rule), R"({"destinationPort":8080})");
  CHECK_HAS(compiled(rule, {8080}), R"({"rules":[{"any":true}]})");
  CHECK_HAS(compiled(rule, {9090}), R"({"rules":[{"notRule":{"any":true}}]})");
}

TEST_CASE("conditions go with every source, or with every operation") {
  const std::string text = compiled(R"({from: [{source: {namespaces: [a]}}, {source: {namespaces: [b]}}],
      when: [{key: "request.headers[x-tier]", values: [gold]}, {key: connection.sni, notValues: [cart]}]})");
  const std::string gold = R"({"name":"x-tier","stringMatch":{"exact":"gold"}})";
  CHECK_HAS(text, gold);
  CHECK(text.find(gold) != text.rfind(gold));
  CHECK_HAS(text, R"({"notRule":{"orRules":{"rules":[{"requestedServerName":{"exact":"cart"}}]}}})");
}

TEST_CASE("a token's claims are where the filter that checks tokens puts them") {
  const std::string claim = compiled(R"({when: [{key: "request.auth.claims[realm][roles]", values: [admin]}]})");
  CHECK_HAS(claim,
            R"("filter":"envoy.filters.http.jwt_authn","path":[{"key":"payload"},{"key":"realm"},{"key":"roles"}])");
  CHECK_HAS(claim, R"({"listMatch":{"oneOf":{"stringMatch":{"exact":"admin"}}}})");
  const std::string who = compiled("{from: [{source: {requestPrincipals: ['https://issuer.example/ann']}}]}");
  CHECK_HAS(who, R"({"stringMatch":{"exact":"https://issuer.example"}})");
  CHECK_HAS(who, R"({"stringMatch":{"exact":"ann"}})");
}

TEST_CASE("what only requests have makes an ALLOW rule hold for no connection, and is left out of a DENY rule") {
  const std::string paths = "{from: [{source: {namespaces: [shop]}}], to: [{operation: {paths: [/a], ports: ['80']}}]}";
  CHECK(compiled(paths, kConnectionAllowed) == "none");
  const std::string denied = compiled(paths, kConnectionDenied);
  CHECK_HAS(denied, R"({"destinationPort":80})");
  CHECK_FALSE(has(denied, "urlPath"));
  const std::string either = "{to: [{operation: {paths: [/a]}}, {operation: {ports: ['80']}}]}";
  CHECK_HAS(compiled(either, kConnectionAllowed), R"({"destinationPort":80})");
  const std::string header = "{when: [{key: 'request.headers[a]', values: [b]}]}";
  CHECK(compiled(header, kConnectionAllowed) == "none");
  CHECK(compiled(header, kConnectionDenied) == R"({"permissions":[{"any":true}],"principals":[{"any":true}]})");
  CHECK(compiled("{}", kConnectionAllowed) == R"({"permissions":[{"any":true}],"principals":[{"any":true}]})");
}

TEST_CASE("what holds for a workload becomes filters: AUDIT, DENY, ALLOW, each rule by its policy's name") {
  MeshFixture mesh;
  mesh.put(service_text("cart", "http", 80) + "---\n" +
           policy_text("web", "shop",
                       "rules: [{from: [{source: {namespaces: [web]}}]}, {to: [{operation: {methods: [GET]}}]}]") +
           policy_text("mesh-wide", "weft-system", "action: DENY, rules: [{to: [{operation: {paths: [/admin]}}]}]") +
           policy_text("of-cart", "shop", "targetRefs: [{kind: Service, name: cart}], action: AUDIT, rules: [{}]") +
           policy_text("of-till", "shop", "targetRefs: [{kind: Service, name: till}], action: DENY, rules: [{}]") +
           policy_text("elsewhere", "pay", "action: DENY, rules: [{}]") +
           policy_text("trial", "shop", "action: DENY, rules: [{}]", "weft.mesh/dry-run: 'true'"));
  const HttpConnectionManager manager = manager_with(mesh);
  REQUIRE(manager.http_filters_size() == 4);
  envoy::extensions::filters::http::rbac::v3::RBAC audit, deny, allow;
  CHECK(manager.http_filters(0).name() == "weft.authorization.audit");
  REQUIRE(manager.http_filters(0).typed_config().UnpackTo(&audit));
  CHECK(audit.rules().policies().contains("AuthorizationPolicy/shop/of-cart/0"));
  REQUIRE(manager.http_filters(1).typed_config().UnpackTo(&deny));
  CHECK(deny.rules().policies_size() == 1);
  CHECK(deny.rules().policies().contains("AuthorizationPolicy/weft-system/mesh-wide/0"));
  CHECK(deny.shadow_rules().policies().contains("AuthorizationPolicy/shop/trial/0"));
  CHECK(deny.shadow_rules_stat_prefix() == "dry_run_deny_");
  REQUIRE(manager.http_filters(2).typed_config().UnpackTo(&allow));
  CHECK(allow.rules().policies_size() == 2);
  CHECK(allow.rules().policies().contains("AuthorizationPolicy/shop/web/1"));
  CHECK(manager.http_filters(3).name() == "router");
}

TEST_CASE("an ALLOW policy without rules refuses all, and one on trial alone refuses nobody") {
  MeshFixture mesh;
  mesh.put(service_text("cart", "http", 80) + "---\n" + policy_text("nobody", "shop", ""));
  envoy::extensions::filters::http::rbac::v3::RBAC allow;
  REQUIRE(manager_with(mesh).http_filters(0).typed_config().UnpackTo(&allow));
  CHECK(allow.has_rules());
  CHECK(allow.rules().policies().empty());
  mesh.put(policy_text("nobody", "shop", "", "weft.mesh/dry-run: 'true'"));
  REQUIRE(manager_with(mesh).http_filters(0).typed_config().UnpackTo(&allow));
  CHECK_FALSE(allow.has_rules());
  CHECK(allow.has_shadow_rules());
}

TEST_CASE("connections that are not HTTP are asked what can be asked of them") {
  MeshFixture mesh;
  mesh.put(service_text("cart", "tcp", 80) + "---\n" +
           policy_text("web", "shop",
                       "rules: [{from: [{source: {namespaces: [web]}}]}, {to: [{operation: {methods: [GET]}}]}]"));
  envoy::config::listener::v3::FilterChain chain;
  const registry::Authorizations policies = mesh.model().caller_rules_for({"shop", "cart"}).policies;
  add_connection_authorization({policies, 8080}, &chain);
  REQUIRE(chain.filters_size() == 1);
  envoy::extensions::filters::network::rbac::v3::RBAC allow;
  REQUIRE(chain.filters(0).typed_config().UnpackTo(&allow));
  CHECK(allow.stat_prefix() == "tcp.");
  CHECK(allow.rules().policies_size() == 1);
  CHECK(allow.rules().policies().contains("AuthorizationPolicy/shop/web/0"));
}

}  // namespace weft::control::compile
