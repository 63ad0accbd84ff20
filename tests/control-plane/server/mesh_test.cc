#include "control-plane/server/mesh.h"

#include <catch2/catch.hpp>

#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/config/core/v3/base.pb.h"
#include "envoy/config/route/v3/route.pb.h"
#include "gateway/v1/http_route.pb.h"
#include "weft/v1/traffic_policy.pb.h"

namespace weft::server {
namespace {

using snapshot::Type;

const registry::ServiceName kCart{.namespace_name = "shop", .name = "cart"};

void add_service(registry::Model& model, const registry::ServiceName& name) {
  auto service = std::make_shared<registry::Service>();
  service->name = name;
  service->hosts = {name.name, name.name + "." + name.namespace_name};
  service->ports = {{"", 80, registry::AppProtocol::kHttp}};
  model.services.set(name, service);
  model.endpoints.set(name, std::make_shared<registry::Endpoints>());
  model.routes.set(name, std::make_shared<registry::Routes>());
  model.policies.set(name, std::make_shared<registry::Policies>());
}

void set_endpoint(registry::Model& model, const registry::ServiceName& name, uint16_t port) {
  auto endpoints = std::make_shared<registry::Endpoints>();
  registry::Endpoint endpoint;
  endpoint.address = "127.0.0.1";
  endpoint.port = port;
  endpoints->ports.push_back({80, {endpoint}});
  model.endpoints.set(name, endpoints);
}

envoy::config::core::v3::Node node(const std::string& agent, const std::string& namespace_name, double outbound_port) {
  envoy::config::core::v3::Node node;
  node.set_user_agent_name(agent);
  (*node.mutable_metadata()->mutable_fields())["namespace"].set_string_value(namespace_name);
  (*node.mutable_metadata()->mutable_fields())["outbound_port"].set_number_value(outbound_port);
  return node;
}

template <typename Message>
Message content(const snapshot::View& view, Type type, const std::string& name) {
  const snapshot::ResourcePointer resource = view.find(type, name);
  REQUIRE(resource != nullptr);
  google::protobuf::Any any;
  Message message;
  REQUIRE((any.ParseFromString(resource->any) && any.UnpackTo(&message)));
  return message;
}

struct Fixture {
  Fixture() : mesh(std::make_shared<registry::Model>(), {}) {}

  void commit(const registry::ChangeSet& changed, int64_t now_ms) {
    mesh.set(std::make_shared<registry::Model>(model), changed, now_ms);
  }
  void add_cart() {
    add_service(model, kCart);
    commit({.services = {kCart}}, 0);
    REQUIRE(mesh.advance(100));
  }

