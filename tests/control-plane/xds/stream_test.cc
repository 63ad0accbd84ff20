#include "control-plane/xds/stream.h"

#include <catch2/catch.hpp>

#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/service/discovery/v3/discovery.pb.h"

namespace weft::control::xds {
namespace {

using envoy::service::discovery::v3::DeltaDiscoveryRequest;
using envoy::service::discovery::v3::DiscoveryRequest;
using Names = std::vector<std::string>;

ResourcePointer resource(Type type, const std::string& name, int content = 0,
                         std::vector<snapshot::Reference> references = {}) {
  envoy::config::cluster::v3::Cluster message;
  message.set_alt_stat_name(name + std::to_string(content));
  return snapshot::make_resource(type, name, message, std::move(references));
}

Names names_of(const std::vector<ResourcePointer>& resources) {
  Names names;
  for (const ResourcePointer& each : resources) names.push_back(each->name);
  std::sort(names.begin(), names.end());
  return names;
}

// One stream and the view that it shows.
struct Fixture {
  explicit Fixture(Form form) : stream(form, view, clock) {}

  void set(Type type, const std::string& name, int content = 0, std::vector<snapshot::Reference> references = {}) {
    REQUIRE(view.apply({{type, name, resource(type, name, content, std::move(references))}}).ok());
  }
  void remove(Type type, const std::string& name) { REQUIRE(view.apply({{type, name, nullptr}}).ok()); }

  void ask(Type type, const Names& names = {}, const std::string& nonce = "", const std::string& error = "") {
    DiscoveryRequest request;
    request.set_type_url(std::string(snapshot::type_url(type)));
    for (const std::string& name : names) request.add_resource_names(name);
    request.set_response_nonce(nonce);
    if (!error.empty()) request.mutable_error_detail()->set_message(error);
    stream.on_request(request);
  }
  void ask_delta(Type type, const Names& subscribe, const Names& unsubscribe = {},
                 const std::map<std::string, std::string>& initial = {}) {
    DeltaDiscoveryRequest request;
    request.set_type_url(std::string(snapshot::type_url(type)));
    for (const std::string& name : subscribe) request.add_resource_names_subscribe(name);
    for (const std::string& name : unsubscribe) request.add_resource_names_unsubscribe(name);
    request.mutable_initial_resource_versions()->insert(initial.begin(), initial.end());
    stream.on_request(request);
  }
  void answer_delta(const Response& response, const std::string& error = "") {
    DeltaDiscoveryRequest request;
    request.set_type_url(std::string(snapshot::type_url(response.type)));
    request.set_response_nonce(response.nonce);
    if (!error.empty()) request.mutable_error_detail()->set_message(error);
    stream.on_request(request);
  }
  // The response that must come next.
  Response sent(Type type) {
    std::optional<Response> response = stream.next();
    REQUIRE(response.has_value());
    REQUIRE(response->type == type);
    return *std::move(response);
  }
  bool is_silent() { return !stream.next().has_value(); }

