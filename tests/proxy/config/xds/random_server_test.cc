#include "proxy/base/random.h"

#include <algorithm>

#include "tests/proxy/config/xds/conversation_fixture.h"

// A server that changes its resources, sends good and bad ones, late and in any order, and loses its stream, all by
// chance; in the end the client holds what it holds. A failure prints its seed.

namespace weft::config::xds {
namespace {

constexpr Type kServed[] = {Type::kCluster, Type::kEndpoints};

struct World {
  // Name to version; a resource whose version is odd is refused.
  std::map<std::string, int> truth[kTypes];
};

// Refuses odd versions, and follows clusters with the names of their endpoints.
struct Picky final : Consumer {
  std::vector<Refusal> on_update(Type type, const Update& update) override {
    std::vector<Refusal> refusals;
    std::map<std::string, std::string> named;
    for (const Resource& each : update.changed) {
      if (std::stoi(each.version) % 2 == 1) {
        refusals.push_back({each.name, "odd"});
        if (auto old = have[type].find(each.name); old != have[type].end()) named.insert(*old);
      } else {
        named[each.name] = each.version;
      }
    }
    if (update.whole) {
      have[type] = named;
    } else {
      for (auto& [name, version] : named) have[type][name] = version;
    }
    for (const std::string& name : update.removed) have[type].erase(name);
    if (type == Type::kCluster) follow();
    return refusals;
  }
  void on_fetch_timeout(Type, const std::vector<std::string>&) override {}
  void follow() {
    Names names;
    for (auto& [name, version] : have[Type::kCluster]) names.push_back(name);
    for (auto it = have[Type::kEndpoints].begin(); it != have[Type::kEndpoints].end();) {
      it = have[Type::kCluster].count(it->first) != 0 ? std::next(it) : have[Type::kEndpoints].erase(it);
    }
    source->subscribe(Type::kEndpoints, names, 0);
  }
  Conversation* source = nullptr;
  std::map<Type, std::map<std::string, std::string>> have;
};

// The server's half of one stream, from the protocol's text alone.
struct DeltaPeer {
  struct PerType {
    bool asked = false, all = false;
    std::set<std::string> names;
    std::map<std::string, std::string> sent;  // What it believes the client has or was offered.
    std::string nonce;
    bool in_flight = false;
  } types[kTypes];
  int last_nonce = 0;

  void on_request(const std::string& bytes) {
    discovery_v3::DeltaDiscoveryRequest request;
    REQUIRE(request.ParseFromString(bytes));
    PerType& type = types[static_cast<int>(*type_of(request.type_url()))];
    if (!request.response_nonce().empty()) {
      REQUIRE(request.response_nonce() == type.nonce);
      type.in_flight = false;
      return;
    }
    if (!type.asked) {
      type.all = request.resource_names_subscribe().empty();
      for (auto& [name, version] : request.initial_resource_versions()) type.sent[name] = version;
    }
    type.asked = true;
    for (const std::string& name : request.resource_names_subscribe()) {
      type.names.insert(name);
      if (request.initial_resource_versions().count(name) == 0) type.sent.erase(name);
    }
    for (const std::string& name : request.resource_names_unsubscribe()) {
      type.names.erase(name);
      type.sent.erase(name);
    }
  }
  // The next response of a type, or none.
  std::optional<std::string> respond(Type t, const World& world) {
    PerType& type = types[static_cast<int>(t)];
    if (!type.asked || type.in_flight) return std::nullopt;
    discovery_v3::DeltaDiscoveryResponse response;
    response.set_type_url(std::string(type_url(t)));
    const auto& truth = world.truth[static_cast<int>(t)];
    for (const auto& [name, version] : truth) {
      if (!type.all && type.names.count(name) == 0) continue;
      std::string text = std::to_string(version);
      if (type.sent.count(name) != 0 && type.sent[name] == text) continue;
      type.sent[name] = text;
      auto* resource = response.add_resources();
      resource->set_name(name);
      resource->set_version(text);
      *resource->mutable_resource() = resource_of(t, name);
    }
    for (auto it = type.sent.begin(); it != type.sent.end();) {
      if (truth.count(it->first) != 0) {
        ++it;
        continue;
      }
      response.add_removed_resources(it->first);
      it = type.sent.erase(it);
    }
    if (response.resources().empty() && response.removed_resources().empty()) return std::nullopt;
    type.nonce = std::to_string(++last_nonce);
    response.set_nonce(type.nonce);
    type.in_flight = true;
    return response.SerializeAsString();
  }
};

struct SotwPeer {
  struct PerType {
    bool asked = false;
    Names names;
    std::string version, nonce;
    std::string sent;  // All that was sent last, to send only what is new.
    bool in_flight = false;
  } types[kTypes];
  int last_nonce = 0;