  registry::Model model;
  Mesh mesh;
};

TEST_CASE("a node's metadata says where it belongs") {
  const compile::Audience proxy = audience_of(node("envoy", "shop", 15001));
  CHECK(proxy.namespace_name == "shop");
  CHECK(proxy.outbound_port == 15001);
  const compile::Audience client = audience_of(node("gRPC Go", "shop", 15001));
  CHECK(client.is_grpc_client);
  CHECK(client.outbound_port == 0);
  CHECK(audience_of(node("envoy", "", 70000)) == compile::Audience{.namespace_name = "default"});
}

TEST_CASE("a gRPC client finds a service under each of its names, its own namespace's by the name alone") {
  Fixture f;
  f.add_cart();
  const snapshot::View& own = f.mesh.acquire(node("gRPC Go", "shop", 0));
  for (const char* name : {"cart:80", "cart.shop:80"}) CHECK(own.find(Type::kListener, name) != nullptr);
  CHECK(own.find(Type::kRoute, "shop/cart:80") != nullptr);
  const snapshot::View& other = f.mesh.acquire(node("gRPC Go", "other", 0));
  CHECK(other.find(Type::kListener, "cart:80") == nullptr);
  CHECK(other.find(Type::kListener, "cart.shop:80") != nullptr);
  CHECK(own.find(Type::kCluster, "shop/cart:80") == other.find(Type::kCluster, "shop/cart:80"));
}

TEST_CASE("changes wait until they are quiet; endpoints alone wait less, and take nothing else along") {
  Fixture f;
  f.add_cart();
  const snapshot::View& view = f.mesh.acquire(node("envoy", "shop", 15001));
  const snapshot::ResourcePointer before = view.find(Type::kEndpoint, "shop/cart:80");
  const registry::ServiceName pay{.namespace_name = "shop", .name = "pay"};
  add_service(f.model, pay);
  f.commit({.services = {pay}, .endpoints = {pay}}, 1000);
  set_endpoint(f.model, kCart, 8080);
  f.commit({.endpoints = {kCart}}, 1001);
  CHECK_FALSE(f.mesh.advance(1010));
  CHECK(f.mesh.advance(1011));
  CHECK(view.find(Type::kEndpoint, "shop/cart:80") != before);
  CHECK(view.find(Type::kCluster, "shop/pay:80") == nullptr);
  // A view that is made now has both as they are in force.
  const snapshot::View& later = f.mesh.acquire(node("envoy", "other", 15001));
  CHECK(later.find(Type::kEndpoint, "shop/cart:80") == view.find(Type::kEndpoint, "shop/cart:80"));
  CHECK(later.find(Type::kCluster, "shop/pay:80") == nullptr);
  CHECK_FALSE(f.mesh.advance(1099));
  CHECK(f.mesh.advance(1100));
  CHECK(view.find(Type::kCluster, "shop/pay:80") != nullptr);
  CHECK_FALSE(f.mesh.due_ms().has_value());
}

TEST_CASE("what is pushed bit by bit is what would be compiled at once") {
  Fixture f;
  f.add_cart();
  const snapshot::View& view = f.mesh.acquire(node("gRPC Go", "shop", 0));
  const registry::ServiceName pay{.namespace_name = "shop", .name = "pay"};
  add_service(f.model, pay);
  f.commit({.services = {pay}, .endpoints = {pay}, .routes = {pay}, .policies = {pay}}, 1000);
  REQUIRE(f.mesh.advance(1100));
  f.model.services.erase(kCart);
  f.model.endpoints.erase(kCart);
  f.model.routes.erase(kCart);
  f.model.policies.erase(kCart);
  f.commit({.services = {kCart}, .endpoints = {kCart}, .routes = {kCart}, .policies = {kCart}}, 2000);
  REQUIRE(f.mesh.advance(2100));
  snapshot::Interner interner;
  CHECK(view.find(Type::kCluster, "shop/pay:80") != nullptr);
  CHECK(snapshot::difference(view, compile::compile_all(f.model, audience_of(node("gRPC Go", "shop", 0)), interner))
            .empty());
}

TEST_CASE("a view ends with the last node that uses it") {
  Fixture f;
  const snapshot::View& one = f.mesh.acquire(node("envoy", "shop", 0));
  const snapshot::View& same = f.mesh.acquire(node("envoy", "shop", 0));
  CHECK(&one == &same);
  f.mesh.release(one);
  CHECK(f.mesh.view_count() == 1);
  f.mesh.release(one);
  CHECK(f.mesh.view_count() == 0);
}

TEST_CASE("routes stand in Gateway API's order, with the policies that hold, and 500 where nothing is behind") {
  Fixture f;
  add_service(f.model, kCart);
  auto policy = std::make_shared<v1::TrafficPolicySpec>();
  policy->mutable_timeouts()->set_request("1s500ms");
  policy->mutable_retry()->set_attempts(2);
  policy->mutable_retry()->add_on("reset");
  policy->mutable_circuit_breaker()->set_max_requests(7);
  auto effective = std::make_shared<registry::EffectivePolicy>();
  effective->spec = policy;
  auto policies = std::make_shared<registry::Policies>();
  policies->ports = {effective};
  f.model.policies.set(kCart, policies);

  auto spec = std::make_shared<gateway::v1::HTTPRouteSpec>();
  auto route = std::make_shared<registry::Route>();
  const auto add = [&](const std::string& type, const std::string& path, const std::string& unresolved) {
    auto* rule = spec->add_rules();
    rule->add_matches()->mutable_path()->set_type(type);
    rule->mutable_matches(0)->mutable_path()->set_value(path);
    rule->add_backend_refs();
    route->rules.emplace_back();
    route->rules.back().backends.push_back({kCart, 80, 1, unresolved});
  };
  add("PathPrefix", "/", "");
  add("PathPrefix", "/long/", "BackendNotFound");
  add("Exact", "/a", "");
  spec->mutable_rules(2)->mutable_timeouts()->set_request("3s");
  route->spec = std::shared_ptr<const gateway::v1::HTTPRouteSpec>(spec);
  auto routes = std::make_shared<registry::Routes>();
  routes->attached.push_back({route, std::nullopt, false});
  f.model.routes.set(kCart, routes);
  f.commit({.services = {kCart}}, 0);
  REQUIRE(f.mesh.advance(100));

  const snapshot::View& view = f.mesh.acquire(node("envoy", "shop", 15001));
  const auto outbound = content<envoy::config::route::v3::RouteConfiguration>(view, Type::kRoute, "outbound");
  REQUIRE(outbound.virtual_hosts_size() == 1);
  const auto& host = outbound.virtual_hosts(0);
  CHECK(std::vector<std::string>(host.domains().begin(), host.domains().end()) ==
        std::vector<std::string>{"cart:80", "cart", "cart.shop:80", "cart.shop"});
  REQUIRE(host.routes_size() == 3);
  CHECK(host.routes(0).match().path() == "/a");
  CHECK(host.routes(0).route().timeout().seconds() == 3);
  CHECK(host.routes(1).match().path_separated_prefix() == "/long");
  CHECK(host.routes(1).direct_response().status() == 500);
  CHECK(host.routes(2).match().prefix() == "/");
  CHECK(host.routes(2).route().timeout().seconds() == 1);
  CHECK(host.routes(2).route().timeout().nanos() == 500'000'000);
  CHECK(host.routes(2).route().retry_policy().num_retries().value() == 2);
  const auto cluster = content<envoy::config::cluster::v3::Cluster>(view, Type::kCluster, "shop/cart:80");
  CHECK(cluster.circuit_breakers().thresholds(0).max_requests().value() == 7);
  CHECK(cluster.circuit_breakers().thresholds(0).max_connections().value() == UINT32_MAX);
}

}  // namespace
}  // namespace weft::server
