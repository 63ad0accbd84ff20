#include <catch2/catch.hpp>

#include "tests/proxy/config/xds/conversation_fixture.h"

// What is asked on one stream before what.

namespace weft::config::xds {
namespace {

// Wants the endpoints of the clusters that it has, as soon as it has them.
struct Follower final : Consumer {
  std::vector<Refusal> on_update(Type type, const Update& update) override {
    if (type != Type::kCluster) return {};
    Names names;
    for (const Resource& resource : update.changed) names.push_back(resource.name);
    conversation->subscribe(Type::kEndpoints, names, 0);
    return {};
  }
  void on_fetch_timeout(Type, const std::vector<std::string>&) override {}
  Conversation* conversation = nullptr;
};

struct Followed {
  explicit Followed(bool delta)
      : conversation(delta ? make_delta_conversation(loop, consumer, {}) : make_sotw_conversation(loop, consumer, {})) {
    consumer.conversation = conversation.get();
    conversation->subscribe(Type::kCluster, {}, 0);
    conversation->open();
    conversation->take_requests();
  }
  base::ManualClock clock;
  event::ManualLoop loop{clock};
  Follower consumer;
  std::unique_ptr<Conversation> conversation;
};

}  // namespace

TEST_CASE("the endpoints of new clusters are asked for before the clusters are acknowledged, state of the world") {
  Followed f(false);
  discovery_v3::DiscoveryResponse response;
  response.set_type_url(std::string(type_url(Type::kCluster)));
  response.set_nonce("n1");
  *response.add_resources() = resource_of(Type::kCluster, "a");
  REQUIRE(f.conversation->receive(response.SerializeAsString()).ok());
  std::vector<std::string> requests = f.conversation->take_requests();
  REQUIRE(requests.size() == 2);
  discovery_v3::DiscoveryRequest first, second;
  REQUIRE((first.ParseFromString(requests[0]) && second.ParseFromString(requests[1])));
  CHECK(first.type_url() == type_url(Type::kEndpoints));
  CHECK(names_of(first.resource_names()) == Names{"a"});
  CHECK(second.response_nonce() == "n1");
}

TEST_CASE("the endpoints of new clusters are asked for before the clusters are acknowledged, delta") {
  Followed f(true);
  discovery_v3::DeltaDiscoveryResponse response;
  response.set_type_url(std::string(type_url(Type::kCluster)));
  response.set_nonce("n1");
  response.add_resources()->set_name("a");
  *response.mutable_resources(0)->mutable_resource() = resource_of(Type::kCluster, "a");
  REQUIRE(f.conversation->receive(response.SerializeAsString()).ok());
  std::vector<std::string> requests = f.conversation->take_requests();
  REQUIRE(requests.size() == 2);
  discovery_v3::DeltaDiscoveryRequest first, second;
  REQUIRE((first.ParseFromString(requests[0]) && second.ParseFromString(requests[1])));
  CHECK(first.type_url() == type_url(Type::kEndpoints));
  CHECK(names_of(first.resource_names_subscribe()) == Names{"a"});
  CHECK(second.response_nonce() == "n1");
}

namespace {

// A state-of-the-world conversation that takes all clusters and the routes "r", and has "a", "b" and "r".
struct Reconnected : ConversationFixture {
  Reconnected() : ConversationFixture(false) {
    subscribe(Type::kCluster);
    subscribe(Type::kRoutes, {"r"});
    conversation->open();
    tell(Type::kCluster, {"a", "b"});
    tell(Type::kRoutes, {"r"});
    reopen();
  }
  void tell(Type type, const Names& names) {
    discovery_v3::DiscoveryResponse response;
    response.set_type_url(std::string(type_url(type)));
    response.set_nonce(std::to_string(++nonce));
    for (const std::string& name : names) *response.add_resources() = resource_of(type, name);
    receive(response);
  }
  int nonce = 0;
};

}  // namespace

TEST_CASE("on a new stream, clusters that are gone stay until its routes have come") {
  Reconnected f;
  f.tell(Type::kCluster, {"a", "c"});
  CHECK(f.have(Type::kCluster).size() == 3);
  f.tell(Type::kRoutes, {"r"});
  CHECK(f.have(Type::kCluster).size() == 2);
  CHECK(f.have(Type::kCluster).count("b") == 0);
  // Afterwards they go at once.
  f.tell(Type::kCluster, {"c"});
  CHECK(f.have(Type::kCluster).size() == 1);
}

TEST_CASE("on a new stream, clusters that are gone go after five seconds if nothing is said of routes") {
  Reconnected f;
  f.tell(Type::kCluster, {"a"});
  f.loop.advance_ms(4'999);
  CHECK(f.have(Type::kCluster).size() == 2);
  f.loop.advance_ms(1);
  CHECK(f.have(Type::kCluster).size() == 1);
}

TEST_CASE("a cluster that was to go and is there again stays, and one more stream later it goes all the same") {
  Reconnected f;
  f.tell(Type::kCluster, {"a"});
  f.tell(Type::kCluster, {"a", "b"});
  f.tell(Type::kRoutes, {"r"});
  CHECK(f.have(Type::kCluster).size() == 2);
  f.reopen();
  f.tell(Type::kCluster, {"a"});
  f.reopen();
  f.loop.advance_ms(10'000);
  CHECK(f.have(Type::kCluster).size() == 2);
  f.tell(Type::kCluster, {"a"});
  f.tell(Type::kRoutes, {"r"});
  CHECK(f.have(Type::kCluster).size() == 1);
}

TEST_CASE("on a new delta stream, clusters that are gone stay until its routes have come") {
  ConversationFixture f(true);
  f.subscribe(Type::kCluster);
  f.subscribe(Type::kRoutes, {"r"});
  f.conversation->open();
  const auto tell = [&](Type type, const Names& names, const Names& removed) {
    discovery_v3::DeltaDiscoveryResponse response;
    response.set_type_url(std::string(type_url(type)));
    response.set_nonce("n");
    for (const std::string& name : names) {
      response.add_resources()->set_name(name);
      *response.mutable_resources(response.resources_size() - 1)->mutable_resource() = resource_of(type, name);
    }
    for (const std::string& name : removed) response.add_removed_resources(name);
    f.receive(response);
  };
  tell(Type::kCluster, {"a", "b", "c"}, {});
  tell(Type::kRoutes, {"r"}, {});
  f.reopen();
  tell(Type::kCluster, {}, {"a", "b"});
  tell(Type::kCluster, {"b"}, {});
  CHECK(f.have(Type::kCluster).size() == 3);
  tell(Type::kRoutes, {"r"}, {});
  CHECK(f.have(Type::kCluster).size() == 2);
  CHECK(f.have(Type::kCluster).count("a") == 0);
  tell(Type::kCluster, {}, {"c"});
  CHECK(f.have(Type::kCluster).size() == 1);
}

}  // namespace weft::config::xds
