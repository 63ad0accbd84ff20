#include "control-plane/registry/registry.h"

#include <catch2/catch.hpp>
#include <string>

#include "control-plane/registry/status.h"
#include "control-plane/registry/validate.h"
#include "gateway/v1/http_route.pb.h"
#include "tests/control-plane/registry/fed.h"
#include "weft/v1/traffic_policy.pb.h"

namespace weft::control::registry {
namespace {

using source::Kind;

const ServiceName kCart{"shop", "cart"};
const ServiceName kCartV2{"shop", "cart-v2"};

constexpr char kCartService[] = R"(
{apiVersion: v1, kind: Service, metadata: {name: cart, namespace: shop}, spec: {clusterIP: 10.1.0.1,
  ports: [{name: http, port: 80}, {name: dns, port: 53, protocol: UDP}, {name: admin, port: 9000, appProtocol: tcp}]}}
)";
constexpr char kCartSlice[] = R"(
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4,
 metadata: {name: cart-1, namespace: shop, labels: {kubernetes.io/service-name: cart}, annotations: {weft.mesh/weight: "5"}},
 ports: [{name: http, port: 8080}],
 endpoints: [{addresses: [10.0.0.2], zone: b}, {addresses: [10.0.0.1], conditions: {ready: false}},
   {addresses: [10.0.0.3], conditions: {ready: false, serving: true, terminating: true}}, {addresses: [10.0.0.2]}]}
)";
constexpr char kRoute[] = R"(
{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: canary, namespace: shop}, spec: {
  parentRefs: [{group: "", kind: Service, name: cart, port: 80}],
  rules: [{name: main, backendRefs: [{name: cart, port: 80, weight: 9}, {name: cart-v2, port: 80}]}]}}
)";
constexpr char kCartV2Service[] = R"(
{apiVersion: v1, kind: Service, metadata: {name: cart-v2, namespace: shop}, spec: {ports: [{port: 80}]}}
)";

const source::Key kRouteKey{Kind::kHttpRoute, "shop", "canary"};
const std::set<ServiceName> kOnlyCart = {kCart};

TEST_CASE("a service has its hosts, addresses and TCP ports, and the endpoints of its slices") {
  Fed fed;
  const ChangeSet changes = fed.put(kCartService);
  CHECK(changes.services == kOnlyCart);
  CHECK(changes.endpoints == kOnlyCart);
  CHECK(changes.routes == kOnlyCart);
  CHECK(changes.policies == kOnlyCart);
  const auto service = fed.model().services.find(kCart);
  REQUIRE(service != nullptr);
  CHECK(service->hosts.back() == "cart.shop.svc.cluster.local");
  CHECK(service->addresses == std::vector<std::string>{"10.1.0.1"});
  REQUIRE(service->ports.size() == 2);
  CHECK(service->ports[0].app_protocol == AppProtocol::kHttp);
  CHECK(service->ports[1].app_protocol == AppProtocol::kTcp);
  CHECK(service->origin.revision == 1);

  fed.put(kCartSlice);
  const auto& endpoints = fed.model().endpoints.find(kCart)->of(80);
  REQUIRE(endpoints.size() == 3);
  CHECK(endpoints[0].address == "10.0.0.1");
  CHECK_FALSE(endpoints[0].ready);
  CHECK_FALSE(endpoints[0].draining);
  CHECK(endpoints[1].ready);
  CHECK(endpoints[1].weight == 5);
  CHECK(endpoints[1].zone == "b");
  CHECK(endpoints[1].port == 8080);
  CHECK(endpoints[2].draining);
  CHECK_FALSE(endpoints[2].ready);
  CHECK(fed.model().endpoints.find(kCart)->of(9000).empty());
}

TEST_CASE("a change of endpoints changes nothing else, and one that changes none is none") {
  Fed fed;
  fed.put(std::string(kCartService) + "---" + kCartV2Service + "---" + kRoute);
  const auto before = fed.registry().model();
  const ChangeSet changes = fed.put(kCartSlice);
  CHECK(changes.endpoints == kOnlyCart);
  CHECK(changes.services.empty());
  CHECK(changes.routes.empty());
  CHECK(changes.policies.empty());
  CHECK(before->endpoints.find(kCart)->of(80).empty());
  CHECK(fed.model().services.find(kCart) == before->services.find(kCart));
  CHECK(fed.put(kCartSlice).empty());
  CHECK(fed.erase({Kind::kEndpointSlice, "shop", "cart-1"}).endpoints == kOnlyCart);
  CHECK(fed.model().endpoints.find(kCart)->of(80).empty());
}

