#include "control-plane/server/node_secrets.h"

#include "control-plane/ca/origin.h"
#include "control-plane/server/rotation.h"
#include "envoy/config/core/v3/base.pb.h"
#include "envoy/extensions/transport_sockets/tls/v3/secret.pb.h"
#include "envoy/service/discovery/v3/discovery.pb.h"
#include "tests/control-plane/ca/authority_fixture.h"

namespace weft::control::server {
namespace {

using envoy::config::core::v3::Node;
using envoy::extensions::transport_sockets::tls::v3::Secret;
using envoy::service::discovery::v3::DiscoveryRequest;

Node node(const std::string& id, const std::string& service) {
  Node node;
  node.set_id(id);
  auto& fields = *node.mutable_metadata()->mutable_fields();
  fields["namespace"].set_string_value("shop");
  if (!service.empty()) fields["service"].set_string_value(service);
  return node;
}

// A stream on which a proxy asks for secrets, and answers.
struct Proxy : xds::Sink {
  Proxy(xds::Hub& hub, Node node) : hub(hub), node(std::move(node)) {
    id = hub.open(xds::Form::kStateOfTheWorld, std::nullopt, "test", *this);
  }
  void send(const xds::Response& response) override {
    nonce = response.nonce;
    for (const snapshot::ResourcePointer& resource : response.resources) {
      google::protobuf::Any any;
      REQUIRE(any.ParseFromString(resource->any));
      Secret secret;
      REQUIRE(any.UnpackTo(&secret));
      secrets[resource->name] = secret;
    }
  }
  void end(const absl::Status&) override {}
  void ask(const std::vector<std::string>& names, const std::string& error = "") {
    DiscoveryRequest request;
    *request.mutable_node() = node;
    request.set_type_url(std::string(snapshot::type_url(snapshot::Type::kSecret)));
    for (const std::string& name : names) request.add_resource_names(name);
    request.set_response_nonce(nonce);
    if (!error.empty()) request.mutable_error_detail()->set_message(error);
    hub.on_request(id, request);
  }
  std::string chain() { return secrets["default"].tls_certificate().certificate_chain().inline_string(); }
  std::string key() { return secrets["default"].tls_certificate().private_key().inline_string(); }
  std::string roots() { return secrets["ROOTCA"].validation_context().trusted_ca().inline_string(); }

  xds::Hub& hub;
  Node node;
  xds::Hub::SessionId id;
  std::string nonce;
  std::map<std::string, Secret> secrets;
};

struct Fixture : ca::AuthorityFixture {
  Fixture() {
    secrets.set_roots(authority->roots_pem());
    authority->set_on_roots([this](const std::string& roots) { secrets.set_roots(roots); });
  }
  // As the server does between tasks.
  void turn() {
    secrets.advance();
    const std::vector<const snapshot::View*> changed = mesh.take_changed();
    if (!changed.empty()) hub.push({}, &changed);
  }
  Rotation rotation() const {
    const auto standing = authority->standing();
    REQUIRE(standing.ok());
    return rotation_of(*standing, proxies_trust(hub), const_cast<base::ManualClock&>(clock).wall_ms());
  }
  absl::Status step() { return rotate(rotation().phase, *authority).status(); }

