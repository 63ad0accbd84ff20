#include "control-plane/registry/validate.h"

#include <catch2/catch.hpp>
#include <string>

namespace weft::control::registry {
namespace {

std::string mistakes(const std::string& text) {
  const auto drafts = source::read_documents(text, "a.yaml");
  INFO(drafts.status().message());
  REQUIRE(drafts.ok());
  REQUIRE(drafts->size() == 1);
  return std::string(validate(drafts->front()).message());
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

#define CHECK_TOLD(text, part) \
  do {                         \
    INFO(text);                \
    CHECK(has(text, part));    \
  } while (false)

TEST_CASE("a service's mistakes are told with their places") {
  const std::string text = mistakes(R"(apiVersion: v1
kind: Service
metadata: {name: Cart}
spec:
  clusterIP: ten
  sessionAffinity: ClientIP
  ports:
  - {name: http, port: 80, targetPort: 0}
  - {name: http, port: 80}
  - {port: 70000, protocol: ICMP, appProtocol: gopher}
)");
  CHECK_TOLD(text, "a.yaml:3:12: metadata.name: expected a DNS label");
  CHECK_TOLD(text, "a.yaml:5:3: spec.clusterIP: expected an IP address or None; got \"ten\"");
  CHECK_TOLD(text, "a.yaml:6:3: spec.sessionAffinity: expected None; got \"ClientIP\"");
  CHECK_TOLD(text, "spec.ports[0].targetPort: expected a number from 1 to 65535");
  CHECK_TOLD(text, "a.yaml:9:6: spec.ports[1].name: another port has the name \"http\"");
  CHECK_TOLD(text, "spec.ports[1].port: another port has the number 80");
  CHECK_TOLD(text, "a.yaml:10:6: spec.ports[2].port: expected 1 to 65535; got 70000");
  CHECK_TOLD(text, "spec.ports[2].name: expected a DNS label, as there are several ports");
  CHECK_TOLD(text, "spec.ports[2].protocol: expected one of TCP, UDP, SCTP; got \"ICMP\"");
  CHECK_TOLD(text, "spec.ports[2].appProtocol: expected one of http");
}

TEST_CASE("right objects have no mistakes") {
  CHECK(mistakes("{apiVersion: v1, kind: Namespace, metadata: {name: shop}}").empty());
  CHECK(mistakes("{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {clusterIP: None}}").empty());
  CHECK(mistakes(R"({apiVersion: v1, kind: Service, metadata: {name: a}, spec: {type: ExternalName,
    externalName: db.example.org, ports: [{port: 53, protocol: UDP, name: u}, {port: 53, name: t}]}})")
            .empty());
  CHECK(mistakes(R"({apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: a}, spec: {
    parentRefs: [{group: "", kind: Service, name: a, port: 80}], rules: [{
    matches: [{path: {type: RegularExpression, value: "/v[0-9]+"}, method: GET}],
    filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}],
    timeouts: {request: 10s, backendRequest: 2s}, retry: {codes: [503], attempts: 2, backoff: 100ms},
    backendRefs: [{name: b, port: 80, weight: 0}]}]}})")
            .empty());
}

TEST_CASE("an endpoint slice says whose it is, and has addresses of its type") {
  const std::string text = mistakes(R"({apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: a,
    annotations: {weft.mesh/weight: heavy}}, addressType: IPv4, ports: [{port: 0}],
    endpoints: [{addresses: ["fd00::1"]}, {}]})");
  CHECK_TOLD(text, "metadata.labels: expected the label kubernetes.io/service-name");
  CHECK_TOLD(text, "metadata.annotations[\"weft.mesh/weight\"]: expected a number from 1 to 1000000; got \"heavy\"");
  CHECK_TOLD(text, "endpoints[0].addresses[0]: expected an IPv4 address; got \"fd00::1\"");
  CHECK_TOLD(text, "endpoints[1].addresses: expected an address");
  CHECK_TOLD(text, "ports[0].port: expected 1 to 65535; got 0");
}

