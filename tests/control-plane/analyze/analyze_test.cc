#include "control-plane/analyze/analyze.h"

#include <catch2/catch.hpp>
#include <map>

#include "tests/control-plane/compile/mesh_fixture.h"

namespace weft::control::analyze {
namespace {

constexpr char kGroup[] = "gateway.networking.k8s.io";

// A mesh of a service `cart` that is served and has nothing wrong.
class Fixture {
 public:
  Fixture() { put(served("cart", "http", 80)); }

  static std::string served(const std::string& name, const std::string& protocol, int port) {
    return service_text(name, protocol, port) +
           "---\n{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, metadata: {name: " + name +
           "-1, namespace: shop, labels: {kubernetes.io/service-name: " + name +
           "}}, ports: [{name: main, port: 8080}], endpoints: [{addresses: [10.0.0.1]}]}\n";
  }

  void put(const std::string& text) {
    const auto drafts = source::read_documents(text, "mesh.yaml");
    REQUIRE(drafts.ok());
    for (const source::Draft& draft : *drafts) objects_[draft.key] = {draft.key, 1, draft.content};
    mesh_.put(text);
  }

  Findings run() const {
    std::vector<Judged> judged;
    for (const auto& [key, object] : objects_) judged.push_back({object, mesh_.registry.status(key)});
    return analyze({mesh_.model(), judged, refusals});
  }

  // "Code object path", one a line.
  std::string found() const {
    std::string out;
    for (const Finding& finding : run()) {
      out += finding.code + " " + finding.key.name + (finding.path.empty() ? "" : " ") + finding.path + "\n";
    }
    return out;
  }

  std::vector<source::directory::Refusal> refusals;