  Mesh mesh{std::make_shared<registry::Model>(), {}};
  NodeSecrets secrets{mesh, mesh, authority.get(), clock};
  xds::Hub hub{secrets, clock};
};

TEST_CASE("the roots go to everybody, and a certificate with its key to the node that asks for it alone") {
  Fixture f;
  Proxy cart(f.hub, node("cart-1", "cart"));
  Proxy pay(f.hub, node("pay-1", "pay"));
  Proxy nobody(f.hub, node("nobody", ""));
  for (Proxy* each : {&cart, &pay, &nobody}) {
    each->ask({"ROOTCA", "default"});
    f.turn();
    each->ask({"ROOTCA", "default"});
    CHECK(each->roots() == f.authority->roots_pem());
  }
  const auto peer = f.authority->verify(cart.chain(), "");
  INFO(peer.status().message());
  REQUIRE(peer.ok());
  CHECK(peer->identity == ca::Identity{"shop", "cart"});
  CHECK(peer->origin == ca::kSecretOrigin);
  CHECK(f.authority->verify(pay.chain(), "")->identity == ca::Identity{"shop", "pay"});
  CHECK(cart.key() != pay.key());
  CHECK_FALSE(nobody.secrets.contains("default"));
  CHECK(f.secrets.given_count() == 2);
  CHECK(f.authority->issued("cart-1", 10)->size() == 1);
}

TEST_CASE("who does not ask for a certificate gets none made") {
  Fixture f;
  Proxy cart(f.hub, node("cart-1", "cart"));
  cart.ask({"ROOTCA"});
  f.turn();
  CHECK_FALSE(f.secrets.due_ms().has_value());
  CHECK(f.authority->counts().issued == 0);
}

TEST_CASE("a certificate is made anew before it ends, for as long as its node is there") {
  Fixture f;
  Proxy cart(f.hub, node("cart-1", "cart"));
  cart.ask({"default"});
  f.turn();
  cart.ask({"default"});
  const std::string before = cart.chain();
  CHECK(f.secrets.due_ms() == f.clock.monotonic_ms() + 12 * ca::kHourMs);
  f.clock.advance_ms(12 * ca::kHourMs - 1);
  f.turn();
  CHECK(cart.chain() == before);
  f.clock.advance_ms(1);
  f.turn();
  CHECK(cart.chain() != before);
  CHECK(f.authority->verify(cart.chain(), "").ok());
  f.hub.close(cart.id);
  CHECK_FALSE(f.secrets.due_ms().has_value());
  CHECK(f.secrets.given_count() == 0);
}

TEST_CASE("without an authority there are no certificates") {
  Fixture f;
  Mesh mesh(std::make_shared<registry::Model>(), {});
  NodeSecrets secrets(mesh, mesh, nullptr, f.clock);
  xds::Hub hub(secrets, f.clock);
  Proxy cart(hub, node("cart-1", "cart"));
  cart.ask({"default", "ROOTCA"});
  CHECK(mesh.take_changed().empty());
  CHECK(cart.secrets.empty());
}

TEST_CASE("a rotation waits for each proxy to trust the new root, and for the old certificates to end") {
  Fixture f;
  Proxy good(f.hub, node("good", "cart"));
  Proxy slow(f.hub, node("slow", "cart"));
  Proxy careless(f.hub, node("careless", "cart"));
  for (Proxy* each : {&good, &slow}) {
    each->ask({"ROOTCA"});
    each->ask({"ROOTCA"});
  }
  careless.ask({"other"});
  CHECK(f.rotation().phase == RotationPhase::kSteady);
  CHECK(f.rotation().blockers.empty());
  CHECK(proxies_trust(f.hub).size() == 2);
  const ca::Authority::Signed old = f.sign();

  REQUIRE(f.step().ok());
  CHECK(f.rotation().phase == RotationPhase::kTrusting);
  REQUIRE(f.rotation().blockers.size() == 2);
  CHECK_THAT(f.rotation().blockers[0], Catch::Contains("proxy good does not trust the new root: it has not been sent"));
  f.turn();
  good.ask({"ROOTCA"});
  CHECK(good.roots() == f.authority->roots_pem());
  REQUIRE(f.rotation().blockers.size() == 1);
  CHECK(f.rotation().blockers[0] ==
        "proxy slow does not trust the new root: it was sent them, and has not acknowledged them");
  slow.ask({"ROOTCA"}, "no room");
  REQUIRE(f.rotation().blockers.size() == 1);
  CHECK_THAT(f.rotation().blockers[0], Catch::Contains("proxy slow") && Catch::Contains("refuses them: no room"));
  // Who is gone is not waited for.
  f.hub.close(slow.id);
  CHECK(f.rotation().blockers.empty());

  REQUIRE(f.step().ok());
  CHECK(f.rotation().phase == RotationPhase::kRetiring);
  const ca::Authority::Signed fresh = f.sign();
  REQUIRE(f.rotation().blockers.size() == 1);
  CHECK_THAT(f.rotation().blockers[0],
             Catch::StartsWith("1 certificates hang from the old root, the last of them until 2023-11-15"));
  f.clock.advance_ms(ca::kDayMs + 1);
  CHECK(f.rotation().blockers.empty());
  REQUIRE(f.step().ok());
  CHECK(f.rotation().phase == RotationPhase::kSteady);
  f.turn();
  CHECK(good.roots() == f.authority->roots_pem());
  CHECK(f.root_count() == 1);
}

}  // namespace
}  // namespace weft::control::server