TEST_CASE("slices may come before their service, and stay when it goes") {
  Fed fed;
  CHECK(fed.put(kCartSlice).empty());
  fed.put(kCartService);
  CHECK(fed.model().endpoints.find(kCart)->of(80).size() == 3);
  const ChangeSet gone = fed.erase({Kind::kService, "shop", "cart"});
  CHECK(gone.services == kOnlyCart);
  CHECK(gone.endpoints == kOnlyCart);
  CHECK(fed.model().services.size() == 0);
  CHECK(fed.model().endpoints.size() == 0);
  CHECK(fed.model().routes.size() == 0);
  CHECK(fed.model().policies.size() == 0);
  fed.put(kCartService);
  CHECK(fed.model().endpoints.find(kCart)->of(80).size() == 3);
}

TEST_CASE("a route waits for its service and its backends, and its status says for which") {
  Fed fed;
  fed.put(kRoute);
  CHECK(fed.warnings(kRouteKey) ==
        "Accepted is False, NoMatchingParent: the service shop/cart does not exist\n"
        "ResolvedRefs is False, BackendNotFound: spec.rules[0].backendRefs[0]: the service shop/cart does not exist; "
        "spec.rules[0].backendRefs[1]: the service shop/cart-v2 does not exist\n");
  fed.put(kCartService);
  CHECK(fed.warnings(kRouteKey) ==
        "ResolvedRefs is False, BackendNotFound: spec.rules[0].backendRefs[1]: the service shop/cart-v2 does not "
        "exist\n");
  auto routes = fed.model().routes_for(kCart, 80, "web");
  REQUIRE(routes.size() == 1);
  CHECK(routes[0]->rules[0].backends[0].unresolved_reason.empty());
  CHECK(routes[0]->rules[0].backends[0].weight == 9);
  CHECK(routes[0]->rules[0].backends[1].unresolved_reason == "BackendNotFound");
  CHECK(fed.model().routes_for(kCart, 9000, "web").empty());

  CHECK(fed.put(kCartV2Service).routes == std::set<ServiceName>{kCart, kCartV2});
  CHECK(fed.warnings(kRouteKey).empty());
  CHECK(fed.model().routes_for(kCart, 80, "web")[0]->rules[0].backends[1].unresolved_reason.empty());
  CHECK(fed.erase(kRouteKey).routes == kOnlyCart);
  CHECK(fed.model().routes_for(kCart, 80, "web").empty());
  CHECK(fed.registry().status(kRouteKey) == nullptr);
}

TEST_CASE("a parent's port that is not there is no parent") {
  Fed fed;
  fed.put(std::string(kCartService) + R"(---
{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: canary, namespace: shop}, spec: {
  parentRefs: [{group: "", kind: Service, name: cart, sectionName: dns}, {group: "", kind: Service, name: cart, sectionName: admin}],
  rules: [{backendRefs: [{name: cart, port: 81}]}]}})");
  CHECK(fed.warnings(kRouteKey) ==
        "Accepted is False, NoMatchingParent: the service shop/cart has no such TCP port\n"
        "ResolvedRefs is False, BackendNotFound: spec.rules[0].backendRefs[0]: the service shop/cart has no TCP port "
        "81\n");
  CHECK(fed.model().routes_for(kCart, 9000, "x").size() == 1);
  CHECK(fed.model().routes_for(kCart, 80, "x").empty());
}