  View view;
  base::ManualClock clock;
  Stream stream;
};

TEST_CASE("a first request without names gets all clusters, and an empty answer where there are none") {
  for (const Form form : {Form::kStateOfTheWorld, Form::kDelta}) {
    Fixture f(form);
    form == Form::kDelta ? f.ask_delta(Type::kCluster, {}) : f.ask(Type::kCluster);
    CHECK(f.sent(Type::kCluster).resources.empty());
    CHECK(f.is_silent());
  }
}

TEST_CASE("one response is in flight for each type; what changes meanwhile comes after the answer") {
  Fixture f(Form::kStateOfTheWorld);
  f.set(Type::kCluster, "a");
  f.ask(Type::kCluster);
  const Response first = f.sent(Type::kCluster);
  f.set(Type::kCluster, "b");
  f.set(Type::kCluster, "c");
  CHECK(f.is_silent());
  f.ask(Type::kCluster, {}, "not that nonce");
  CHECK(f.is_silent());
  f.ask(Type::kCluster, {}, first.nonce);
  const Response second = f.sent(Type::kCluster);
  CHECK(names_of(second.resources) == Names{"a", "b", "c"});
  CHECK(second.version != first.version);
  f.ask(Type::kCluster, {}, second.nonce);
  CHECK(f.is_silent());
  CHECK(f.stream.is_settled());
}

TEST_CASE("endpoints are sent by name, only those that changed") {
  Fixture f(Form::kStateOfTheWorld);
  for (const char* name : {"a", "b", "c"}) f.set(Type::kEndpoint, name);
  f.ask(Type::kEndpoint, {"a", "b"});
  Response response = f.sent(Type::kEndpoint);
  CHECK(names_of(response.resources) == Names{"a", "b"});
  f.ask(Type::kEndpoint, {"a", "b"}, response.nonce);
  f.set(Type::kEndpoint, "b", 1);
  f.set(Type::kEndpoint, "c", 1);
  response = f.sent(Type::kEndpoint);
  CHECK(names_of(response.resources) == Names{"b"});
  f.ask(Type::kEndpoint, {"a", "b", "c"}, response.nonce);
  CHECK(names_of(f.sent(Type::kEndpoint).resources) == Names{"c"});
}

TEST_CASE("the same names in another order ask for nothing, and a name in another's place asks for it") {
  Fixture f(Form::kStateOfTheWorld);
  for (const char* name : {"a", "b", "c"}) f.set(Type::kEndpoint, name);
  f.ask(Type::kEndpoint, {"a", "b"});
  Response response = f.sent(Type::kEndpoint);
  f.ask(Type::kEndpoint, {"b", "a"}, response.nonce);
  CHECK(f.is_silent());
  f.ask(Type::kEndpoint, {"a", "a"});
  f.set(Type::kEndpoint, "b", 1);
  CHECK(f.is_silent());
  f.ask(Type::kEndpoint, {"c", "a"});
  response = f.sent(Type::kEndpoint);
  CHECK(names_of(response.resources) == Names{"c"});
  f.ask(Type::kEndpoint, {"a", "b"}, response.nonce);
  CHECK(names_of(f.sent(Type::kEndpoint).resources) == Names{"b"});
}

TEST_CASE("clusters, endpoints, listeners, routes, and removals last") {
  Fixture f(Form::kDelta);
  f.set(Type::kCluster, "old");
  f.set(Type::kListener, "l");
  f.set(Type::kRoute, "r", 0, {{Type::kCluster, "old"}});
  f.ask_delta(Type::kCluster, {"*"});
  f.answer_delta(f.sent(Type::kCluster));
  f.ask_delta(Type::kListener, {"*"});
  f.answer_delta(f.sent(Type::kListener));
  f.ask_delta(Type::kRoute, {"r"});
  f.answer_delta(f.sent(Type::kRoute));
  REQUIRE(f.is_silent());

  REQUIRE(f.view
              .apply({{Type::kRoute, "r", resource(Type::kRoute, "r", 1, {{Type::kCluster, "new"}})},
                      {Type::kCluster, "old", nullptr},
                      {Type::kEndpoint, "new", resource(Type::kEndpoint, "new")},
                      {Type::kCluster, "new", resource(Type::kCluster, "new")}})
              .ok());
  const Response clusters = f.sent(Type::kCluster);
  CHECK(names_of(clusters.resources) == Names{"new"});
  CHECK(clusters.removed.empty());
  // The client asks for endpoints before it answers to the clusters.
  f.ask_delta(Type::kEndpoint, {"new"});
  const Response endpoints = f.sent(Type::kEndpoint);
  CHECK(f.is_silent());
  f.answer_delta(clusters);
  const Response routes = f.sent(Type::kRoute);
  CHECK(f.is_silent());
  f.answer_delta(endpoints);
  f.answer_delta(routes);
  const Response removal = f.sent(Type::kCluster);
  CHECK(removal.resources.empty());
  CHECK(removal.removed == Names{"old"});
}

TEST_CASE("a state of the world keeps a cluster that is gone until no route can name it") {
  Fixture f(Form::kStateOfTheWorld);
  f.set(Type::kCluster, "old");
  f.set(Type::kRoute, "r", 0, {{Type::kCluster, "old"}});
  f.ask(Type::kCluster);
  f.ask(Type::kCluster, {}, f.sent(Type::kCluster).nonce);
  f.ask(Type::kRoute, {"r"});
  f.ask(Type::kRoute, {"r"}, f.sent(Type::kRoute).nonce);
  REQUIRE(f.view
              .apply({{Type::kRoute, "r", resource(Type::kRoute, "r", 1, {{Type::kCluster, "new"}})},
                      {Type::kCluster, "old", nullptr},
                      {Type::kCluster, "new", resource(Type::kCluster, "new")}})
              .ok());
  const Response both = f.sent(Type::kCluster);
  CHECK(names_of(both.resources) == Names{"new", "old"});
  CHECK(f.is_silent());
  f.ask(Type::kCluster, {}, both.nonce);
  const Response routes = f.sent(Type::kRoute);
  CHECK(f.is_silent());
  f.ask(Type::kRoute, {"r"}, routes.nonce);
  CHECK(names_of(f.sent(Type::kCluster).resources) == Names{"new"});
}

TEST_CASE("what a client refuses is not sent again until it changes, and keeps back nothing else") {
  Fixture f(Form::kDelta);
  f.ask_delta(Type::kCluster, {"*"});
  f.answer_delta(f.sent(Type::kCluster));
  REQUIRE(f.view
              .apply({{Type::kCluster, "bad", resource(Type::kCluster, "bad")},
                      {Type::kCluster, "good", resource(Type::kCluster, "good")}})
              .ok());
  f.answer_delta(f.sent(Type::kCluster), "cluster bad: no such policy");
  const Subscription& clusters = f.stream.subscription(Type::kCluster);
  REQUIRE(clusters.refusals().size() == 1);
  CHECK(clusters.refusals().at("bad").reason == "cluster bad: no such policy");
  const Response rest = f.sent(Type::kCluster);
  CHECK(names_of(rest.resources) == Names{"good"});
  f.answer_delta(rest);
  CHECK(f.is_silent());
  CHECK_FALSE(clusters.holds("bad"));
  f.set(Type::kCluster, "bad", 1);
  const Response mended = f.sent(Type::kCluster);
  CHECK(names_of(mended.resources) == Names{"bad"});
  f.answer_delta(mended);
  CHECK(clusters.refusals().empty());
  CHECK(f.stream.counts(Type::kCluster).refused == 1);
}

TEST_CASE("a refused change of a listener leaves the one before in the state of the world") {
  Fixture f(Form::kStateOfTheWorld);
  f.set(Type::kListener, "l");
  f.ask(Type::kListener);
  f.ask(Type::kListener, {}, f.sent(Type::kListener).nonce);
  f.set(Type::kListener, "l", 1);
  f.ask(Type::kListener, {}, f.sent(Type::kListener).nonce, "cannot");
  CHECK(f.is_silent());
  f.set(Type::kListener, "other");
  const Response response = f.sent(Type::kListener);
  REQUIRE(response.resources.size() == 2);
  for (const ResourcePointer& each : response.resources)
    CHECK(each->version == resource(Type::kListener, each->name)->version);
}

TEST_CASE("a refusal that names nothing is narrowed down to the one that is meant") {
  Fixture f(Form::kDelta);
  std::vector<Change> changes;
  for (int i = 0; i < 20; ++i) {
    const std::string name = "c" + std::to_string(i);
    changes.push_back({Type::kCluster, name, resource(Type::kCluster, name)});
  }
  REQUIRE(f.view.apply(changes).ok());
  f.ask_delta(Type::kCluster, {"*"});
  int responses = 0;
  for (; responses < 40; ++responses) {
    std::optional<Response> response = f.stream.next();
    if (!response.has_value()) break;
    const Names names = names_of(response->resources);
    const bool has_bad = std::find(names.begin(), names.end(), "c13") != names.end();
    f.answer_delta(*response, has_bad ? "something is wrong" : "");
  }
  CHECK(responses <= 11);
  const Subscription& clusters = f.stream.subscription(Type::kCluster);
  CHECK(clusters.held_count() == 19);
  REQUIRE(clusters.refusals().size() == 1);
  CHECK(clusters.refusals().contains("c13"));
}

TEST_CASE("what went with a refused response and is there again is sent again") {
  Fixture f(Form::kStateOfTheWorld);
  f.set(Type::kCluster, "a");
  f.ask(Type::kCluster);
  f.ask(Type::kCluster, {}, f.sent(Type::kCluster).nonce);
  f.ask(Type::kRoute, {"r"});
  // A client that takes what it can has let "a" go.
  f.remove(Type::kCluster, "a");
  f.ask(Type::kCluster, {}, f.sent(Type::kCluster).nonce, "no");
  REQUIRE(f.view
              .apply({{Type::kCluster, "a", resource(Type::kCluster, "a")},
                      {Type::kRoute, "r", resource(Type::kRoute, "r", 0, {{Type::kCluster, "a"}})}})
              .ok());
  const Response again = f.sent(Type::kCluster);
  CHECK(names_of(again.resources) == Names{"a"});
  CHECK(f.is_silent());
  f.ask(Type::kCluster, {}, again.nonce);
  CHECK(names_of(f.sent(Type::kRoute).resources) == Names{"r"});
}

TEST_CASE("a state of the world tells that what was refused is gone, for a client may have it from before") {
  Fixture f(Form::kStateOfTheWorld);
  f.set(Type::kCluster, "a");
  f.set(Type::kCluster, "old", 2);
  f.ask(Type::kCluster);
  f.ask(Type::kCluster, {}, f.sent(Type::kCluster).nonce, "old: cannot be changed so");
  const Response rest = f.sent(Type::kCluster);
  REQUIRE(names_of(rest.resources) == Names{"a"});
  f.ask(Type::kCluster, {}, rest.nonce);
  f.set(Type::kCluster, "b");
  const Response grown = f.sent(Type::kCluster);
  f.remove(Type::kCluster, "old");
  f.ask(Type::kCluster, {}, grown.nonce, "old is still there, and b is wrong");
  const Response without = f.sent(Type::kCluster);
  CHECK(names_of(without.resources) == Names{"a"});
  f.ask(Type::kCluster, {}, without.nonce);
  CHECK(f.is_silent());
}

TEST_CASE("a removal that was refused for another's sake is sent again, be it of what nobody acknowledged") {
  Fixture f(Form::kDelta);
  f.ask_delta(Type::kCluster, {"*"});
  f.answer_delta(f.sent(Type::kCluster));
  f.set(Type::kCluster, "taken");
  f.set(Type::kCluster, "bad");
  f.answer_delta(f.sent(Type::kCluster), "bad: no such policy");
  f.remove(Type::kCluster, "taken");
  f.set(Type::kCluster, "bad", 1);
  // It may go with the next attempt or after it; in the end it was told in a response that was accepted.
  Names accepted;
  for (int i = 0; i < 10; ++i) {
    const std::optional<Response> response = f.stream.next();
    if (!response.has_value()) break;
    const bool is_bad = !response->resources.empty();
    if (!is_bad) accepted.insert(accepted.end(), response->removed.begin(), response->removed.end());
    f.answer_delta(*response, is_bad ? "bad: no such policy" : "");
  }
  CHECK(accepted == Names{"taken"});
  CHECK(f.is_silent());
}

TEST_CASE("after a reconnection only what is different is sent") {
  Fixture f(Form::kDelta);
  f.set(Type::kCluster, "same");
  f.set(Type::kCluster, "changed", 1);
  f.set(Type::kCluster, "new");
  f.ask_delta(Type::kCluster, {"*"}, {},
              {{"same", snapshot::version_text(resource(Type::kCluster, "same")->version)},
               {"changed", snapshot::version_text(resource(Type::kCluster, "changed")->version)},
               {"gone", "of another server"}});
  const Response additions = f.sent(Type::kCluster);
  CHECK(names_of(additions.resources) == Names{"changed", "new"});
  f.answer_delta(additions);
  f.ask_delta(Type::kListener, {"*"});
  f.answer_delta(f.sent(Type::kListener));
  CHECK(f.sent(Type::kCluster).removed == Names{"gone"});
}

TEST_CASE("who comes back keeps a cluster that is gone until it runs the newest routes") {
  Fixture f(Form::kDelta);
  f.set(Type::kCluster, "new");
  f.set(Type::kRoute, "r", 1, {{Type::kCluster, "new"}});
  f.set(Type::kListener, "l", 0, {{Type::kRoute, "r"}});
  const auto version = [](Type type, const std::string& name, std::vector<snapshot::Reference> references = {}) {
    return snapshot::version_text(resource(type, name, 0, std::move(references))->version);
  };
  f.ask_delta(Type::kCluster, {"*"}, {}, {{"gone", version(Type::kCluster, "gone")}});
  f.answer_delta(f.sent(Type::kCluster));
  CHECK(f.is_silent());
  f.ask_delta(Type::kListener, {"*"}, {}, {{"l", version(Type::kListener, "l")}});
  CHECK(f.is_silent());
  // Its route, of which it then says that it has an older one, may still lead there.
  f.ask_delta(Type::kRoute, {"r"}, {}, {{"r", version(Type::kRoute, "r")}});
  const Response route = f.sent(Type::kRoute);
  CHECK(f.is_silent());
  f.answer_delta(route);
  CHECK(f.sent(Type::kCluster).removed == Names{"gone"});
}

TEST_CASE("who comes back for clusters alone is told in the end which are gone") {
  Fixture f(Form::kDelta);
  f.ask_delta(Type::kCluster, {"*"}, {}, {{"gone", "of another server"}});
  CHECK(f.is_silent());
  f.clock.advance_ms(15'000);
  CHECK(f.sent(Type::kCluster).removed == Names{"gone"});
}

TEST_CASE("asking for a name that there is not is answered, in the delta form, with its removal") {
  Fixture f(Form::kDelta);
  f.ask_delta(Type::kRoute, {"none"});
  const Response response = f.sent(Type::kRoute);
  CHECK(response.removed == Names{"none"});
  f.answer_delta(response);
  f.set(Type::kRoute, "none");
  CHECK(names_of(f.sent(Type::kRoute).resources) == Names{"none"});
}

TEST_CASE("a listener asked for by name that there is not is answered with a state without it") {
  Fixture f(Form::kStateOfTheWorld);
  f.set(Type::kListener, "other");
  f.ask(Type::kListener, {"none"});
  CHECK(f.sent(Type::kListener).resources.empty());
}

TEST_CASE("no name after some names means nothing, not everything") {
  Fixture f(Form::kStateOfTheWorld);
  f.set(Type::kListener, "a");
  f.ask(Type::kListener, {"a"});
  Response response = f.sent(Type::kListener);
  f.ask(Type::kListener, {}, response.nonce);
  response = f.sent(Type::kListener);
  CHECK(response.resources.empty());
  CHECK_FALSE(f.stream.subscription(Type::kListener).wildcard());
}

TEST_CASE("a cluster that changes is followed by its endpoints, for which the client then waits") {
  Fixture f(Form::kStateOfTheWorld);
  f.set(Type::kEndpoint, "a");
  f.set(Type::kCluster, "a", 0, {{Type::kEndpoint, "a"}});
  f.ask(Type::kCluster);
  f.ask(Type::kCluster, {}, f.sent(Type::kCluster).nonce);
  f.ask(Type::kEndpoint, {"a"});
  f.ask(Type::kEndpoint, {"a"}, f.sent(Type::kEndpoint).nonce);
  REQUIRE(f.is_silent());
  f.set(Type::kCluster, "a", 1, {{Type::kEndpoint, "a"}});
  f.sent(Type::kCluster);
  CHECK(names_of(f.sent(Type::kEndpoint).resources) == Names{"a"});
}

TEST_CASE("a name is mentioned as a word of its own") {
  CHECK(mentions("Error adding cluster(s) shop/cart:80: bad", "shop/cart:80"));
  CHECK(mentions("cart", "cart"));
  CHECK(mentions("in 'cart'.", "cart"));
  for (const char* text : {"cart2", "my-cart", "cart:8080", "cart.shop", ""}) CHECK_FALSE(mentions(text, "cart"));
  CHECK_FALSE(mentions("anything", ""));
}

}  // namespace
}  // namespace weft::control::xds
