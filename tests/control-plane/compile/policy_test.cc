#include "control-plane/compile/policy.h"

#include <catch2/catch.hpp>

#include "control-plane/compile/compile.h"
#include "control-plane/compile/route.h"
#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/config/endpoint/v3/endpoint.pb.h"
#include "envoy/config/route/v3/route_components.pb.h"
#include "tests/control-plane/compile/mesh_fixture.h"
#include "weft/v1/traffic_policy.pb.h"

namespace weft::control::compile {
namespace {

using envoy::config::cluster::v3::Cluster;
using envoy::config::endpoint::v3::ClusterLoadAssignment;
using envoy::config::route::v3::RouteAction;
using envoy::config::route::v3::VirtualHost;

std::string policy(const std::string& name, const std::string& target, const std::string& sections) {
  return "---\n{apiVersion: weft.mesh/v1, kind: TrafficPolicy, metadata: {name: " + name +
         ", namespace: shop}, spec: {targetRefs: [" + target + "], " + sections + "}}\n";
}

RouteAction action(const MeshFixture& mesh) {
  VirtualHost host;
  std::set<std::string> clusters;
  compile_routes(mesh.model(), *mesh.model().services.find({"shop", "cart"}), 80, {.namespace_name = "shop"}, host,
                 clusters);
  REQUIRE(host.routes_size() == 1);
  return host.routes(0).route();
}

template <typename Message>
Message resource(const MeshFixture& mesh, snapshot::Type type, const std::string& zone = "") {
  Cache cache;
  Compiled compiled = compile_all({mesh.model(), {.namespace_name = "shop", .zone = zone}}, cache);
  google::protobuf::Any any;
  Message message;
  const auto& resources = compiled[static_cast<size_t>(type)];
  const auto found = resources.find("shop/cart:80");
  REQUIRE(found != resources.end());
  REQUIRE(any.ParseFromString((*found)->any));
  REQUIRE(any.UnpackTo(&message));
  return message;
}

TEST_CASE("a policy of retries that names nothing tries again what was not processed") {
  RouteAction out;
  set_retry({}, out);
  CHECK(out.retry_policy().retry_on() == "connect-failure,refused-stream,reset-before-request");
  CHECK(out.retry_policy().num_retries().value() == 1);
  CHECK_FALSE(out.retry_policy().has_retry_back_off());
  v1::Retry retry;
  retry.add_codes(503);
  retry.set_max_backoff("10ms");
  set_retry(retry, out);
  CHECK(out.retry_policy().retry_on() == "retriable-status-codes");
  // The least is never more than the greatest.
  CHECK(out.retry_policy().retry_back_off().base_interval().nanos() == 10'000'000);
  CHECK(out.retry_policy().retry_back_off().max_interval().nanos() == 10'000'000);
  retry.set_max_backoff("1s");
  set_retry(retry, out);
  CHECK(out.retry_policy().retry_back_off().base_interval().nanos() == 25'000'000);
  // What an outer policy said of the times between attempts does not stay.
  set_retry({}, out);
  CHECK_FALSE(out.retry_policy().has_retry_back_off());
}

TEST_CASE("requests are hashed as the balancers of their backends ask, each way once") {
  MeshFixture mesh;
  mesh.put(service_text("cart", "http", 80) + service_text("v2", "http", 80));
  CHECK(action(mesh).hash_policy().empty());
  mesh.put(policy("cart", "{kind: Service, name: cart}, {kind: Service, name: v2}",
                  "loadBalancer: {algorithm: RingHash, hashKey: {header: x-user}}"));
  REQUIRE(action(mesh).hash_policy_size() == 1);
  CHECK(action(mesh).hash_policy(0).header().header_name() == "x-user");
  mesh.put(
      "{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: r, namespace: shop}, spec: "
      "{parentRefs: [{group: \"\", kind: Service, name: cart}], rules: [{backendRefs: [{name: cart, port: 80}, {name: "
      "v2, port: 80}]}]}}");
  CHECK(action(mesh).hash_policy_size() == 1);
  mesh.put(policy("v2", "{kind: Service, name: v2, sectionName: main}",
                  "loadBalancer: {algorithm: Maglev, hashKey: {cookie: session}}"));
  REQUIRE(action(mesh).hash_policy_size() == 2);
  CHECK(action(mesh).hash_policy(1).cookie().name() == "session");
  CHECK(action(mesh).hash_policy(1).cookie().has_ttl());
}

TEST_CASE("where a policy prefers the caller's zone its endpoints go first, while there are some") {
  MeshFixture mesh;
  mesh.put(service_text("cart", "http", 80) + R"(---
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4,
 metadata: {name: cart-1, namespace: shop, labels: {kubernetes.io/service-name: cart}}, ports: [{name: main, port: 1}],
 endpoints: [{addresses: [10.0.0.1], zone: a}, {addresses: [10.0.0.2], zone: b}]})");
  const auto priorities = [&](const std::string& zone) {
    std::string out;
    const auto assignment = resource<ClusterLoadAssignment>(mesh, snapshot::Type::kEndpoint, zone);
    for (const auto& each : assignment.endpoints()) {
      out += each.locality().zone() + std::to_string(each.priority());
    }
    return out;
  };
  CHECK(priorities("b") == "a0b0");
  mesh.put(policy("zones", "{kind: Service, name: cart}", "loadBalancer: {preferZone: true}"));
  CHECK(priorities("b") == "a1b0");
  CHECK(priorities("a") == "a0b1");
  CHECK(priorities("c") == "a0b0");
  CHECK(priorities("") == "a0b0");
}

TEST_CASE("a slow start is the round robin's or the least request's") {
  MeshFixture mesh;
  mesh.put(service_text("cart", "http", 80) +
           policy("slow", "{kind: Service, name: cart}", "loadBalancer: {algorithm: RoundRobin, slowStart: 30s}"));
  CHECK(resource<Cluster>(mesh, snapshot::Type::kCluster)
            .round_robin_lb_config()
            .slow_start_config()
            .slow_start_window()
            .seconds() == 30);
}

}  // namespace
}  // namespace weft::control::compile