TEST_CASE("a reference to another namespace needs a grant there") {
  Fed fed;
  fed.put(std::string(kCartService) + R"(---
{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: ours, namespace: web}, spec: {
  parentRefs: [{group: "", kind: Service, name: cart, namespace: shop}],
  rules: [{backendRefs: [{name: cart, namespace: shop, port: 80}]}]}})");
  const source::Key route{Kind::kHttpRoute, "web", "ours"};
  CHECK(
      fed.warnings(route) ==
      "ResolvedRefs is False, RefNotPermitted: spec.rules[0].backendRefs[0]: no ReferenceGrant in shop lets HTTPRoutes "
      "of web refer to cart\n");
  CHECK(fed.model().routes_for(kCart, 80, "web").size() == 1);
  CHECK(fed.model().routes_for(kCart, 80, "shop").empty());
  const auto grant = [](const std::string& from, const std::string& name) {
    return "{apiVersion: gateway.networking.k8s.io/v1beta1, kind: ReferenceGrant, metadata: {name: g, namespace: "
           "shop}, spec: {"
           "from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: " +
           from +
           "}],"
           "to: [{group: \"\", kind: Service, name: " +
           name + "}]}}";
  };
  fed.put(grant("pay", "cart"));
  CHECK_FALSE(fed.warnings(route).empty());
  fed.put(grant("web", "stock"));
  CHECK_FALSE(fed.warnings(route).empty());
  CHECK(fed.put(grant("web", "cart")).routes == kOnlyCart);
  CHECK(fed.warnings(route).empty());
  fed.erase({Kind::kReferenceGrant, "shop", "g"});
  CHECK_FALSE(fed.warnings(route).empty());
}

std::string policy(const std::string& name, const std::string& target, const std::string& sections,
                   const std::string& namespace_name = "shop") {
  return "---\n{apiVersion: weft.mesh/v1, kind: TrafficPolicy, metadata: {name: " + name +
         ", namespace: " + namespace_name + "}, spec: {targetRefs: [" + target + "], " + sections + "}}\n";
}

std::string request_timeout(const Fed& fed, size_t port) {
  const auto policies = fed.model().policies.find(kCart);
  REQUIRE(policies != nullptr);
  const auto& effective = policies->ports.at(port);
  return effective == nullptr ? "none" : effective->spec->timeouts().request();
}

TEST_CASE("the most specific policy wins, section by section") {
  Fed fed;
  fed.put(kCartService);
  CHECK(request_timeout(fed, 0) == "none");
  fed.put(policy("all", "{group: weft.mesh, kind: Mesh, name: default}",
                 "timeouts: {request: 1s}, circuitBreaker: {maxRequests: 7}", "weft-system"));
  CHECK(request_timeout(fed, 0) == "1s");
  fed.put(policy("ns", "{kind: Namespace, name: shop}", "timeouts: {request: 2s}"));
  CHECK(request_timeout(fed, 0) == "2s");
  fed.put(policy("svc", "{kind: Service, name: cart}", "timeouts: {request: 3s}"));
  CHECK(
      fed.put(policy("port", "{kind: Service, name: cart, sectionName: admin}", "timeouts: {request: 4s}")).policies ==
      kOnlyCart);
  CHECK(request_timeout(fed, 0) == "3s");
  CHECK(request_timeout(fed, 1) == "4s");
  const auto effective = fed.model().policies.find(kCart)->ports[1];
  CHECK(effective->spec->circuit_breaker().max_requests() == 7);
  CHECK(effective->spec->target_refs().empty());
  REQUIRE(effective->sections.size() == 2);
  CHECK(effective->sections[0].field == "timeouts");
  CHECK(effective->sections[0].origin.key.name == "port");
  CHECK(effective->sections[1].field == "circuitBreaker");
  CHECK(effective->sections[1].origin.key.name == "all");
  fed.erase({Kind::kTrafficPolicy, "shop", "svc"});
  CHECK(request_timeout(fed, 0) == "2s");
}

TEST_CASE("a policy of a backend changes the routes that lead to it") {
  Fed fed;
  fed.put(std::string(kCartService) + "---" + kCartV2Service + "---" + kRoute);
  const ChangeSet changes = fed.put(policy("hash", "{kind: Service, name: cart-v2}",
                                           "loadBalancer: {algorithm: RingHash, hashKey: {header: x-user}}"));
  CHECK(changes.policies == std::set<ServiceName>{kCartV2});
  CHECK(changes.routes == kOnlyCart);
}

