#include "tests/proxy/config/xds/conversation_fixture.h"

namespace weft::config::xds {
namespace {

using Request = discovery_v3::DeltaDiscoveryRequest;
using Response = discovery_v3::DeltaDiscoveryResponse;

struct Delta : ConversationFixture {
  Delta() : ConversationFixture(true) {}
  Request one() { return take_one<Request>(); }
  static void add(Response& response, Type type, const std::string& name, const std::string& version) {
    auto* resource = response.add_resources();
    resource->set_name(name);
    resource->set_version(version);
    *resource->mutable_resource() = resource_of(type, name);
  }
  static Response response(Type type, const std::string& nonce, const Names& changed, const std::string& version,
                           const Names& removed = {}) {
    Response response;
    response.set_type_url(std::string(type_url(type)));
    response.set_nonce(nonce);
    response.set_system_version_info("s" + version);
    for (const std::string& name : changed) add(response, type, name, version);
    for (const std::string& name : removed) response.add_removed_resources(name);
    return response;
  }
  void answer(Type type, const std::string& nonce, const Names& changed, const std::string& version,
              const Names& removed = {}) {
    receive(response(type, nonce, changed, version, removed));
  }
};

using Versions = std::map<std::string, std::string>;
Versions initial(const Request& request) {
  return {request.initial_resource_versions().begin(), request.initial_resource_versions().end()};
}

}  // namespace

TEST_CASE("a delta stream begins with all names in the protocol's order, the node in the first request") {
  Delta xds;
  xds.subscribe(Type::kListener);
  xds.subscribe(Type::kEndpoints, {"a", "b"});
  xds.subscribe(Type::kCluster);
  xds.subscribe(Type::kRoutes, {});
  xds.conversation->open();
  auto requests = xds.take<Request>();
  REQUIRE(requests.size() == 3);
  CHECK(requests[0].type_url() == type_url(Type::kCluster));
  CHECK(requests[0].node().id() == "n1");
  CHECK(requests[0].resource_names_subscribe().empty());
  CHECK(names_of(requests[1].resource_names_subscribe()) == Names{"a", "b"});
  CHECK_FALSE(requests[1].has_node());
  CHECK(requests[2].type_url() == type_url(Type::kListener));
}

TEST_CASE("that a server has nothing is told once to who asked for all") {
  Delta xds;
  xds.subscribe(Type::kListener);
  xds.subscribe(Type::kEndpoints, {"a"});
  xds.conversation->open();
  xds.take<Request>();
  xds.answer(Type::kListener, "n1", {}, "1");
  xds.answer(Type::kEndpoints, "n2", {}, "1");
  REQUIRE(xds.consumer.updates.size() == 1);
  CHECK(xds.consumer.updates[0].first == Type::kListener);
  CHECK(xds.consumer.updates[0].second.changed.empty());
  xds.answer(Type::kListener, "n3", {}, "2");
  CHECK(xds.consumer.updates.size() == 1);
}

TEST_CASE("a delta response is acknowledged by its nonce; removed resources go") {
  Delta xds;
  xds.subscribe(Type::kCluster);
  xds.conversation->open();
  xds.one();
  xds.answer(Type::kCluster, "n-1", {"a", "b"}, "1");
  Request ack = xds.one();
  CHECK(ack.response_nonce() == "n-1");
  CHECK_FALSE(ack.has_error_detail());
  CHECK(ack.resource_names_subscribe().empty());
  xds.answer(Type::kCluster, "n-2", {"a"}, "2", {"b"});
  CHECK(xds.one().response_nonce() == "n-2");
  CHECK(xds.have(Type::kCluster) == Versions{{"a", "2"}});
  CHECK_FALSE(xds.consumer.updates.back().second.whole);
  CHECK(xds.consumer.updates.back().second.version == "s2");
}

TEST_CASE("a refused delta resource keeps its version before, which a new stream tells") {
  Delta xds;
  xds.subscribe(Type::kCluster);
  xds.conversation->open();
  xds.one();
  xds.answer(Type::kCluster, "n-1", {"a", "b"}, "1");
  xds.one();
  xds.consumer.refuse = {{"b", "lb_policy: no"}};
  xds.answer(Type::kCluster, "n-2", {"a", "b", "c"}, "2", {"d"});
  Request nack = xds.one();
  CHECK(nack.response_nonce() == "n-2");
  CHECK(nack.error_detail().message() == "cluster \"b\": lb_policy: no");
  xds.answer(Type::kCluster, "n-3", {}, "3", {"a"});
  xds.reopen();
  Request first = xds.one();
  CHECK(first.has_node());
  CHECK(first.response_nonce().empty());
  CHECK(initial(first) == Versions{{"b", "1"}, {"c", "2"}});
}

TEST_CASE("only what changed of the names is told") {
  Delta xds;
  xds.subscribe(Type::kEndpoints, {"a", "b"});
  xds.conversation->open();
  xds.one();
  xds.subscribe(Type::kEndpoints, {"b", "c"});
  xds.subscribe(Type::kEndpoints, {"b", "c", "d"});
  Request change = xds.one();
  CHECK(names_of(change.resource_names_subscribe()) == Names{"c", "d"});
  CHECK(names_of(change.resource_names_unsubscribe()) == Names{"a"});
  CHECK(change.response_nonce().empty());
  CHECK(xds.conversation->take_requests().empty());
}

TEST_CASE("a name given up and wanted again before it was told is asked for anew") {
  Delta xds;
  xds.subscribe(Type::kEndpoints, {"a", "b"});
  xds.conversation->open();
  xds.one();
  xds.answer(Type::kEndpoints, "n-1", {"a", "b"}, "1");
  xds.one();
  xds.subscribe(Type::kEndpoints, {"b"});
  xds.subscribe(Type::kEndpoints, {"a", "b"});
  Request change = xds.one();
  CHECK(names_of(change.resource_names_subscribe()) == Names{"a"});
  CHECK(change.resource_names_unsubscribe().empty());
  xds.reopen();
  CHECK(initial(xds.one()) == Versions{{"b", "1"}});
}

TEST_CASE("between names and all, the star is subscribed and given up") {
  Delta xds;
  xds.subscribe(Type::kCluster);
  xds.conversation->open();
  xds.one();
  xds.subscribe(Type::kCluster, {"a"});
  Request named = xds.one();
  CHECK(names_of(named.resource_names_subscribe()) == Names{"a"});
  CHECK(names_of(named.resource_names_unsubscribe()) == Names{"*"});
  xds.subscribe(Type::kCluster);
  Request all = xds.one();
  CHECK(names_of(all.resource_names_subscribe()) == Names{"*"});
  CHECK(names_of(all.resource_names_unsubscribe()) == Names{"a"});
}

TEST_CASE("delta resources of other names, types or none are refused each with its reason") {
  Delta xds;
  xds.subscribe(Type::kCluster);
  xds.conversation->open();
  xds.one();
  Response response = Delta::response(Type::kCluster, "n", {"good"}, "1");
  Delta::add(response, Type::kCluster, "inside", "1");
  response.mutable_resources(1)->set_name("outside");
  Delta::add(response, Type::kListener, "l", "1");
  response.add_resources()->set_name("empty");
  xds.receive(response);
  std::string message = xds.one().error_detail().message();
  INFO(message);
  CHECK(message.find("cluster \"outside\": holds one of another name, \"inside\"") != std::string::npos);
  CHECK(message.find("cluster \"l\": is of type type.googleapis.com/envoy.config.listener.v3.Listener, expected") !=
        std::string::npos);
  CHECK(message.find("cluster \"empty\": has neither body nor ttl") != std::string::npos);
  CHECK(xds.have(Type::kCluster) == Versions{{"good", "1"}});
}

TEST_CASE("what was unsubscribed is neither taken nor told of any more") {
  Delta xds;
  xds.subscribe(Type::kEndpoints, {"a", "b"});
  xds.conversation->open();
  xds.one();
  xds.answer(Type::kEndpoints, "n-1", {"a", "b"}, "1");
  xds.one();
  xds.subscribe(Type::kEndpoints, {"b"});
  size_t updates = xds.consumer.updates.size();
  xds.answer(Type::kEndpoints, "n-2", {"a"}, "2", {"zzz"});
  CHECK(xds.consumer.updates.size() == updates);
  auto requests = xds.take<Request>();
  REQUIRE(requests.size() == 2);
  CHECK(requests[0].response_nonce() == "n-2");
  xds.reopen();
  CHECK(initial(xds.one()) == Versions{{"b", "1"}});
}

TEST_CASE("the answer that a resource does not exist ends the wait for it") {
  Delta xds;
  xds.subscribe(Type::kEndpoints, {"a", "b"}, 1'000);
  xds.conversation->open();
  xds.answer(Type::kEndpoints, "n-1", {}, "1", {"a"});
  CHECK(xds.consumer.updates.back().second.removed == Names{"a"});
  xds.loop.advance_ms(1'000);
  REQUIRE(xds.consumer.timeouts.size() == 1);
  CHECK(xds.consumer.timeouts[0].second == Names{"b"});
}

TEST_CASE("a delta resource whose time to live is over is gone and asked for anew") {
  Delta xds;
  xds.subscribe(Type::kSecret, {"a"});
  xds.conversation->open();
  Response response = Delta::response(Type::kSecret, "n-1", {"a"}, "1");
  response.mutable_resources(0)->mutable_ttl()->set_nanos(500'000'000);
  xds.receive(response);
  xds.loop.advance_ms(400);
  response.mutable_resources(0)->clear_resource();
  xds.receive(response);
  xds.loop.advance_ms(499);
  CHECK(xds.have(Type::kSecret).size() == 1);
  xds.loop.advance_ms(1);
  CHECK(xds.have(Type::kSecret).empty());
  xds.reopen();
  CHECK(initial(xds.take<Request>().front()).empty());
}

}  // namespace weft::config::xds
