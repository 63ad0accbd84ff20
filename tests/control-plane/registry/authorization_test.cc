#include "control-plane/registry/authorization.h"

#include <catch2/catch.hpp>

#include "control-plane/registry/authorization_key.h"
#include "tests/control-plane/registry/fed.h"

namespace weft::control::registry {
namespace {

using source::Kind;

constexpr char kCart[] =
    "{apiVersion: v1, kind: Service, metadata: {name: cart, namespace: shop}, spec: {ports: [{port: 80}]}}\n";

std::string policy(const std::string& space, const std::string& name, const std::string& spec,
                   const std::string& annotations = "") {
  return "{apiVersion: weft.mesh/v1, kind: AuthorizationPolicy, metadata: {name: " + name + ", namespace: " + space +
         ", annotations: {" + annotations + "}}, spec: {" + spec + "}}\n";
}

std::string names_for(const Model& model, const std::string& space, const std::string& service) {
  std::string out;
  for (const auto& each : model.caller_rules_for({space, service}).policies) {
    out += each->origin.key.name + (each->dry_run ? "? " : " ");
  }
  return out;
}

std::string mistakes(const std::string& text) {
  const auto drafts = source::read_documents(text, "a.yaml");
  INFO(drafts.status().message());
  REQUIRE(drafts.ok());
  return std::string(validate(drafts->front()).message());
}

#define CHECK_TOLD(text, part)                   \
  do {                                           \
    const std::string told = text;               \
    INFO(told);                                  \
    CHECK(told.find(part) != std::string::npos); \
  } while (false)

}  // namespace

TEST_CASE("policies hold for the mesh, a namespace or a service") {
  Fed fed;
  fed.put(kCart);
  CHECK(names_for(fed.model(), "shop", "cart").empty());
  CHECK(fed.put(policy("weft-system", "mesh", "")).authorizations == std::set<std::string>{"weft-system"});
  fed.put(policy("shop", "all", "action: DENY", "weft.mesh/dry-run: \"true\""));
  fed.put(policy("shop", "cart", "targetRefs: [{kind: Service, name: cart}]"));
  CHECK(names_for(fed.model(), "shop", "cart") == "mesh all? cart ");
  CHECK(names_for(fed.model(), "shop", "till") == "mesh all? ");
  CHECK(names_for(fed.model(), "pay", "cart") == "mesh ");
  CHECK(names_for(fed.model(), "weft-system", "x") == "mesh ");
  CHECK(fed.erase({Kind::kAuthorizationPolicy, "shop", "all"}).authorizations == std::set<std::string>{"shop"});
  CHECK(names_for(fed.model(), "shop", "cart") == "mesh cart ");
}

TEST_CASE("a policy says whether its targets are there") {
  Fed fed;
  fed.put(policy("shop", "cart", "targetRefs: [{kind: Service, name: cart}]"));
  const source::Key key = {Kind::kAuthorizationPolicy, "shop", "cart"};
  CHECK(fed.warnings(key) == "ResolvedRefs is False, TargetNotFound: the service shop/cart does not exist\n");
  fed.put(kCart);
  CHECK(fed.warnings(key).empty());
  fed.erase({Kind::kService, "shop", "cart"});
  CHECK_FALSE(fed.warnings(key).empty());
}

TEST_CASE("what a policy may say is checked, each mistake with its place") {
  const auto spec = [](const std::string& text) { return mistakes(policy("shop", "a", text)); };
  const auto source = [&](const std::string& text) { return spec("rules: [{from: [{source: {" + text + "}}]}]"); };
  const auto operation = [&](const std::string& text) { return spec("rules: [{to: [{operation: {" + text + "}}]}]"); };
  const auto when = [&](const std::string& text) { return spec("rules: [{when: [{" + text + "}]}]"); };
  CHECK(spec("").empty());
  CHECK(spec("action: ALLOW, rules: [{}]").empty());
  CHECK_TOLD(spec("action: PERMIT"), "spec.action: expected one of ALLOW, DENY, AUDIT, CUSTOM; got \"PERMIT\"");
  CHECK_TOLD(spec("targetRefs: [{kind: Namespace, name: shop}]"), "spec.targetRefs[0]: expected kind Service");
  CHECK_TOLD(spec("targetRefs: [{kind: Service, name: cart, sectionName: http}]"), "to.operation.ports");
  CHECK_TOLD(mistakes(policy("weft-system", "a", "targetRefs: [{kind: Service, name: cart}]")), "expected none");
  CHECK(source("principals: ['*', 'a*', '*a', a/b]").empty());
  CHECK_TOLD(source("principals: ['a*b']"), "spec.rules[0].from[0].source.principals[0]: expected a text");
  CHECK_TOLD(source("notNamespaces: ['']"), "notNamespaces[0]");
  CHECK_TOLD(source(""), "expected at least one of its lists");
  CHECK(source("ipBlocks: [10.0.0.0/8, 'fd00::/8', 192.0.2.1]").empty());
  CHECK_TOLD(source("ipBlocks: [10.0.0.0/33]"), "expected an IP address, or one with /bits; got \"10.0.0.0/33\"");
  CHECK_TOLD(source("remoteIpBlocks: [example.org]"), "remoteIpBlocks[0]");
  CHECK(operation("paths: [/a, '/a*', '*b', '*', '/a/{*}', '/a/{*}/b/{**}'], ports: ['80'], methods: [GET]").empty());
  CHECK_TOLD(operation("paths: [a]"), "expected a path");
  CHECK_TOLD(operation("paths: ['/a/{id}']"), "expected a path");
  CHECK_TOLD(operation("paths: ['/{**}/a']"), "expected a path");
  CHECK_TOLD(operation("paths: ['/a{*}']"), "expected a path");
  CHECK_TOLD(operation("notPaths: ['/a b/{*}']"), "expected a path");
  CHECK_TOLD(operation("ports: [http]"), "expected a number from 1 to 65535; got \"http\"");
  CHECK_TOLD(operation(""), "expected at least one of its lists");
  CHECK(when("key: 'request.headers[x-a]', values: [a]").empty());
  CHECK_TOLD(when("key: request.headers, values: [a]"), "spec.rules[0].when[0].key: expected request.headers[NAME]");
  CHECK_TOLD(when("key: source.ip, values: [here]"), "when[0].values[0]: expected an IP address");
  CHECK_TOLD(when("key: destination.port, notValues: ['0']"), "when[0].notValues[0]: expected a number");
  CHECK_TOLD(when("key: connection.sni"), "expected values or notValues");
  CHECK_TOLD(mistakes(policy("shop", "a", "", "weft.mesh/dry-run: yes please")), "expected one of true, false");
  CHECK_TOLD(mistakes(policy("shop", "a", "action: AUDIT", "weft.mesh/dry-run: \"true\"")), "refuses nobody anyway");
}

TEST_CASE("keys of conditions name headers and claims in brackets") {
  const auto claim = parse_authorization_key("request.auth.claims[a.b][c]");
  REQUIRE(claim.has_value());
  CHECK(claim->kind == AuthorizationKey::Kind::kClaim);
  CHECK(claim->names == std::vector<std::string>{"a.b", "c"});
  CHECK(claim->of_request());
  CHECK_FALSE(parse_authorization_key("source.ip")->of_request());
  for (const char* wrong : {"", "request.headers", "request.headers[]", "request.headers[a][b]", "request.headers[a",
                            "request.headers[a]x", "request.auth.claims", "source.host"}) {
    INFO(wrong);
    CHECK_FALSE(parse_authorization_key(wrong).has_value());
  }
}

}  // namespace weft::control::registry