TEST_CASE("of two policies with one target the older holds, and the other when it goes") {
  Fed fed;
  fed.put(kCartService);
  fed.put(policy("z-older", "{kind: Service, name: cart}", "timeouts: {request: 1s}"));
  fed.put(policy("a-newer", "{kind: Service, name: cart}", "timeouts: {request: 2s}, retry: {attempts: 1}"));
  CHECK(request_timeout(fed, 0) == "1s");
  CHECK_FALSE(fed.model().policies.find(kCart)->ports[0]->spec->has_retry());
  CHECK(fed.warnings({Kind::kTrafficPolicy, "shop", "z-older"}).empty());
  CHECK(fed.warnings({Kind::kTrafficPolicy, "shop", "a-newer"}) ==
        "Accepted is False, Conflicted: TrafficPolicy shop/z-older has this target, and is older\n");
  fed.erase({Kind::kTrafficPolicy, "shop", "z-older"});
  CHECK(request_timeout(fed, 0) == "2s");
  CHECK(fed.warnings({Kind::kTrafficPolicy, "shop", "a-newer"}).empty());
}

TEST_CASE("a policy for a route holds for its rules, and one without a target says so") {
  Fed fed;
  fed.put(std::string(kCartService) + "---" + kCartV2Service + "---" + kRoute);
  const std::string target = "{group: gateway.networking.k8s.io, kind: HTTPRoute, name: canary";
  fed.put(policy("route", target + "}", "timeouts: {request: 1s}"));
  CHECK(fed.put(policy("rule", target + ", sectionName: main}", "retry: {attempts: 3}")).routes == kOnlyCart);
  const auto effective = fed.model().routes_for(kCart, 80, "shop").at(0)->rules.at(0).policy;
  REQUIRE(effective != nullptr);
  CHECK(effective->spec->timeouts().request() == "1s");
  CHECK(effective->spec->retry().attempts() == 3);
  fed.put(policy(
      "lost",
      target + ", sectionName: other}, {kind: Service, name: stock}, {kind: Service, name: cart, sectionName: x}",
      "retry: {attempts: 3}"));
  CHECK(fed.warnings({Kind::kTrafficPolicy, "shop", "lost"}) ==
        "Accepted is False, TargetNotFound: HTTPRoute shop/canary has no rule other\n"
        "Accepted is False, TargetNotFound: Service shop/stock does not exist\n"
        "Accepted is False, TargetNotFound: Service shop/cart has no TCP port x\n");
  fed.erase(kRouteKey);
  CHECK(fed.warnings({Kind::kTrafficPolicy, "shop", "route"}) ==
        "Accepted is False, TargetNotFound: HTTPRoute shop/canary does not exist\n");
}

std::string external(const std::string& name, const std::string& hosts) {
  return "{apiVersion: weft.mesh/v1, kind: ExternalService, metadata: {name: " + name +
         ", namespace: shop}, spec: {hosts: [" + hosts +
         "], ports: [{port: 443, targetPort: 8443, appProtocol: tls}]}}";
}

TEST_CASE("of two external services with one host the older is the mesh's") {
  Fed fed;
  const ServiceName first{"shop", "z", true};
  const ServiceName second{"shop", "a", true};
  fed.put(external("z", "api.example, www.example"));
  fed.put(external("a", "api.example"));
  REQUIRE(fed.model().services.find(first) != nullptr);
  CHECK(fed.model().services.find(second) == nullptr);
  CHECK(fed.warnings({Kind::kExternalService, "shop", "a"}) ==
        "Accepted is False, Conflicted: ExternalService shop/z has the host api.example\n");
  const auto endpoints = fed.model().endpoints.find(first)->of(443);
  REQUIRE(endpoints.size() == 1);
  CHECK(endpoints[0].address == "api.example");
  CHECK(endpoints[0].port == 8443);
  const ChangeSet changes = fed.erase({Kind::kExternalService, "shop", "z"});
  CHECK(changes.services == std::set<ServiceName>{first, second});
  CHECK(fed.model().services.find(second) != nullptr);
  CHECK(fed.warnings({Kind::kExternalService, "shop", "a"}).empty());
}

TEST_CASE("a condition keeps the time since when it holds") {
  Fed fed;
  fed.put(kCartService);
  fed.put(kRoute);
  const auto time = [&](int condition) {
    const auto status = fed.registry().status(kRouteKey);
    const auto& parent = static_cast<const gateway::v1::RouteStatus&>(*status).parents(0);
    return parent.conditions(condition).last_transition_time().seconds();
  };
  CHECK(time(0) == 120);
  CHECK(time(1) == 120);
  fed.put(kCartV2Service);
  CHECK(time(0) == 120);
  CHECK(time(1) == 180);
}