  void on_request(const std::string& bytes) {
    discovery_v3::DiscoveryRequest request;
    REQUIRE(request.ParseFromString(bytes));
    PerType& type = types[static_cast<int>(*type_of(request.type_url()))];
    if (request.response_nonce() != type.nonce) return;  // Of a response before the last one.
    type.asked = true;
    type.in_flight = false;
    Names names = names_of(request.resource_names());
    for (const std::string& name : names) {
      // Asked for (again): it is sent, whether it was before or not.
      if (std::find(type.names.begin(), type.names.end(), name) == type.names.end()) type.sent.clear();
    }
    type.names = std::move(names);
    type.version = request.version_info();
  }
  std::optional<std::string> respond(Type t, const World& world) {
    PerType& type = types[static_cast<int>(t)];
    if (!type.asked || type.in_flight) return std::nullopt;
    discovery_v3::DiscoveryResponse response;
    response.set_type_url(std::string(type_url(t)));
    for (const auto& [name, version] : world.truth[static_cast<int>(t)]) {
      if (t == Type::kEndpoints && std::find(type.names.begin(), type.names.end(), name) == type.names.end()) continue;
      discovery_v3::Resource resource;
      resource.set_name(name);
      resource.set_version(std::to_string(version));
      *resource.mutable_resource() = resource_of(t, name);
      *response.add_resources() = wrapped(resource);
    }
    std::string all = response.SerializeAsString();
    if (all == type.sent) return std::nullopt;
    type.sent = all;
    type.nonce = std::to_string(++last_nonce);
    response.set_nonce(type.nonce);
    response.set_version_info("v" + type.nonce);
    type.in_flight = true;
    return response.SerializeAsString();
  }
};

template <typename Peer>
void play(bool delta, uint64_t seed) {
  INFO("seed " << seed);
  base::Random random(seed);
  base::ManualClock clock;
  event::ManualLoop loop{clock};
  Picky consumer;
  auto conversation = delta ? make_delta_conversation(loop, consumer, {}) : make_sotw_conversation(loop, consumer, {});
  consumer.source = conversation.get();
  conversation->subscribe(Type::kCluster, {}, 0);
  World world;
  auto peer = std::make_unique<Peer>();
  conversation->open();
  auto move = [&](Type type) {
    for (const std::string& request : conversation->take_requests()) peer->on_request(request);
    std::optional<std::string> response = peer->respond(type, world);
    if (!response) return false;
    REQUIRE(conversation->receive(*response).ok());
    return true;
  };
  for (int step = 0; step < 400; ++step) {
    Type type = kServed[random.below(2)];
    auto& truth = world.truth[static_cast<int>(type)];
    std::string name(1, static_cast<char>('a' + random.below(5)));
    switch (random.below(8)) {
      case 0:
      case 1:
        truth[name] += 1;
        break;
      case 2:
        truth.erase(name);
        break;
      case 3:
        conversation->close();
        peer = std::make_unique<Peer>();
        conversation->open();
        break;
      default:
        move(type);
    }
  }
  // Everything becomes good, and comes through.
  for (auto& truth : world.truth) {
    for (auto& [name, version] : truth) version += version % 2;
  }
  for (int quiet = 0, rounds = 0; quiet < 3; ++quiet) {
    REQUIRE(++rounds < 100);
    for (Type type : kServed) {
      if (move(type)) quiet = 0;
    }
  }
  std::map<std::string, std::string> clusters, endpoints;
  for (auto& [name, version] : world.truth[0]) clusters[name] = std::to_string(version);
  for (auto& [name, version] : world.truth[1]) {
    if (clusters.count(name) != 0) endpoints[name] = std::to_string(version);
  }
  CHECK(consumer.have[Type::kCluster] == clusters);
  for (auto& [name, version] : endpoints) CHECK(consumer.have[Type::kEndpoints][name] == version);
}

}  // namespace

TEST_CASE("after any order of changes, refusals and reconnects a delta client holds what its server does") {
  for (uint64_t seed = 1; seed <= 300; ++seed) play<DeltaPeer>(true, seed);
}

TEST_CASE("after any order of changes, refusals and reconnects a SotW client holds what its server does") {
  for (uint64_t seed = 1; seed <= 300; ++seed) play<SotwPeer>(false, seed);
}

}  // namespace weft::config::xds