TEST_CASE("a route's mistakes are told with their places") {
  const std::string text = mistakes(R"(apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: a}
spec:
  hostnames: [a.example]
  parentRefs:
  - {name: edge}
  rules:
  - matches:
    - path: {type: RegularExpression, value: "("}
    - path: {value: v2}
      headers: [{name: "a b", value: x}]
    filters:
    - {type: RequestRedirect, requestRedirect: {statusCode: 404}}
    - {type: URLRewrite, requestMirror: {backendRef: {name: m, port: 80}}}
    timeouts: {request: 1s, backendRequest: 2s}
    retry: {codes: [200], backoff: soon}
    backendRefs:
    - {name: b, weight: 1000001}
)");
  CHECK_TOLD(text, "a.yaml:5:3: spec.hostnames: expected none");
  CHECK_TOLD(text, "a.yaml:7:5: spec.parentRefs[0]: expected kind Service with group \"\"");
  CHECK_TOLD(text, "spec.rules[0].matches[0].path.value: not a regular expression");
  CHECK_TOLD(text, "spec.rules[0].matches[1].path.value: expected a path that begins with /");
  CHECK_TOLD(text, "spec.rules[0].matches[1].headers[0].name: expected a header's name");
  CHECK_TOLD(text, "spec.rules[0].filters[0].requestRedirect.statusCode: expected 301");
  CHECK_TOLD(text, "spec.rules[0].filters[1].urlRewrite: expected it, as type is URLRewrite");
  CHECK_TOLD(text, "spec.rules[0].filters[1].requestMirror: type is URLRewrite");
  CHECK_TOLD(text, "spec.rules[0].timeouts.backendRequest: expected at most timeouts.request");
  CHECK_TOLD(text, "spec.rules[0].retry.codes[0]: expected 400 to 599; got 200");
  CHECK_TOLD(text, "spec.rules[0].retry.backoff: expected a duration");
  CHECK_TOLD(text, "a.yaml:19:7: spec.rules[0].backendRefs[0].port: expected 1 to 65535; got 0");
  CHECK_TOLD(text, "spec.rules[0].backendRefs[0].weight: expected 0 to 1000000; got 1000001");
  CHECK_TOLD(text, "spec.rules[0].backendRefs: expected none, as the rule redirects every request");
}

TEST_CASE("a policy's mistakes are told") {
  const std::string text = mistakes(R"({apiVersion: weft.mesh/v1, kind: TrafficPolicy, metadata: {name: a}, spec: {
    targetRefs: [{kind: Namespace, name: other}, {group: weft.mesh, kind: Mesh, name: default},
      {group: gateway.networking.k8s.io, kind: HTTPRoute, name: a}, {kind: Pod, name: a}],
    timeouts: {request: 5sec}, retry: {on: [sunday], backoff: 2s, maxBackoff: 1s},
    circuitBreaker: {maxRequests: 1}, outlierDetection: {maxEjectionPercent: 101}, healthCheck: {interval: 1s},
    loadBalancer: {algorithm: Maglev}}})");
  CHECK_TOLD(text, "spec.targetRefs[0].name: expected the policy's own namespace, default; got \"other\"");
  CHECK_TOLD(text, "spec.targetRefs[1]: only policies of the namespace weft-system hold for the mesh");
  CHECK_TOLD(text, "spec.targetRefs[3]: expected kind Service or Namespace");
  CHECK_TOLD(text, "spec.circuitBreaker: a route cannot have it");
  CHECK_TOLD(text, "spec.timeouts.request: expected a duration");
  CHECK_TOLD(text, "spec.retry.on[0]: expected one of connect-failure");
  CHECK_TOLD(text, "spec.retry.maxBackoff: expected at least retry.backoff");
  CHECK_TOLD(text, "spec.outlierDetection.maxEjectionPercent: expected 0 to 100; got 101");
  CHECK_TOLD(text, "spec.healthCheck: expected one of http, tcp and grpc; got 0");
  CHECK_TOLD(text, "spec.loadBalancer.hashKey: expected one of header");
}

TEST_CASE("what connections without requests cannot have is told") {
  const std::string text = mistakes(R"({apiVersion: weft.mesh/v1, kind: TrafficPolicy, metadata: {name: a}, spec: {
    targetRefs: [{group: gateway.networking.k8s.io, kind: TCPRoute, name: a}],
    timeouts: {request: 5s, backendRequest: 1s, idle: 1h}, retry: {attempts: 2, codes: [503], on: [reset], backoff: 1s}}})");
  CHECK_TOLD(text, "spec.timeouts.request: a TCPRoute or TLSRoute cannot have it");
  CHECK_TOLD(text, "spec.timeouts.backendRequest: a TCPRoute or TLSRoute cannot have it");
  CHECK_TOLD(text, "spec.retry.codes: a TCPRoute or TLSRoute cannot have it");
  CHECK_TOLD(text, "spec.retry.on: a TCPRoute or TLSRoute cannot have it");
  CHECK_TOLD(text, "spec.retry.backoff: a TCPRoute or TLSRoute cannot have it");
  CHECK(text.find("idle") == std::string::npos);
  CHECK(text.find("attempts") == std::string::npos);
}