TEST_CASE("status stands in the object that is shown, and in one word in tables") {
  Fed fed;
  fed.put(kRoute);
  gateway::v1::HTTPRoute content;
  CHECK(summary_of(content).empty());
  const auto shown = with_status(content, fed.registry().status(kRouteKey).get());
  CHECK(static_cast<const gateway::v1::HTTPRoute&>(*shown).status().parents(0).conditions_size() == 2);
  CHECK(summary_of(*shown) == "NoMatchingParent");
  fed.put(std::string(kCartService) + "---" + kCartV2Service);
  CHECK(summary_of(*with_status(content, fed.registry().status(kRouteKey).get())) == "Accepted");
}

WorkloadChange announced(const std::string& node, const std::string& address, uint16_t app_port) {
  const WorkloadName name{.namespace_name = "shop", .service = "cart", .node = node};
  return {name, Workload{.name = name, .address = address, .port = 15006, .app_port = app_port, .listening = true}};
}

TEST_CASE("a workload that announced itself is an endpoint of the port behind which it stands, beside the slices'") {
  Registry registry;
  const auto put = [&](const std::string& text, source::Revision revision) {
    std::vector<source::Change> changes;
    const auto drafts = source::read_documents(text, "test.yaml");
    REQUIRE(drafts.ok());
    for (const source::Draft& draft : *drafts) changes.push_back({draft.key, revision, draft.content});
    return registry.apply(revision, changes, 0);
  };
  WorkloadChange one = announced("one", "10.0.0.9", 8080);
  // Its service is not there yet.
  CHECK(registry.apply_workloads({one}).empty());
  CHECK_FALSE(registry.is_attached(*one.workload));
  put(std::string(kCartSlice) + "---\n" + R"(
{apiVersion: v1, kind: Service, metadata: {name: cart, namespace: shop}, spec: {
  ports: [{name: http, port: 80, targetPort: 8080}, {name: admin, port: 9000, targetPort: 9001}]}})",
      1);
  CHECK(registry.is_attached(*one.workload));
  const auto endpoints = [&](uint16_t port) { return registry.model()->endpoints.find(kCart)->of(port); };
  REQUIRE(endpoints(80).size() == 4);
  CHECK(endpoints(80).back().address == "10.0.0.9");
  CHECK(endpoints(80).back().port == 15006);
  CHECK(endpoints(80).back().workload == "one");
  CHECK(endpoints(9000).empty());

  const ChangeSet changed = registry.apply_workloads({announced("two", "10.0.0.8", 9001)});
  CHECK(changed.endpoints == std::set<ServiceName>{kCart});
  CHECK(changed.services.empty());
  CHECK(endpoints(9000).size() == 1);
  CHECK(registry.model()->revision == 1);

  // Where it is called by the application's own ports, it stands behind all of them.
  WorkloadChange three = announced("three", "10.0.0.7", 8080);
  three.workload->port = 8080;
  three.workload->takes_all_ports = true;
  registry.apply_workloads({three});
  CHECK(endpoints(80).size() == 5);
  REQUIRE(endpoints(9000).size() == 2);
  CHECK(endpoints(9000)[0].address == "10.0.0.7");
  CHECK(endpoints(9000)[0].port == 9001);
  registry.apply_workloads({{three.name, std::nullopt}});

  one.workload->draining = true;
  CHECK_FALSE(registry.apply_workloads({one}).empty());
  CHECK_FALSE(endpoints(80).back().ready);
  CHECK(endpoints(80).back().draining);
  // That it is away is told, and changes no endpoint.
  one.workload->away = true;
  CHECK(registry.apply_workloads({one}).empty());
  CHECK(registry.workloads().at(kCart).at("one").away);
  registry.apply_workloads({{one.name, std::nullopt}});
  CHECK(endpoints(80).size() == 3);
  CHECK(registry.workloads().at(kCart).size() == 1);
}

}  // namespace
}  // namespace weft::control::registry
