#include "control-plane/server/mesh.h"

#include <catch2/catch.hpp>

#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/config/core/v3/base.pb.h"
#include "envoy/config/endpoint/v3/endpoint.pb.h"
#include "envoy/config/listener/v3/listener.pb.h"
#include "envoy/config/route/v3/route.pb.h"
#include "gateway/v1/http_route.pb.h"
#include "weft/v1/traffic_policy.pb.h"

namespace weft::control::server {
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

// Without a rest, so that each change of endpoints waits.
Mesh::Limits limits() { return {.endpoints = {.quiet_ms = 10, .at_most_ms = 100}}; }

struct Fixture {
  Fixture() : mesh(std::make_shared<registry::Model>(), limits()) {}

  void commit(const registry::ChangeSet& changed, int64_t now_ms) {
    mesh.set(std::make_shared<registry::Model>(model), changed, now_ms);
  }
  void add_cart() {
    add_service(model, kCart);
    commit({.services = {kCart}}, 0);
    REQUIRE(mesh.advance(100));
  }

  const snapshot::View& acquire(const envoy::config::core::v3::Node& node) {
    const auto view = mesh.acquire(node);
    REQUIRE(view.ok());
    return **view;
  }

  registry::Model model;
  Mesh mesh;
};

TEST_CASE("a gRPC client finds a service under each of its names, its own namespace's by the name alone") {
  Fixture f;
  f.add_cart();
  const snapshot::View& own = f.acquire(node("gRPC Go", "shop", 0));
  for (const char* name : {"cart:80", "cart.shop:80"}) CHECK(own.find(Type::kListener, name) != nullptr);
  CHECK(own.find(Type::kRoute, "shop/cart:80") != nullptr);
  const snapshot::View& other = f.acquire(node("gRPC Go", "other", 0));
  CHECK(other.find(Type::kListener, "cart:80") == nullptr);
  CHECK(other.find(Type::kListener, "cart.shop:80") != nullptr);
  CHECK(own.find(Type::kCluster, "shop/cart:80") == other.find(Type::kCluster, "shop/cart:80"));
}

TEST_CASE("changes wait until they are quiet; endpoints alone wait less, and take nothing else along") {
  Fixture f;
  f.add_cart();
  const snapshot::View& view = f.acquire(node("envoy", "shop", 15001));
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
  const snapshot::View& later = f.acquire(node("envoy", "other", 15001));
  CHECK(later.find(Type::kEndpoint, "shop/cart:80") == view.find(Type::kEndpoint, "shop/cart:80"));
  CHECK(later.find(Type::kCluster, "shop/pay:80") == nullptr);
  CHECK_FALSE(f.mesh.advance(1099));
  CHECK(f.mesh.advance(1100));
  CHECK(view.find(Type::kCluster, "shop/pay:80") != nullptr);
  CHECK_FALSE(f.mesh.due_ms().has_value());
}

TEST_CASE("endpoints that change after a rest go out at once, and alone") {
  registry::Model model;
  Mesh mesh(std::make_shared<registry::Model>(), {});
  add_service(model, kCart);
  mesh.set(std::make_shared<registry::Model>(model), {.services = {kCart}}, 0);
  REQUIRE(mesh.advance(100));
  set_endpoint(model, kCart, 8080);
  mesh.set(std::make_shared<registry::Model>(model), {.endpoints = {kCart}}, 130);
  CHECK(mesh.due_ms() == 130);
  REQUIRE(mesh.advance(130));
  set_endpoint(model, kCart, 8081);
  mesh.set(std::make_shared<registry::Model>(model), {.endpoints = {kCart}}, 140);
  CHECK(mesh.due_ms() == 190);
  CHECK_FALSE(mesh.advance(189));
  REQUIRE(mesh.advance(190));
  const registry::ServiceName pay{.namespace_name = "shop", .name = "pay"};
  add_service(model, pay);
  mesh.set(std::make_shared<registry::Model>(model), {.services = {pay}, .endpoints = {pay}}, 500);
  CHECK(mesh.due_ms() == 600);
  CHECK_FALSE(mesh.advance(599));
}

TEST_CASE("what is pushed bit by bit is what would be compiled at once") {
  Fixture f;
  f.add_cart();
  const snapshot::View& view = f.acquire(node("gRPC Go", "shop", 0));
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
  compile::Cache cache;
  CHECK(view.find(Type::kCluster, "shop/pay:80") != nullptr);
  CHECK(snapshot::difference(view,
                             compile::compile_all({f.model, {.namespace_name = "shop", .is_grpc_client = true}}, cache))
            .empty());
}

TEST_CASE("what nodes of one audience share ends with the last of them") {
  Fixture f;
  f.add_cart();
  const snapshot::View& one = f.acquire(node("envoy", "shop", 0));
  const snapshot::View& other = f.acquire(node("envoy", "shop", 0));
  CHECK(one.find(Type::kCluster, "shop/cart:80") == other.find(Type::kCluster, "shop/cart:80"));
  f.mesh.release(one);
  CHECK(f.mesh.view_count() == 1);
  f.mesh.release(other);
  CHECK(f.mesh.view_count() == 0);
}

TEST_CASE("who comes back finds what is in force, whether it changed meanwhile or not") {
  Fixture f;
  f.add_cart();
  const envoy::config::core::v3::Node shop = node("envoy", "shop", 15001);
  const snapshot::View& first = f.acquire(shop);
  const snapshot::ResourcePointer route = first.find(Type::kRoute, "outbound");
  f.mesh.release(first);
  const snapshot::View& second = f.acquire(shop);
  CHECK(second.find(Type::kRoute, "outbound") == route);
  f.mesh.release(second);
  CHECK(f.mesh.view_count() == 0);
  set_endpoint(f.model, kCart, 8080);
  f.commit({.endpoints = {kCart}}, 1000);
  REQUIRE(f.mesh.advance(1100).has_value());
  const snapshot::View& third = f.acquire(shop);
  const auto endpoints =
      content<envoy::config::endpoint::v3::ClusterLoadAssignment>(third, Type::kEndpoint, "shop/cart:80");
  REQUIRE(endpoints.endpoints_size() == 1);
  CHECK(endpoints.endpoints(0).lb_endpoints(0).endpoint().address().socket_address().port_value() == 8080);
}

TEST_CASE("no more of what nobody uses is kept than may come back at once") {
  Fixture f;
  f.add_cart();
  for (int i = 0; i < 3000; ++i) {
    f.mesh.release(f.acquire(node("envoy", "n" + std::to_string(i), 15001)));
    REQUIRE(f.mesh.view_count() == 0);
  }
  CHECK(f.mesh.idle_count() == 1000);
}

envoy::config::core::v3::Node sidecar(const std::string& id, const std::string& address) {
  envoy::config::core::v3::Node sidecar = node("weft-proxy", "shop", 15001);
  sidecar.set_id(id);
  auto& fields = *sidecar.mutable_metadata()->mutable_fields();
  fields["service"].set_string_value("cart");
  fields["inbound_address"].set_string_value(address);
  fields["inbound_port"].set_number_value(15006);
  fields["app_port"].set_number_value(8080);
  return sidecar;
}

TEST_CASE("what replicas have alone stands beside what they share, and follows their service's protocol") {
  Fixture f;
  const snapshot::View& one = f.acquire(sidecar("cart-1", "10.0.0.1"));
  const snapshot::View& two = f.acquire(sidecar("cart-2", "10.0.0.2"));
  CHECK(f.mesh.view_count() == 1);
  const auto inbound = content<envoy::config::listener::v3::Listener>(one, Type::kListener, "inbound");
  CHECK(inbound.address().socket_address().address() == "10.0.0.1");
  CHECK(inbound.address().socket_address().port_value() == 15006);
  // Nobody says what it speaks: the first bytes do.
  CHECK(inbound.filter_chains_size() == 3);
  CHECK(one.find(Type::kRoute, "inbound") == two.find(Type::kRoute, "inbound"));
  CHECK(one.find(Type::kListener, "inbound") != two.find(Type::kListener, "inbound"));
  CHECK(one.find(Type::kListener, "outbound") == two.find(Type::kListener, "outbound"));

  f.add_cart();
  CHECK(content<envoy::config::listener::v3::Listener>(one, Type::kListener, "inbound").filter_chains_size() == 1);
  CHECK(one.find(Type::kCluster, "shop/cart:80") != nullptr);
  auto service = std::make_shared<registry::Service>(*f.model.services.find(kCart));
  service->ports[0].app_protocol = registry::AppProtocol::kTcp;
  f.model.services.set(kCart, service);
  f.commit({.services = {kCart}}, 1000);
  REQUIRE(f.mesh.advance(1100));
  for (const snapshot::View* view : {&one, &two}) CHECK(view->find(Type::kRoute, "inbound") == nullptr);

  f.mesh.release(one);
  CHECK(f.mesh.view_count() == 1);
  f.mesh.release(two);
  CHECK(f.mesh.view_count() == 0);
}

TEST_CASE("a node that says something wrong gets no view") {
  Fixture f;
  CHECK(f.mesh.acquire(node("envoy", "shop", 70'000)).status().code() == absl::StatusCode::kInvalidArgument);
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

  const snapshot::View& view = f.acquire(node("envoy", "shop", 15001));
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
}  // namespace weft::control::server
