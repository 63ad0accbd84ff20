#include "control-plane/server/mtls_steps.h"

#include <catch2/catch.hpp>

#include "control-plane/server/mesh.h"
#include "envoy/config/core/v3/base.pb.h"
#include "envoy/config/endpoint/v3/endpoint.pb.h"
#include "envoy/config/listener/v3/listener.pb.h"

namespace weft::control::server {
namespace {

using registry::MtlsMode;
using snapshot::Type;

const registry::ServiceName kCart{.namespace_name = "shop", .name = "cart"};
constexpr xds::SessionId kCaller = 7;
constexpr int64_t kStepMs = 5'000;

envoy::config::core::v3::Node node(const std::string& service, bool serves) {
  envoy::config::core::v3::Node node;
  node.set_id(service);
  node.set_user_agent_name("envoy");
  auto& fields = *node.mutable_metadata()->mutable_fields();
  fields["namespace"].set_string_value("shop");
  fields["service"].set_string_value(service);
  fields["outbound_port"].set_number_value(15001);
  fields["mtls"].set_bool_value(true);
  if (!serves) return node;
  fields["inbound_address"].set_string_value("10.0.0.1");
  fields["inbound_port"].set_number_value(15006);
  fields["app_port"].set_number_value(8080);
  return node;
}

// A caller, a workload of cart's, and what of them has yet to be applied.
struct Fixture {
  explicit Fixture(int64_t settle_ms = 0) : settle_ms(settle_ms) {
    auto service = std::make_shared<registry::Service>();
    service->name = kCart;
    service->hosts = {"cart"};
    service->ports = {{"", 80, registry::AppProtocol::kHttp, 8080}};
    service->service_accounts = {"cart"};
    model.services.set(kCart, service);
    model.routes.set(kCart, std::make_shared<registry::Routes>());
    model.policies.set(kCart, std::make_shared<registry::Policies>());
    set_marks(true);
    commit({.services = {kCart}, .endpoints = {kCart}});
    caller = *mesh.acquire(node("front", false));
    workload = *mesh.acquire(node("cart", true));
  }

  void set_marks(bool mtls) {
    auto endpoints = std::make_shared<registry::Endpoints>();
    registry::Endpoint endpoint;
    endpoint.address = "10.0.0.1";
    endpoint.port = 15006;
    endpoint.mtls = mtls;
    endpoints->ports.push_back({80, {endpoint}});
    model.endpoints.set(kCart, endpoints);
  }
  void commit(const registry::ChangeSet& changed) {
    ++model.revision;
    rollouts.on_commit(model.revision, now_ms);
    mesh.set(std::make_shared<registry::Model>(model), changed, now_ms);
    now_ms += 1'000;
    push(mesh.advance(now_ms));
  }
  void set_mode(MtlsMode mode) {
    auto whole = std::make_shared<registry::Mtls>();
    whole->mode = mode;
    auto of_namespace = std::make_shared<registry::NamespaceMtls>();
    of_namespace->whole = whole;
    model.mtls.set({"shop"}, of_namespace);
    set_marks(mode != MtlsMode::kDisable);
    commit({.endpoints = {kCart}, .mtls = {"shop"}});
  }
  void push(const std::optional<xds::Brought>& brought) {
    if (!brought.has_value()) return;
    const xds::Epoch epoch = rollouts.begin_push(*brought);
    rollouts.concern(epoch, kCaller, false);
    owed.push_back(epoch);
    mesh.pushed(epoch);
  }
  // False if nothing was to do.
  bool step() {
    const std::optional<xds::Brought> brought = mesh.advance_mtls(now_ms, rollouts);
    push(brought);
    return brought.has_value();
  }
  void apply_all() {
    for (const xds::Epoch epoch : std::exchange(owed, {})) rollouts.ended(epoch, {.session = kCaller}, now_ms);
  }