TEST_CASE("a TLSRoute's mistakes are told") {
  const std::string text =
      mistakes(R"({apiVersion: gateway.networking.k8s.io/v1, kind: TLSRoute, metadata: {name: a}, spec: {
    parentRefs: [{group: "", kind: Service, name: a}], hostnames: [10.0.0.1, a.example, a.example, "*", b.*.example],
    rules: [{backendRefs: [{name: a, port: 1}]}, {backendRefs: []}]}})");
  CHECK_TOLD(text, "spec.hostnames[0]: expected a DNS name, or one with *. before; got \"10.0.0.1\"");
  CHECK_TOLD(text, "spec.hostnames[2]: the name stands a second time");
  CHECK_TOLD(text, "spec.hostnames[3]: expected a DNS name");
  CHECK_TOLD(text, "spec.hostnames[4]: expected a DNS name");
  CHECK_TOLD(text, "spec.rules[1].backendRefs: expected at least one backend");
  CHECK_TOLD(text, "spec.rules[1]: expected one rule");
}

TEST_CASE("a PeerAuthentication's mistakes are told") {
  const std::string text = mistakes(R"({apiVersion: weft.mesh/v1, kind: PeerAuthentication, metadata: {name: a}, spec: {
    mtls: {mode: MAYBE}, portLevelMtls: {80: {mode: STRICT}, 70000: {mode: strict}}}})");
  CHECK_TOLD(text, "spec.mtls.mode: expected");
  CHECK_TOLD(text, "spec.portLevelMtls: expected none without spec.services");
  CHECK_TOLD(text, "spec.portLevelMtls[\"70000\"]");
  CHECK_TOLD(
      mistakes(R"({apiVersion: weft.mesh/v1, kind: PeerAuthentication, metadata: {name: a, namespace: weft-system},
    spec: {services: [cart, cart]}})"),
      "spec.services[1]: the service stands a second time");
  CHECK_TOLD(
      mistakes(R"({apiVersion: v1, kind: Service, metadata: {name: a, annotations: {weft.mesh/service-accounts: "A b"}},
    spec: {ports: [{port: 80}]}})"),
      "expected names of service accounts between commas");
}

TEST_CASE("wildcard hosts are of services whose names nobody has to look up") {
  const auto external = [](const std::string& host, const std::string& more) {
    return mistakes("apiVersion: weft.mesh/v1\nkind: ExternalService\nmetadata: {name: wild}\nspec: {hosts: [\"" +
                    host + "\"], " + more + "}\n");
  };
  const std::string ports = "ports: [{name: https, port: 443}]";
  CHECK(external("*.example.com", "resolution: None, " + ports).empty());
  CHECK(external("*.com", "resolution: Static, endpoints: [{address: 10.0.0.1}], " + ports).empty());
  CHECK(external("api.example.com", "resolution: None, addresses: [10.0.0.1], ports: [{name: tcp, port: 1}]").empty());
  for (const char* resolution : {"", "resolution: DNS, "}) {
    CHECK_TOLD(external("*.example.com", resolution + ports),
               "spec.hosts[0]: \"*.example.com\" cannot be looked up by DNS; expected spec.resolution None");
  }
  for (const char* host : {"*", "*.", "a.*.com", "*a.com", "*.*.com"}) {
    CHECK_TOLD(external(host, "resolution: None, " + ports),
               "spec.hosts[0]: expected a DNS name in lower case, or one");
  }
  CHECK_TOLD(external("*.a.b", "resolution: None, endpoints: [{address: 10.0.0.1}], " + ports),
             "spec.endpoints: expected none, as resolution is None");
  CHECK_TOLD(external("*.a.b", "resolution: None, ports: [{port: 443, targetPort: 8443}]"),
             "spec.ports[0].targetPort: expected none, as resolution is None");
  CHECK_TOLD(external("*.a.b", "resolution: None, ports: [{name: tcp, port: 5432}]"),
             "spec.ports[0].appProtocol: such connections name no host");
}

}  // namespace
}  // namespace weft::control::registry