 private:
  MeshFixture mesh_;
  std::map<source::Key, source::Object> objects_;
};

std::string route(const std::string& name, const std::string& rules, const std::string& parent = "cart",
                  const std::string& kind = "HTTPRoute", const std::string& more = "") {
  return "---\n{apiVersion: gateway.networking.k8s.io/v1, kind: " + kind + ", metadata: {name: " + name +
         ", namespace: shop}, spec: {parentRefs: [{group: \"\", kind: Service, name: " + parent + "}], " + more +
         "rules: [" + rules + "]}}\n";
}

std::string rule(const std::string& path, const std::string& more = "") {
  return "{matches: [{path: {type: PathPrefix, value: " + path + "}" + more +
         "}], backendRefs: [{name: cart, port: 80}]}";
}

TEST_CASE("a mesh with nothing wrong has no findings") {
  Fixture f;
  f.put(route("r", rule("/a") + ", " + rule("/")));
  CHECK(f.found().empty());
}

TEST_CASE("references that lead nowhere are errors that say what to do") {
  Fixture f;
  f.put(route("r", "{backendRefs: [{name: none, port: 80}]}") +
        route("lost", "{backendRefs: [{name: cart, port: 80}]}", "none") +
        route("far", "{matches: [{path: {value: /far}}], backendRefs: [{name: cart, namespace: other, port: 80}]}"));
  CHECK(f.found() == "RefNotPermitted far\nParentNotFound lost spec.parentRefs[0]\nBackendNotFound r\n");
  for (const Finding& finding : f.run()) CHECK(finding.severity == Severity::kError);
  CHECK_THAT(f.run()[0].message, Catch::Contains("add a ReferenceGrant in the backend's namespace"));
}

TEST_CASE("a rule that an earlier one takes all of is shadowed, within a route and across routes") {
  Fixture f;
  f.put(route("first", rule("/a") + ", " + rule("/a")));
  f.put(route("second", rule("/a", ", headers: [{name: x, value: a}]") + ", " + rule("/a")));
  f.put(route("third", rule("/") + ", " + rule("/b")));
  f.put(route("fourth", "{backendRefs: [{name: cart, port: 80}]}"));
  CHECK(f.found() ==
        "ShadowedRule first spec.rules[1]\nShadowedRule fourth spec.rules[0]\nShadowedRule second spec.rules[1]\n");
  const Findings findings = f.run();
  CHECK(findings[0].severity == Severity::kWarning);
  CHECK_THAT(findings[2].message, Catch::Contains("HTTPRoute shop/first, spec.rules[0], takes all of them first"));
}

TEST_CASE("a rule is not shadowed while one of its matches is reached") {
  Fixture f;
  f.put(route("r", rule("/a") + ", {matches: [{path: {value: /a}}, {path: {value: /c}}], "
                                "backendRefs: [{name: cart, port: 80}]}"));
  CHECK(f.found().empty());
}

TEST_CASE("of stream routes the older takes all, by name where there are names") {
  Fixture f;
  f.put(Fixture::served("db", "tls", 5432));
  const std::string backend = "{backendRefs: [{name: db, port: 5432}]}";
  f.put(route("tcp-1", backend, "db", "TCPRoute"));
  f.put(route("tcp-2", backend, "db", "TCPRoute"));
  f.put(route("tls-1", backend, "db", "TLSRoute", "hostnames: [a.example, b.example], "));
  f.put(route("tls-2", backend, "db", "TLSRoute", "hostnames: [b.example], "));
  f.put(route("tls-3", backend, "db", "TLSRoute", "hostnames: [b.example, c.example], "));
  CHECK(f.found() == "ShadowedRule tcp-2 spec.rules[0]\nShadowedRule tls-2 spec.rules[0]\n");
}

TEST_CASE("a route of another protocol than its port is told") {
  Fixture f;
  f.put(Fixture::served("db", "tcp", 5432));
  f.put(route("http", "{backendRefs: [{name: db, port: 5432}]}", "db"));
  f.put(route("tcp", "{backendRefs: [{name: cart, port: 80}]}", "cart", "TCPRoute"));
  CHECK(f.found() == "RouteProtocol http spec.parentRefs\nRouteProtocol tcp spec.parentRefs\n");
  CHECK(f.run()[0].severity == Severity::kError);
  CHECK(f.run()[1].severity == Severity::kWarning);
}

TEST_CASE("backends without traffic or without endpoints are told") {
  Fixture f;
  f.put(service_text("empty", "http", 80));
  f.put(route("r", "{backendRefs: [{name: cart, port: 80, weight: 0}]}"));
  f.put(route("s",
              "{matches: [{path: {value: /s}}], backendRefs: [{name: cart, port: 80}, {name: empty, port: 80}, "
              "{name: empty, port: 80, weight: 0}]}"));
  CHECK(f.found() ==
        "ZeroWeights r spec.rules[0]\nBackendWithoutEndpoints s spec.rules[0].backendRefs[1]\nNoEndpoints empty\n");
}

TEST_CASE("a service whose calls keep their destination needs no endpoints, and nothing chooses among them") {
  Fixture f;
  f.put(R"(
{apiVersion: weft.mesh/v1, kind: ExternalService, metadata: {name: wild, namespace: shop},
 spec: {hosts: ["*.example.com"], resolution: None, ports: [{name: http, port: 80}, {name: https, port: 443}]}}
---
{apiVersion: weft.mesh/v1, kind: TrafficPolicy, metadata: {name: p, namespace: shop},
 spec: {targetRefs: [{group: weft.mesh, kind: ExternalService, name: wild}], timeouts: {connect: 1s},
        loadBalancer: {algorithm: Random}, outlierDetection: {consecutiveErrors: 3}}}
)");
  f.put(route("r", "{backendRefs: [{group: weft.mesh, kind: ExternalService, name: wild, port: 80}]}", "cart"));
  CHECK(f.found() == "SectionNotApplied p spec.loadBalancer\nSectionNotApplied p spec.outlierDetection\n");
  CHECK(f.run()[0].severity == Severity::kInfo);
}

TEST_CASE("services that nobody serves, and slices of nobody") {
  Fixture f;
  f.put(
      "{apiVersion: v1, kind: Service, metadata: {name: two, namespace: shop}, spec: {ports: [{name: a, port: 80}, "
      "{name: b, port: 81}, {name: c, port: 82}]}}\n---\n"
      "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, metadata: {name: two-1, namespace: "
      "shop, labels: {kubernetes.io/service-name: two}}, ports: [{name: a, port: 1}, {name: x, port: 3}], "
      "endpoints: [{addresses: [10.0.0.1], conditions: {ready: false}}]}\n---\n"
      "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, metadata: {name: two-2, namespace: "
      "shop, labels: {kubernetes.io/service-name: two}}, ports: [{name: b, port: 1}], "
      "endpoints: [{addresses: [10.0.0.2]}]}\n---\n"
      "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, metadata: {name: lost, namespace: "
      "shop, labels: {kubernetes.io/service-name: none}}, ports: [{name: a, port: 1}]}");
  CHECK(f.found() ==
        "NoReadyEndpoints two spec.ports[0]\nPortNotServed two spec.ports[2]\nSliceWithoutService lost "
        "metadata.labels\nSlicePortUnused two-1 ports[1]\n");
}

TEST_CASE("policies in each other's way say who wins, and those of nothing that they do nothing") {
  Fixture f;
  const auto policy = [](const std::string& name, const std::string& target) {
    return "{apiVersion: weft.mesh/v1, kind: TrafficPolicy, metadata: {name: " + name +
           ", namespace: shop}, spec: {targetRefs: [{kind: Service, name: " + target + "}], retry: {attempts: 1}}}";
  };
  f.put(policy("older", "cart"));
  f.put(policy("newer", "cart") + "\n---\n" + policy("lost", "none"));
  CHECK(f.found() == "PolicyTargetNotFound lost spec.targetRefs[0]\nPolicyConflict newer spec.targetRefs[0]\n");
  CHECK_THAT(f.run()[1].message, Catch::Contains("TrafficPolicy shop/older has this target, and is older, so it wins"));
}

TEST_CASE("attempts that the request's time does not allow are told, whoever asks for them") {
  Fixture f;
  f.put(
      "{apiVersion: weft.mesh/v1, kind: TrafficPolicy, metadata: {name: p, namespace: shop}, spec: {targetRefs: "
      "[{kind: Service, name: cart}], timeouts: {request: 1s, backendRequest: 400ms}, retry: {attempts: 2}}}");
  f.put(route("r", rule("/")));
  CHECK(f.found() == "TimeoutBeforeRetries r spec.rules[0]\n");
  CHECK_THAT(f.run()[0].message, Catch::Contains("3 attempts of 400 ms may take 1200 ms"));
}

TEST_CASE("grants that nobody uses or that grant nothing are superfluous") {
  Fixture f;
  f.put(service_text("own", "http", 80, "web"));
  f.put(std::string("{apiVersion: ") + kGroup +
        "/v1beta1, kind: ReferenceGrant, metadata: {name: g, namespace: web}, "
        "spec: {from: [{group: " +
        kGroup + ", kind: HTTPRoute, namespace: shop}, {group: " + kGroup +
        ", kind: GRPCRoute, namespace: shop}], to: [{group: \"\", kind: Service, name: own}, "
        "{group: \"\", kind: Service, name: none}]}}");
  f.put(route("r", "{backendRefs: [{name: own, namespace: web, port: 80, weight: 0}, {name: cart, port: 80}]}"));
  CHECK(f.found() == "NoEndpoints own\nUnusedGrant g spec.from[1]\nGrantToNothing g spec.to[1]\n");
  CHECK(f.run()[1].severity == Severity::kInfo);
}

TEST_CASE("a host that two external services have, and a file that is refused, are errors") {
  Fixture f;
  const auto external = [](const std::string& name) {
    return "{apiVersion: weft.mesh/v1, kind: ExternalService, metadata: {name: " + name +
           ", namespace: shop}, spec: {hosts: [api.example], ports: [{port: 443}]}}";
  };
  f.put(external("z"));
  f.put(external("a"));
  f.refusals = {{"/etc/weft/a.yaml", "/etc/weft/a.yaml:1:1: not YAML"}};
  CHECK(f.found() == "RefusedFile \nDuplicateHost a spec.hosts\n");
  CHECK(f.run()[0].message == "/etc/weft/a.yaml:1:1: not YAML");
}

TEST_CASE("a change is responsible for what is wrong with its objects and for what it brings elsewhere") {
  const source::Key a{source::Kind::kService, "shop", "a"};
  const source::Key b{source::Kind::kService, "shop", "b"};
  const Finding of_a{Severity::kWarning, "NoEndpoints", a, "", "x"};
  const Finding of_b{Severity::kWarning, "NoEndpoints", b, "", "x"};
  CHECK(of_change({of_b}, {of_a, of_b}, {}) == Findings{of_a});
  CHECK(of_change({of_a, of_b}, {of_a, of_b}, {b}) == Findings{of_b});
}

std::string callers(const std::string& spec) {
  return "---\n{apiVersion: weft.mesh/v1, kind: AuthorizationPolicy, metadata: {name: p, namespace: shop}, spec: {" +
         spec + "}}\n";
}

TEST_CASE("a policy that matches nothing, or that allows nothing, is told") {
  Fixture mesh;
  mesh.put(callers("action: DENY"));
  CHECK(mesh.found() == "PolicyWithoutRules p spec.rules\n");
  mesh.put(callers(""));
  CHECK(mesh.found() == "AllowsNothing p spec.rules\n");
  mesh.put(callers("rules: [{}]"));
  CHECK(mesh.found().empty());
  mesh.put(callers("rules: [{}], targetRefs: [{kind: Service, name: till}]"));
  CHECK(mesh.found() == "PolicyTargetNotFound p spec.targetRefs\n");
}

TEST_CASE("rules that ask connections for what only requests have are told") {
  Fixture mesh;
  mesh.put(Fixture::served("db", "tcp", 5432));
  const std::string paths = "rules: [{to: [{operation: {paths: [/a]}}]}]";
  const std::string of_db = ", targetRefs: [{kind: Service, name: db}]";
  mesh.put(callers(paths));
  CHECK(mesh.found().empty());
  mesh.put(callers(paths + of_db));
  CHECK(mesh.found() == "RuleNeverMatches p spec.rules[0]\n");
  mesh.put(callers("action: DENY, " + paths));
  CHECK(mesh.found() == "DenyWithoutRequests p spec.rules[0]\n");
  mesh.put(callers("action: DENY, " + paths + ", targetRefs: [{kind: Service, name: cart}]"));
  CHECK(mesh.found().empty());
}

TEST_CASE("a provider that is not there, or of whom a policy asks what nobody can answer, is told") {
  const auto custom = [](const std::string& rules, const std::string& of) {
    return callers("action: CUSTOM, provider: {name: ask}, rules: [" + rules +
                   "], targetRefs: [{kind: Service, name: " + of + "}]");
  };
  Fixture mesh;
  mesh.put(Fixture::served("db", "tcp", 5432));
  mesh.put(custom("{}", "cart"));
  CHECK(mesh.found() == "ProviderNotFound p spec.provider\n");
  mesh.put(
      "---\n{apiVersion: weft.mesh/v1, kind: ExternalAuthorizer, metadata: {name: ask, namespace: shop}, spec: "
      "{backendRef: {name: cart, port: 81}, http: {}}}\n");
  CHECK(mesh.found() == "ProviderNotFound p spec.provider\nBackendNotFound ask spec.backendRef\n");
  mesh.put(
      "---\n{apiVersion: weft.mesh/v1, kind: ExternalAuthorizer, metadata: {name: ask, namespace: shop}, spec: "
      "{backendRef: {name: cart, port: 80}, http: {}}}\n");
  CHECK(mesh.found().empty());
  mesh.put(custom("{}", "db"));
  CHECK(mesh.found() == "CustomWithoutRequests p spec.rules[0]\n");
  mesh.put(custom("{to: [{operation: {ports: [\"1\"]}}]}", "db"));
  CHECK(mesh.found().empty());
}

TEST_CASE("tokens that nobody takes, nobody asks for or nobody can have are told") {
  const auto tokens = [](const std::string& spec, const std::string& keys = "https://keys.example/") {
    return "---\n{apiVersion: weft.mesh/v1, kind: RequestAuthentication, metadata: {name: t, namespace: shop}, spec: "
           "{" +
           spec + "jwtRules: [{issuer: me, jwksUri: \"" + keys + "\"}]}}\n";
  };
  Fixture mesh;
  mesh.put(callers("rules: [{from: [{source: {requestPrincipals: [\"*\"]}}]}]"));
  CHECK(mesh.found() == "TokensNotTaken p spec.rules[0]\n");
  mesh.put(callers("rules: [{when: [{key: \"request.auth.claims[group]\", values: [a]}]}]"));
  CHECK(mesh.found() == "TokensNotTaken p spec.rules[0]\n");
  mesh.put(tokens(""));
  CHECK(mesh.found().empty());
  mesh.put(tokens("", "http://cart.shop.svc/keys"));
  CHECK(mesh.found().empty());
  for (const char* keys : {"http://cart.shop.svc.cluster.local:81/keys", "http://till.shop.svc/keys"}) {
    mesh.put(tokens("", keys));
    CHECK(mesh.found() == "KeysNotFound t spec.jwtRules[0].jwksUri\n");
  }
  mesh.put(tokens(""));
  // Whoever has no token is not known by one either.
  mesh.put(callers("action: DENY, rules: [{from: [{source: {notRequestPrincipals: [\"*\"]}}]}]"));
  CHECK(mesh.found().empty());
  mesh.put(callers("rules: [{when: [{key: \"request.headers[x-a]\", values: [a]}]}]"));
  CHECK(mesh.found() == "TokensNotRequired t spec.targetRefs\n");
  mesh.put(Fixture::served("db", "tcp", 5432));
  mesh.put(tokens("targetRefs: [{kind: Service, name: db}], "));
  CHECK(mesh.found().find("TokensWithoutRequests t spec.targetRefs\n") != std::string::npos);
  mesh.put(tokens("targetRefs: [{kind: Service, name: till}], "));
  CHECK(mesh.found().find("PolicyTargetNotFound t spec.targetRefs\n") != std::string::npos);
}

}  // namespace
}  // namespace weft::control::analyze
