// Seeded random changes, requests, answers and refusals against a stream, with a client that is as simple as can be; a
// failure names its seed.

#include <catch2/catch.hpp>
#include <deque>
#include <map>
#include <random>
#include <set>

#include "control-plane/xds/stream.h"
#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/service/discovery/v3/discovery.pb.h"

namespace weft::control::xds {
namespace {

using envoy::service::discovery::v3::DeltaDiscoveryRequest;
using envoy::service::discovery::v3::DiscoveryRequest;

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  uint64_t below(uint64_t bound) { return engine_() % bound; }

 private:
  std::mt19937_64 engine_;
};

// Takes all clusters, listeners and names, and routes and endpoints by the names that it meets there. Refuses bad
// content.
class Client {
 public:
  Client(Form form, const View& view, base::Clock& clock, Random& random)
      : form_(form), random_(random), stream_(form, view, clock) {
    request(Type::kCluster, {}, "", false);
    request(Type::kListener, {}, "", false);
    request(Type::kName, {}, "", false);
    for (int i = 0; i < 6; ++i) {
      request(Type::kEndpoint, {"n" + std::to_string(i)}, "", false);
      request(Type::kRoute, {"n" + std::to_string(i)}, "", false);
    }
  }

  // Receives all that may be sent now; answers wait.
  void receive() {
    for (std::optional<Response> response = stream_.next(); response.has_value(); response = stream_.next()) {
      for (const Response& waiting : unanswered_) REQUIRE(waiting.type != response->type);
      unanswered_.push_back(*std::move(response));
      take(unanswered_.back());
    }
  }

  bool answer_one() {
    if (unanswered_.empty()) return false;
    const size_t index = random_.below(unanswered_.size());
    const Response response = std::move(unanswered_[index]);
    unanswered_.erase(unanswered_.begin() + static_cast<std::ptrdiff_t>(index));
    request(response.type, {}, response.nonce, is_bad(response));
    return true;
  }

  // The state of the world has no words for a route that is gone; no listener names it any more.
  void drop_route(const std::string& name) {
    if (form_ == Form::kStateOfTheWorld) held_.at(static_cast<size_t>(Type::kRoute)).erase(name);
  }

  const std::map<std::string, ResourcePointer>& held(Type type) const { return held_.at(static_cast<size_t>(type)); }
  const Stream& stream() const { return stream_; }

  // A state of the world says of these what is gone.
  static bool is_whole(Type type) { return type == Type::kCluster || type == Type::kListener || type == Type::kName; }
  static bool is_bad(const snapshot::Resource& resource) { return resource.any.find("bad") != std::string::npos; }

 private:
  static bool is_bad(const Response& response) {
    return std::any_of(response.resources.begin(), response.resources.end(),
                       [](const ResourcePointer& each) { return is_bad(*each); });
  }

  // As a careful client does: all of a response, or nothing.
  void take(const Response& response) {
    if (is_bad(response)) return;
    auto& held = held_.at(static_cast<size_t>(response.type));
    const bool whole = form_ == Form::kStateOfTheWorld && is_whole(response.type);
    if (whole) held.clear();
    for (const ResourcePointer& resource : response.resources) held[resource->name] = resource;
    for (const std::string& name : response.removed) held.erase(name);
    for (const auto& [name, route] : held_.at(static_cast<size_t>(Type::kRoute))) {
      for (const snapshot::Reference& reference : route->references) {
        INFO("route " << name << " names cluster " << reference.name);
        REQUIRE((held_.at(0).contains(reference.name) || refuses_clusters));
      }
    }
  }

  void request(Type type, std::vector<std::string> names, const std::string& nonce, bool refuse) {
    std::set<std::string>& asked = asked_[type];
    asked.insert(names.begin(), names.end());
    if (form_ == Form::kDelta) {
      DeltaDiscoveryRequest message;
      message.set_type_url(std::string(snapshot::type_url(type)));
      for (const std::string& name : names) message.add_resource_names_subscribe(name);
      message.set_response_nonce(nonce);
      if (refuse) message.mutable_error_detail()->set_message("no");
      stream_.on_request(message);
    } else {
      DiscoveryRequest message;
      message.set_type_url(std::string(snapshot::type_url(type)));
      for (const std::string& name : asked) message.add_resource_names(name);
      message.set_response_nonce(nonce);
      if (refuse) message.mutable_error_detail()->set_message("no");
      stream_.on_request(message);
    }
  }

