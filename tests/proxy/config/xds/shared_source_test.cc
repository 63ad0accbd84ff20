#include "proxy/config/xds/shared_source.h"

#include "proxy/config/xds/type.h"
#include "tests/proxy/call/grpc_fixture.h"
#include "tests/proxy/config/xds/recorder.h"

namespace weft::config::xds {
namespace {

using Names = std::vector<std::string>;
using Request = discovery_v3::DeltaDiscoveryRequest;

struct SharedFixture : call::GrpcFixture {
  explicit SharedFixture(bool aggregated = true) {
    GrpcSourceOptions options;
    options.aggregated = aggregated;
    options.control_planes.push_back({cluster, {}});
    options.delta = true;
    shared = std::make_unique<SharedSource>(worker, std::move(options), states);
  }
  ~SharedFixture() {
    shared.reset();
    loop.turn();
  }
  void turn() {
    loop.turn();
    loop.turn();
  }
  std::vector<Request> requests() {
    std::vector<Request> result;
    for (const std::string& message : messages(0, 1)) {
      result.emplace_back();
      REQUIRE(result.back().ParseFromString(message));
    }
    return result;
  }
  void answer(Type type, const Names& changed, const Names& removed = {}) {
    discovery_v3::DeltaDiscoveryResponse response;
    response.set_type_url(std::string(type_url(type)));
    response.set_nonce("n");
    for (const std::string& name : changed) {
      auto* resource = response.add_resources();
      resource->set_name(name);
      resource->set_version("1");
      resource->mutable_resource()->set_type_url(response.type_url());
      resource->mutable_resource()->set_value("\x0a" + std::string(1, static_cast<char>(name.size())) + name);
    }
    for (const std::string& name : removed) response.add_removed_resources(name);
    std::string head = answered ? "" : call::grpc_head(1);
    answered = true;
    arrive(0, head + call::data(1, call::grpc_frame(response.SerializeAsString())));
  }

  pool::WorkerContext worker = context();
  observe::ControlPlaneStats stats;
  StreamStates states{stats};
  std::unique_ptr<SharedSource> shared;
  Recorder a, b;
  bool answered = false;
};

Names subscribed(const Request& request) {
  return {request.resource_names_subscribe().begin(), request.resource_names_subscribe().end()};
}

}  // namespace

TEST_CASE("shares are asked for together, and each is given what it wants") {
  SharedFixture f;
  auto of_a = f.shared->share(Type::kEndpoints, f.a, 0);
  auto of_b = f.shared->share(Type::kEndpoints, f.b, 0);
  of_a->subscribe(Type::kEndpoints, {"x", "y"});
  of_b->subscribe(Type::kEndpoints, {"z"});
  f.turn();
  f.serve(0);
  REQUIRE(f.requests().size() == 1);
  CHECK(subscribed(f.requests()[0]) == Names{"x", "y", "z"});
  f.b.refuse = {{"z", "bad"}};
  f.answer(Type::kEndpoints, {"x", "z"}, {"y"});
  CHECK(f.a.have[Type::kEndpoints].count("x") == 1);
  CHECK(f.a.updates.at(0).second.removed == Names{"y"});
  REQUIRE(f.b.updates.size() == 1);
  CHECK(f.b.updates[0].second.changed.size() == 1);
  CHECK(f.requests().back().error_detail().message() == "endpoints \"z\": bad");
  CHECK(of_a->connected());
}

TEST_CASE("what another share has already is asked for anew for the one that comes later") {
  SharedFixture f;
  auto of_a = f.shared->share(Type::kEndpoints, f.a, 0);
  of_a->subscribe(Type::kEndpoints, {"x"});
  f.turn();
  f.serve(0);
  f.answer(Type::kEndpoints, {"x"});
  size_t before = f.requests().size();
  auto of_b = f.shared->share(Type::kEndpoints, f.b, 0);
  of_b->subscribe(Type::kEndpoints, {"x"});
  f.turn();
  REQUIRE(f.requests().size() == before + 1);
  CHECK(subscribed(f.requests().back()) == Names{"x"});
  f.answer(Type::kEndpoints, {"x"});
  CHECK(f.b.have[Type::kEndpoints].count("x") == 1);
}

TEST_CASE("a share that goes is no longer asked for, nor told of anything") {
  SharedFixture f;
  auto of_a = f.shared->share(Type::kEndpoints, f.a, 0);
  auto of_b = f.shared->share(Type::kEndpoints, f.b, 0);
  of_a->subscribe(Type::kEndpoints, {"x"});
  of_b->subscribe(Type::kEndpoints, {"y"});
  f.turn();
  f.serve(0);
  of_b.reset();
  f.turn();
  const auto gone = f.requests().back().resource_names_unsubscribe();
  CHECK(Names(gone.begin(), gone.end()) == Names{"y"});
  f.answer(Type::kEndpoints, {"x", "y"});
  CHECK(f.a.updates.size() == 1);
  CHECK(f.b.updates.empty());
}

TEST_CASE("a stream of a type's own ends with the last who wants something of it") {
  SharedFixture f(false);
  auto of_a = f.shared->share(Type::kCluster, f.a, 0);
  auto of_b = f.shared->share(Type::kEndpoints, f.b, 0);
  of_a->subscribe(Type::kCluster, {});
  f.turn();
  f.serve(0);
  of_b->subscribe(Type::kEndpoints, {"y"});
  f.turn();
  CHECK(f.messages(0, 3).size() == 1);
  CHECK(f.stats.connected_state.value() == 1);
  of_b.reset();
  f.turn();
  CHECK(f.was_reset(0, 3));
  CHECK_FALSE(f.was_reset(0, 1));
  CHECK(f.stats.connected_state.value() == 1);
  CHECK_FALSE(f.shared->unused());
  of_a.reset();
  CHECK(f.shared->unused());
  f.turn();
  CHECK(f.was_reset(0, 1));
  CHECK(f.stats.connected_state.value() == 0);
}

TEST_CASE("a fetch timeout is told to the share whose wait is over") {
  SharedFixture f;
  auto of_a = f.shared->share(Type::kCluster, f.a, 1'000);
  auto of_b = f.shared->share(Type::kEndpoints, f.b, 2'000);
  of_a->subscribe(Type::kCluster, {});
  of_b->subscribe(Type::kEndpoints, {"y"});
  f.loop.advance_ms(1'000);
  REQUIRE(f.a.timeouts.size() == 1);
  CHECK(f.a.timeouts[0].second.empty());
  CHECK(f.b.timeouts.empty());
  f.loop.advance_ms(1'000);
  REQUIRE(f.b.timeouts.size() == 1);
  CHECK(f.b.timeouts[0].second == Names{"y"});
}

}  // namespace weft::config::xds
