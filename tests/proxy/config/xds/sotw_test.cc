#include "tests/proxy/config/xds/conversation_fixture.h"

namespace weft::config::xds {
namespace {

using Request = discovery_v3::DiscoveryRequest;
using Response = discovery_v3::DiscoveryResponse;

struct Sotw : ConversationFixture {
  explicit Sotw(ConversationOptions options = {}) : ConversationFixture(false, std::move(options)) {}
  Request one() { return take_one<Request>(); }
  static Response response(Type type, const std::string& version, const std::string& nonce, const Names& names) {
    Response response;
    response.set_type_url(std::string(type_url(type)));
    response.set_version_info(version);
    response.set_nonce(nonce);
    for (const std::string& name : names) *response.add_resources() = resource_of(type, name);
    return response;
  }
  void answer(Type type, const std::string& version, const std::string& nonce, const Names& names) {
    receive(response(type, version, nonce, names));
  }
};

}  // namespace

TEST_CASE("a SotW stream begins with one request for each type, in the protocol's order, the first with the node") {
  Sotw xds;
  xds.subscribe(Type::kName);
  xds.subscribe(Type::kSecret, {"s"});
  xds.subscribe(Type::kRoutes, {"r"});
  xds.subscribe(Type::kListener);
  xds.subscribe(Type::kEndpoints, {"e", "f"});
  xds.subscribe(Type::kCluster);
  CHECK(xds.conversation->take_requests().empty());
  xds.conversation->open();
  auto requests = xds.take<Request>();
  REQUIRE(requests.size() == kTypes);
  for (int i = 0; i < kTypes; ++i) {
    CHECK(requests[i].type_url() == type_url(static_cast<Type>(i)));
    CHECK(requests[i].has_node() == (i == 0));
    CHECK(requests[i].version_info().empty());
    CHECK(requests[i].response_nonce().empty());
  }
  CHECK(requests[0].node().id() == "n1");
  CHECK(names_of(requests[0].resource_names()).empty());
  CHECK(names_of(requests[1].resource_names()) == Names{"e", "f"});
}

TEST_CASE("every SotW request has the node when the server wants it so") {
  ConversationOptions options;
  options.node_on_first_only = false;
  Sotw xds(options);
  xds.subscribe(Type::kCluster);
  xds.subscribe(Type::kListener);
  xds.conversation->open();
  for (const Request& request : xds.take<Request>()) CHECK(request.node().id() == "n1");
}

TEST_CASE("a SotW response that is taken is acknowledged by its version and nonce") {
  Sotw xds;
  xds.subscribe(Type::kCluster);
  xds.conversation->open();
  xds.one();
  xds.answer(Type::kCluster, "1", "n-1", {"a", "b"});
  Request ack = xds.one();
  CHECK(ack.version_info() == "1");
  CHECK(ack.response_nonce() == "n-1");
  CHECK_FALSE(ack.has_error_detail());
  CHECK_FALSE(ack.has_node());
  CHECK(xds.consumer.updates.back().second.whole);
  CHECK(xds.have(Type::kCluster) == std::map<std::string, std::string>{{"a", "1"}, {"b", "1"}});
  xds.answer(Type::kCluster, "2", "n-2", {"b"});
  CHECK(xds.one().version_info() == "2");
  CHECK(xds.have(Type::kCluster) == std::map<std::string, std::string>{{"b", "2"}});
}

TEST_CASE("a SotW response that is refused in part keeps the version before, and says of each resource why") {
  Sotw xds;
  xds.subscribe(Type::kCluster);
  xds.conversation->open();
  xds.one();
  xds.answer(Type::kCluster, "1", "n-1", {"a"});
  xds.one();
  xds.consumer.refuse = {{"a", "lb_policy: no such value"}, {"c", "name: too long"}};
  xds.answer(Type::kCluster, "2", "n-2", {"a", "b", "c"});
  Request nack = xds.one();
  CHECK(nack.version_info() == "1");
  CHECK(nack.response_nonce() == "n-2");
  CHECK(nack.error_detail().code() == 3);
  CHECK(nack.error_detail().message() == "cluster \"a\": lb_policy: no such value\ncluster \"c\": name: too long");
  CHECK(xds.have(Type::kCluster) == std::map<std::string, std::string>{{"a", "1"}, {"b", "2"}});
}

TEST_CASE("a resource that cannot even be read is refused and what it would replace stays") {
  Sotw xds;
  xds.subscribe(Type::kListener);
  xds.conversation->open();
  xds.one();
  xds.answer(Type::kListener, "1", "n-1", {"a", "b", "c"});
  xds.one();
  Response bad = Sotw::response(Type::kListener, "2", "n-2", {"b"});
  discovery_v3::Resource mistyped;
  mistyped.set_name("a");
  *mistyped.mutable_resource() = resource_of(Type::kCluster, "a");
  *bad.add_resources() = wrapped(mistyped);
  xds.receive(bad);
  CHECK(xds.one().error_detail().message().find("listener \"a\": is of type ") == 0);
  // "c" is gone, "a" is not.
  CHECK(xds.have(Type::kListener) == std::map<std::string, std::string>{{"a", "1"}, {"b", "2"}});

  Response nameless = Sotw::response(Type::kListener, "3", "n-3", {"b"});
  nameless.add_resources()->set_type_url(std::string(type_url(Type::kListener)));
  nameless.mutable_resources(1)->set_value("\x0a\x7f");
  xds.receive(nameless);
  CHECK(xds.one().error_detail().message() == "listener \"\": its bytes are no valid protobuf message");
  // Which one it would have been is not known, so none goes.
  CHECK(xds.have(Type::kListener) == std::map<std::string, std::string>{{"a", "1"}, {"b", "3"}});
}

TEST_CASE("a name that stands twice in one response is refused") {
  Sotw xds;
  xds.subscribe(Type::kCluster);
  xds.conversation->open();
  xds.one();
  xds.answer(Type::kCluster, "1", "n-1", {"a", "a"});
  CHECK(xds.one().error_detail().message() == "cluster \"a\": stands twice in one response");
}

TEST_CASE("new names are asked for with the last nonce and version; several changes are one request") {
  Sotw xds;
  xds.subscribe(Type::kEndpoints, {"a"});
  xds.conversation->open();
  xds.one();
  xds.answer(Type::kEndpoints, "1", "n-1", {"a"});
  xds.one();
  xds.subscribe(Type::kEndpoints, {"a", "b"});
  xds.subscribe(Type::kEndpoints, {"a", "b", "c"});
  Request request = xds.one();
  CHECK(names_of(request.resource_names()) == Names{"a", "b", "c"});
  CHECK(request.version_info() == "1");
  CHECK(request.response_nonce() == "n-1");
  xds.subscribe(Type::kEndpoints, {"a", "b", "c"});
  CHECK(xds.conversation->take_requests().empty());
  xds.subscribe(Type::kEndpoints, {});
  CHECK(names_of(xds.one().resource_names()).empty());
}

TEST_CASE("a name given up and wanted again within a turn is asked for without it first") {
  Sotw xds;
  xds.subscribe(Type::kEndpoints, {"a", "b"});
  xds.conversation->open();
  xds.one();
  xds.subscribe(Type::kEndpoints, {"b"});
  xds.subscribe(Type::kEndpoints, {"a", "b"});
  auto requests = xds.take<Request>();
  REQUIRE(requests.size() == 2);
  CHECK(names_of(requests[0].resource_names()) == Names{"b"});
  CHECK(names_of(requests[1].resource_names()) == Names{"a", "b"});
}

TEST_CASE("a type without names that is no wildcard is not asked for") {
  Sotw xds;
  xds.subscribe(Type::kRoutes, {});
  xds.conversation->open();
  CHECK(xds.conversation->take_requests().empty());
}

TEST_CASE("all is asked for by a star after names were") {
  Sotw xds;
  xds.subscribe(Type::kCluster, {"a"});
  xds.conversation->open();
  CHECK(names_of(xds.one().resource_names()) == Names{"a"});
  xds.subscribe(Type::kCluster);
  CHECK(names_of(xds.one().resource_names()) == Names{"*"});
  xds.reopen();
  CHECK(names_of(xds.one().resource_names()).empty());
}

TEST_CASE("on a new stream the accepted version is told, but no nonce of the stream before") {
  Sotw xds;
  xds.subscribe(Type::kCluster);
  xds.subscribe(Type::kEndpoints, {"a"});
  xds.conversation->open();
  xds.take<Request>();
  xds.answer(Type::kCluster, "5", "n-5", {"a"});
  xds.consumer.refuse = {{"a", "bad"}};
  xds.answer(Type::kCluster, "6", "n-6", {"a"});
  xds.reopen();
  auto requests = xds.take<Request>();
  REQUIRE(requests.size() == 2);
  CHECK(requests[0].version_info() == "5");
  CHECK(requests[0].response_nonce().empty());
  CHECK(requests[0].has_node());
}

TEST_CASE("a new stream tells no version while something wanted is missing, so that it is sent") {
  Sotw xds;
  xds.subscribe(Type::kEndpoints, {"a"});
  xds.conversation->open();
  xds.one();
  xds.answer(Type::kEndpoints, "5", "n-5", {"a"});
  xds.conversation->close();
  xds.subscribe(Type::kEndpoints, {"a", "b"});
  xds.conversation->open();
  CHECK(xds.one().version_info().empty());
}

TEST_CASE("resources that nobody wants are left out, types that nobody wants are not answered") {
  Sotw xds;
  xds.subscribe(Type::kEndpoints, {"a"});
  xds.conversation->open();
  xds.one();
  xds.answer(Type::kEndpoints, "1", "n-1", {"a", "stranger"});
  CHECK_FALSE(xds.one().has_error_detail());
  CHECK(xds.have(Type::kEndpoints).size() == 1);
  xds.answer(Type::kSecret, "1", "n-2", {"a"});
  Response unknown;
  unknown.set_type_url("type.googleapis.com/a.B");
  xds.receive(unknown);
  CHECK(xds.conversation->take_requests().empty());
}

TEST_CASE("a SotW resource without an answer is given up after the initial fetch timeout, once") {
  Sotw xds;
  xds.subscribe(Type::kCluster, {}, 1'000);
  xds.subscribe(Type::kEndpoints, {"a", "b", "c"}, 2'000);
  xds.subscribe(Type::kRoutes, {"r"}, 0);
  xds.conversation->open();
  xds.take<Request>();
  xds.answer(Type::kEndpoints, "1", "n-1", {"b"});
  xds.loop.advance_ms(999);
  CHECK(xds.consumer.timeouts.empty());
  xds.loop.advance_ms(1);
  REQUIRE(xds.consumer.timeouts.size() == 1);
  CHECK(xds.consumer.timeouts[0].first == Type::kCluster);
  CHECK(xds.consumer.timeouts[0].second.empty());
  xds.loop.advance_ms(1'000);
  REQUIRE(xds.consumer.timeouts.size() == 2);
  CHECK(xds.consumer.timeouts[1].second == Names{"a", "c"});
  xds.loop.advance_ms(100'000);
  CHECK(xds.consumer.timeouts.size() == 2);
}

TEST_CASE("a resource with a time to live goes when it is over, and a heartbeat keeps it") {
  Sotw xds;
  xds.subscribe(Type::kCluster);
  xds.conversation->open();
  xds.one();
  discovery_v3::Resource a;
  a.set_name("a");
  *a.mutable_resource() = resource_of(Type::kCluster, "a");
  a.mutable_ttl()->set_seconds(2);
  Response response = Sotw::response(Type::kCluster, "1", "n-1", {"b"});
  *response.add_resources() = wrapped(a);
  xds.receive(response);
  xds.loop.advance_ms(1'500);
  a.clear_resource();
  Response heartbeat = Sotw::response(Type::kCluster, "1", "n-2", {"b"});
  *heartbeat.add_resources() = wrapped(a);
  xds.receive(heartbeat);
  CHECK_FALSE(xds.take<Request>().back().has_error_detail());
  xds.loop.advance_ms(1'999);
  CHECK(xds.have(Type::kCluster).size() == 2);
  xds.loop.advance_ms(1);
  CHECK(xds.have(Type::kCluster) == std::map<std::string, std::string>{{"b", "1"}});
  // Its return is not held back by the version.
  xds.reopen();
  CHECK(xds.one().version_info().empty());
}

TEST_CASE("a resource that comes without a time to live again stays") {
  Sotw xds;
  xds.subscribe(Type::kEndpoints, {"a"});
  xds.conversation->open();
  discovery_v3::Resource a;
  a.set_name("a");
  *a.mutable_resource() = resource_of(Type::kEndpoints, "a");
  a.mutable_ttl()->set_seconds(2);
  Response response = Sotw::response(Type::kEndpoints, "1", "n-1", {});
  *response.add_resources() = wrapped(a);
  xds.receive(response);
  xds.answer(Type::kEndpoints, "2", "n-2", {"a"});
  xds.loop.advance_ms(60'000);
  CHECK(xds.have(Type::kEndpoints).size() == 1);
}

TEST_CASE("what the server says it does not have is not waited for") {
  Sotw xds;
  xds.subscribe(Type::kEndpoints, {"a"});
  xds.conversation->open();
  Response response = Sotw::response(Type::kEndpoints, "1", "n-1", {});
  auto* error = response.add_resource_errors();
  error->mutable_resource_name()->set_name("a");
  error->mutable_error_detail()->set_message("no such service");
  xds.receive(response);
  REQUIRE(xds.consumer.timeouts.size() == 1);
  CHECK(xds.consumer.timeouts[0].second == Names{"a"});
}

TEST_CASE("bytes that are no response are an error of the stream") {
  Sotw xds;
  xds.conversation->open();
  CHECK(xds.conversation->receive("\xff\xff").message().find("DiscoveryResponse") != absl::string_view::npos);
}

}  // namespace weft::config::xds