 public:
  bool refuses_clusters = false;

 private:
  const Form form_;
  Random& random_;
  Stream stream_;
  std::array<std::map<std::string, ResourcePointer>, snapshot::kTypeCount> held_;
  std::map<Type, std::set<std::string>> asked_;
  std::deque<Response> unanswered_;
};

ResourcePointer random_resource(Type type, const std::string& name, bool bad, Random& random,
                                std::vector<snapshot::Reference> references) {
  envoy::config::cluster::v3::Cluster message;
  message.set_alt_stat_name((bad ? "bad" : "good") + std::to_string(random.below(4)));
  if (!references.empty()) message.set_name(references[0].name);
  return snapshot::make_resource(type, name, message, std::move(references));
}

void run(uint64_t seed, Form form, bool with_bad) {
  INFO("seed " << seed << (form == Form::kDelta ? ", delta" : ", state of the world"));
  Random random(seed);
  base::ManualClock clock;
  View view;
  Client client(form, view, clock, random);
  client.refuses_clusters = with_bad;
  const auto name = [&] { return "n" + std::to_string(random.below(6)); };
  for (int step = 0; step < 300; ++step) {
    switch (random.below(4)) {
      case 0: {
        const Type type = snapshot::kTypes[random.below(snapshot::kTypeCount)];
        if (type == Type::kSecret) break;
        std::vector<snapshot::Reference> references;
        if (type == Type::kRoute) references.push_back({Type::kCluster, name()});
        const std::string changed = name();
        const bool bad = with_bad && random.below(4) == 0;
        // What would be inconsistent the view refuses, and stays.
        (void)view.apply({{type, changed,
                           random.below(3) == 0 ? nullptr : random_resource(type, changed, bad, random, references)}});
        if (type == Type::kRoute && view.find(type, changed) == nullptr) client.drop_route(changed);
        break;
      }
      case 1:
        client.receive();
        break;
      default:
        client.answer_one();
    }
  }
  int rounds = 0;
  do {
    client.receive();
    REQUIRE(++rounds < 200);
  } while (client.answer_one());
  client.receive();
  CHECK(client.stream().is_settled());
  for (const Type type : snapshot::kTypes) {
    if (type == Type::kSecret) continue;
    const bool has_removals = form == Form::kDelta || Client::is_whole(type);
    for (const snapshot::ResourcePointer& resource : view.own(type)) {
      const std::string& each = resource->name;
      INFO(snapshot::type_name(type) << " " << each);
      const auto held = client.held(type).find(each);
      if (Client::is_bad(*resource)) {
        CHECK(client.stream().subscription(type).refusals().contains(each));
        CHECK((held == client.held(type).end() || !Client::is_bad(*held->second)));
      } else {
        REQUIRE(held != client.held(type).end());
        CHECK(held->second->version == resource->version);
      }
    }
    for (const auto& [each, resource] : client.held(type)) {
      INFO(snapshot::type_name(type) << " " << each);
      CHECK((view.find(type, each) != nullptr || !has_removals));
    }
  }
}

TEST_CASE(
    "whatever changes and in whatever order it is answered, the client ends with the view, and no route ever dangles") {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    run(seed, Form::kStateOfTheWorld, false);
    run(seed, Form::kDelta, false);
  }
}

TEST_CASE("a client that refuses what is bad ends with all that is good") {
  for (uint64_t seed = 1000; seed < 1200; ++seed) {
    run(seed, Form::kStateOfTheWorld, true);
    run(seed, Form::kDelta, true);
  }
}

}  // namespace
}  // namespace weft::control::xds