  template <typename Message>
  Message content(const snapshot::View& view, Type type, const std::string& name) const {
    google::protobuf::Any any;
    Message message;
    REQUIRE((any.ParseFromString(view.find(type, name)->any) && any.UnpackTo(&message)));
    return message;
  }
  // Its caller is told to call by TLS.
  bool calls_by_tls() const {
    const auto assignment =
        content<envoy::config::endpoint::v3::ClusterLoadAssignment>(*caller, Type::kEndpoint, "shop/cart:80");
    return assignment.endpoints(0).lb_endpoints(0).metadata().filter_metadata().contains(
        "envoy.transport_socket_match");
  }
  // What its workload takes: "plain", "tls", or "both".
  std::string takes() const {
    bool takes_plain = false;
    bool takes_tls = false;
    const auto listener = content<envoy::config::listener::v3::Listener>(*workload, Type::kListener, "inbound");
    for (const auto& chain : listener.filter_chains()) {
      (chain.has_transport_socket() ? takes_tls : takes_plain) = true;
    }
    return takes_plain && takes_tls ? "both" : takes_tls ? "tls" : "plain";
  }
  std::string now() const { return takes() + (calls_by_tls() ? ", called by tls" : ", called plainly"); }
  bool is_done() const { return rollouts.of(model.revision).is_done(); }

  const int64_t settle_ms;
  int64_t now_ms = 0;
  registry::Model model;
  Mesh mesh{std::make_shared<registry::Model>(), {.mtls_step_ms = kStepMs, .mtls_settle_ms = settle_ms}};
  xds::Rollouts rollouts;
  std::vector<xds::Epoch> owed;
  const snapshot::View* caller = nullptr;
  const snapshot::View* workload = nullptr;
};

TEST_CASE("to DISABLE callers go first, and the workload refuses TLS once they have") {
  Fixture f;
  CHECK(f.now() == "both, called by tls");
  f.apply_all();
  f.set_mode(MtlsMode::kDisable);
  CHECK(f.now() == "both, called by tls");
  CHECK_FALSE(f.step());
  f.apply_all();
  CHECK(f.step());
  CHECK(f.now() == "both, called plainly");
  CHECK_FALSE(f.step());
  f.apply_all();
  CHECK_FALSE(f.is_done());
  CHECK(f.step());
  CHECK(f.now() == "plain, called plainly");
  CHECK_FALSE(f.is_done());
  f.apply_all();
  CHECK(f.is_done());
  CHECK_FALSE(f.step());
  CHECK_FALSE(f.mesh.due_ms().has_value());
}

TEST_CASE("from DISABLE to STRICT the workload goes first, then callers, and then what is plain is refused") {
  Fixture f;
  f.set_mode(MtlsMode::kDisable);
  do {
    f.apply_all();
  } while (f.step());
  REQUIRE(f.now() == "plain, called plainly");
  f.set_mode(MtlsMode::kStrict);
  CHECK(f.now() == "both, called plainly");
  CHECK_FALSE(f.step());
  f.apply_all();
  CHECK(f.step());
  CHECK(f.now() == "both, called by tls");
  CHECK_FALSE(f.step());
  f.apply_all();
  CHECK(f.step());
  CHECK(f.now() == "tls, called by tls");
}

TEST_CASE("where callers need not change, a mode holds at once") {
  Fixture f;
  f.set_mode(MtlsMode::kStrict);
  CHECK(f.now() == "tls, called by tls");
  CHECK_FALSE(f.step());
  f.set_mode(MtlsMode::kPermissive);
  CHECK(f.now() == "both, called by tls");
}

TEST_CASE("callers who are stuck are waited for a while and no longer") {
  Fixture f;
  f.apply_all();
  f.set_mode(MtlsMode::kDisable);
  REQUIRE(f.mesh.due_ms() == f.now_ms + kStepMs);
  f.now_ms += kStepMs - 1;
  CHECK_FALSE(f.step());
  f.now_ms += 1;
  CHECK(f.step());
  CHECK(f.now() == "both, called plainly");
  f.now_ms = *f.mesh.due_ms();
  CHECK(f.step());
  CHECK(f.now() == "plain, called plainly");
}

TEST_CASE("when all run a step, calls that were begun before still have their time") {
  constexpr int64_t kSettleMs = 300;
  Fixture f(kSettleMs);
  f.apply_all();
  f.set_mode(MtlsMode::kDisable);
  for (const char* after : {"both, called plainly", "plain, called plainly"}) {
    f.apply_all();
    CHECK_FALSE(f.step());
    REQUIRE(f.mesh.due_ms() == f.now_ms + kSettleMs);
    f.now_ms += kSettleMs - 1;
    CHECK_FALSE(f.step());
    f.now_ms += 1;
    CHECK(f.step());
    CHECK(f.now() == after);
  }
  // A mode that changes meanwhile has all its time again.
  f.apply_all();
  f.set_mode(MtlsMode::kStrict);
  f.apply_all();
  CHECK_FALSE(f.step());
  f.set_mode(MtlsMode::kPermissive);
  CHECK(f.mesh.due_ms() == f.now_ms + kStepMs);
}

TEST_CASE("a mode that changes while callers do is waited for from the beginning") {
  Fixture f;
  f.set_mode(MtlsMode::kDisable);
  f.apply_all();
  REQUIRE(f.step());
  REQUIRE(f.now() == "both, called plainly");
  // Not all of them know yet.
  f.set_mode(MtlsMode::kStrict);
  CHECK(f.now() == "both, called plainly");
  f.apply_all();
  CHECK(f.step());
  CHECK(f.now() == "both, called by tls");
  f.apply_all();
  CHECK(f.step());
  CHECK(f.now() == "tls, called by tls");
}

TEST_CASE("a mode that is taken back before callers were told leaves all as it was") {
  Fixture f;
  f.set_mode(MtlsMode::kDisable);
  f.set_mode(MtlsMode::kStrict);
  CHECK(f.now() == "both, called by tls");
  do {
    f.apply_all();
    CHECK(f.calls_by_tls());
  } while (f.step());
  CHECK(f.now() == "tls, called by tls");
}

TEST_CASE("endpoints that come and go meanwhile do not hurry callers") {
  Fixture f;
  f.set_mode(MtlsMode::kDisable);
  f.commit({.endpoints = {kCart}});
  CHECK(f.now() == "both, called by tls");
  f.commit({.services = {kCart}, .endpoints = {kCart}});
  CHECK(f.now() == "both, called by tls");
  f.apply_all();
  CHECK(f.step());
  CHECK(f.now() == "both, called plainly");
}

TEST_CASE("a port whose mode stays is as it was while another's changes") {
  MtlsSteps steps(kStepMs, 0);
  const auto model_of = [](MtlsMode other) {
    auto model = std::make_shared<registry::Model>();
    auto of_cart = std::make_shared<registry::Mtls>();
    of_cart->mode = MtlsMode::kStrict;
    of_cart->ports = {{9090, other}};
    auto of_namespace = std::make_shared<registry::NamespaceMtls>();
    of_namespace->of_service["cart"] = of_cart;
    model->mtls.set({"shop"}, of_namespace);
    return model;
  };
  const auto after = model_of(MtlsMode::kDisable);
  steps.begin(kCart, model_of(MtlsMode::kStrict), 0);
  CHECK(steps.mode_of(kCart, 8080, *after) == MtlsMode::kStrict);
  CHECK(steps.mode_of(kCart, 9090, *after) == MtlsMode::kPermissive);
  // And stays so when it goes back: callers may have been told.
  CHECK(steps.mode_of(kCart, 9090, *model_of(MtlsMode::kStrict)) == MtlsMode::kPermissive);
}

TEST_CASE("after a start DISABLE takes TLS until who was told of another mode may have come back") {
  Fixture f;
  f.set_mode(MtlsMode::kDisable);
  do {
    f.apply_all();
  } while (f.step());
  Mesh anew(std::make_shared<registry::Model>(), {});
  anew.set(std::make_shared<registry::Model>(f.model), {.services = {kCart}, .mtls = {"shop"}}, 0);
  anew.await_returns(10'000);
  REQUIRE(anew.advance(100));
  f.workload = *anew.acquire(node("cart", true));
  CHECK(f.takes() == "both");
  CHECK(anew.due_ms() == 10'000);
  static_cast<void>(anew.advance_mtls(9'999, f.rollouts));
  CHECK(f.takes() == "both");
  static_cast<void>(anew.take_changed());
  static_cast<void>(anew.advance_mtls(10'000, f.rollouts));
  CHECK(f.takes() == "plain");
  CHECK(anew.take_changed() == std::vector<const snapshot::View*>{f.workload});
  CHECK_FALSE(anew.due_ms().has_value());
}

}  // namespace
}  // namespace weft::control::server
