#include "control-plane/server/mtls_steps.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "control-plane/server/mesh.h"
#include "control-plane/server/mtls_store.h"
#include "envoy/config/core/v3/base.pb.h"
#include "envoy/config/endpoint/v3/endpoint.pb.h"
#include "envoy/config/listener/v3/listener.pb.h"
#include "tests/control-plane/server/full_disk.h"

namespace weft::control::server {
namespace {

using registry::MtlsMode;
using snapshot::Type;

const registry::ServiceName kCart{.namespace_name = "shop", .name = "cart"};
constexpr xds::SessionId kCaller = 7;
constexpr int64_t kStepMs = 5'000;
constexpr int64_t kGraceMs = 10'000;

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
    auto of_shop = std::make_shared<registry::SharedMap<registry::ServiceName, registry::Service>>();
    of_shop->set(kCart, service);
    model.by_namespace.set({"shop"}, of_shop);
    model.routes.set(kCart, std::make_shared<registry::Routes>());
    model.policies.set(kCart, std::make_shared<registry::Policies>());
    set_marks(true);
    commit({.services = {kCart}, .endpoints = {kCart}});
    caller = *mesh->acquire(node("front", false));
    workload = *mesh->acquire(node("cart", true));
  }

  std::unique_ptr<Mesh> made() const {
    return std::make_unique<Mesh>(std::make_shared<registry::Model>(),
                                  Mesh::Limits{.mtls_step_ms = kStepMs, .mtls_settle_ms = settle_ms});
  }
  void set_marks(bool mtls) {
    auto endpoints = std::make_shared<registry::Endpoints>();
    registry::Endpoint endpoint;
    endpoint.address = "10.0.0.1";
    endpoint.port = 15006;
    endpoint.mtls = mtls;
    endpoint.can_mtls = true;
    endpoint.app_port = 8080;
    endpoints->ports.push_back({80, {endpoint}});
    model.endpoints.set(kCart, endpoints);
  }
  void set_model(const registry::ChangeSet& changed) {
    mesh->set(std::make_shared<registry::Model>(model), changed, now_ms);
  }
  void commit(const registry::ChangeSet& changed) {
    ++model.revision;
    rollouts.on_commit(model.revision, now_ms);
    set_model(changed);
    now_ms += 1'000;
    push(mesh->advance(now_ms));
  }
  // In the newest model, which is not out yet.
  void write_mode(MtlsMode mode) {
    auto whole = std::make_shared<registry::Mtls>();
    whole->mode = mode;
    auto of_namespace = std::make_shared<registry::NamespaceMtls>();
    of_namespace->whole = whole;
    model.mtls.set({"shop"}, of_namespace);
  }
  void set_mode(MtlsMode mode) {
    write_mode(mode);
    set_marks(mode != MtlsMode::kDisable);
    commit({.endpoints = {kCart}, .mtls = {"shop"}});
  }
  // Those of this model, in place of cart or of none.
  void set_services(const registry::Model& from) {
    model.services = from.services;
    model.endpoints = from.endpoints;
    model.routes = from.routes;
    model.policies = from.policies;
    model.by_namespace = from.by_namespace;
    commit({.services = {kCart}, .endpoints = {kCart}, .routes = {kCart}, .policies = {kCart}});
  }
  void push(const std::optional<xds::Brought>& brought) {
    if (!brought.has_value()) return;
    const xds::Epoch epoch = rollouts.begin_push(*brought);
    rollouts.concern(epoch, kCaller, false);
    owed.push_back(epoch);
    mesh->pushed(epoch);
  }
  // False if nothing was to do. The disk has all before it returns, unless it is slow.
  bool step() {
    const std::optional<xds::Brought> brought = mesh->advance_mtls(now_ms, rollouts);
    push(brought);
    if (brought.has_value() || is_slow) return brought.has_value();
    return write() && step();
  }
  // What waits goes to the disk.
  bool write() {
    const std::optional<MtlsSteps::ToKeep> to_keep = mesh->take_calls_to_keep();
    if (!to_keep.has_value()) return false;
    if (store != nullptr) keep(*store, to_keep->changes);
    for (const CallChange& each : to_keep->changes) disk[each.service] = each.state;
    mesh->calls_kept(to_keep->ticket);
    return true;
  }
  // To its end, as everybody applies everything.
  void finish() {
    do {
      apply_all();
    } while (step());
  }
  // The control plane is killed and started anew, with what is on the disk; its proxies are away, and come back at
  // once.
  void restart() {
    apply_all();
    rollouts = xds::Rollouts();
    mesh = made();
    CallStates states;
    for (const auto& [service, state] : disk) {
      if (state != CallState()) states.emplace(service, state);
    }
    mesh->restore_calls(states);
    mesh->set(std::make_shared<registry::Model>(model),
              {.services = {kCart}, .endpoints = {kCart}, .routes = {kCart}, .policies = {kCart}}, now_ms);
    mesh->await_returns(now_ms + kGraceMs);
    push(mesh->advance(now_ms, true));
    caller = *mesh->acquire(node("front", false));
    workload = *mesh->acquire(node("cart", true));
  }
  // All are back that will be.
  void end_grace() {
    now_ms += kGraceMs;
    step();
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
  std::unique_ptr<Mesh> mesh = made();
  xds::Rollouts rollouts;
  std::vector<xds::Epoch> owed;
  CallStates disk;
  // A real one beside it, where a test has one.
  MtlsStore* store = nullptr;
  bool is_slow = false;
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
  CHECK_FALSE(f.mesh->due_ms().has_value());
}

TEST_CASE("from DISABLE to STRICT the workload goes first, then callers, and then what is plain is refused") {
  Fixture f;
  f.set_mode(MtlsMode::kDisable);
  f.finish();
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
  REQUIRE(f.mesh->due_ms() == f.now_ms + kStepMs);
  f.now_ms += kStepMs - 1;
  CHECK_FALSE(f.step());
  f.now_ms += 1;
  CHECK(f.step());
  CHECK(f.now() == "both, called plainly");
  f.now_ms = *f.mesh->due_ms();
  CHECK(f.step());
  CHECK(f.now() == "plain, called plainly");
}

TEST_CASE("no step is over by all running it while somebody who came back loads what there is") {
  constexpr xds::SessionId kOther = 8;
  Fixture f;
  f.apply_all();
  f.set_mode(MtlsMode::kDisable);
  f.rollouts.begin_load(kOther);
  f.rollouts.came_back(kOther);
  f.apply_all();
  CHECK_FALSE(f.step());
  f.rollouts.end_load(kOther);
  CHECK(f.step());
  CHECK(f.now() == "both, called plainly");
}

TEST_CASE("when all run a step, calls that were begun before still have their time") {
  constexpr int64_t kSettleMs = 300;
  Fixture f(kSettleMs);
  f.apply_all();
  f.set_mode(MtlsMode::kDisable);
  for (const char* after : {"both, called plainly", "plain, called plainly"}) {
    f.apply_all();
    CHECK_FALSE(f.step());
    REQUIRE(f.mesh->due_ms() == f.now_ms + kSettleMs);
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
  f.now_ms = *f.mesh->due_ms();
  REQUIRE(f.step());
  f.apply_all();
  CHECK_FALSE(f.step());
  f.set_mode(MtlsMode::kDisable);
  CHECK(f.mesh->due_ms() == f.now_ms + kStepMs);
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
  CHECK(f.now() == "tls, called by tls");
  f.apply_all();
  CHECK(f.is_done());
  CHECK_FALSE(f.step());
  CHECK_FALSE(f.mesh->due_ms().has_value());
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

// Of cart, with these modes of one port and of all others.
registry::ModelPointer model_of(MtlsMode mode, MtlsMode other) {
  auto model = std::make_shared<registry::Model>();
  auto of_cart = std::make_shared<registry::Mtls>();
  of_cart->mode = mode;
  of_cart->ports = {{9090, other}};
  auto of_namespace = std::make_shared<registry::NamespaceMtls>();
  of_namespace->of_service["cart"] = of_cart;
  model->mtls.set({"shop"}, of_namespace);
  return model;
}

TEST_CASE("a port whose mode stays is as it was while another's changes, and after a restart meanwhile") {
  const Ports plain = plain_ports(*model_of(MtlsMode::kStrict, MtlsMode::kDisable), kCart);
  CHECK(plain == Ports{.rest = false, .others = {9090}});
  MtlsSteps steps(kStepMs, 0);
  const auto is_as_it_should = [](const MtlsSteps& those) {
    CHECK(those.mode_of(kCart, 8080, MtlsMode::kStrict) == MtlsMode::kStrict);
    CHECK(those.mode_of(kCart, 9090, MtlsMode::kDisable) == MtlsMode::kPermissive);
  };
  xds::Rollouts rollouts;
  const auto owes = [](const auto&) { return false; };
  CHECK(steps.want(kCart, plain, 0));
  is_as_it_should(steps);
  steps.pushed(rollouts.begin_push({}));
  CHECK(steps.take_over(0, rollouts, owes).empty());
  is_as_it_should(steps);
  const std::optional<MtlsSteps::ToKeep> to_keep = steps.take_to_keep();
  REQUIRE(to_keep.has_value());
  CHECK(to_keep->changes == std::vector<CallChange>{{kCart, {.plain = {}, .mixed = plain}}});
  MtlsSteps anew(kStepMs, 0);
  anew.restore({{kCart, to_keep->changes[0].state}});
  CHECK(anew.want(kCart, plain, 0));
  is_as_it_should(anew);
  // And stays so when it goes back: callers may have been told.
  CHECK(anew.want(kCart, {}, 0));
  CHECK(anew.mode_of(kCart, 9090, MtlsMode::kStrict) == MtlsMode::kPermissive);
  CHECK(anew.mode_of(kCart, 8080, MtlsMode::kStrict) == MtlsMode::kStrict);
}

TEST_CASE("neither are callers told nor do workloads refuse anything before that is on the disk") {
  Fixture f;
  f.is_slow = true;
  f.set_mode(MtlsMode::kDisable);
  f.apply_all();
  f.now_ms += kStepMs;
  CHECK_FALSE(f.step());
  CHECK(f.now() == "both, called by tls");
  // Nothing is to be done until then.
  CHECK_FALSE(f.mesh->due_ms().has_value());
  REQUIRE(f.write());
  CHECK(f.step());
  CHECK(f.now() == "both, called plainly");
  f.apply_all();
  CHECK_FALSE(f.step());
  CHECK(f.now() == "both, called plainly");
  // Another mode waits for it, too.
  f.set_mode(MtlsMode::kStrict);
  CHECK(f.now() == "both, called plainly");
  CHECK_FALSE(f.step());
  REQUIRE(f.write());
  CHECK(f.disk == CallStates{{kCart, {.plain = {.rest = true, .others = {}}, .mixed = {}}}});
  CHECK(f.step());
  CHECK(f.now() == "both, called plainly");
  f.is_slow = false;
  f.finish();
  CHECK(f.now() == "tls, called by tls");
  CHECK(f.disk == CallStates{{kCart, {}}});
  CHECK(f.is_done());
}

TEST_CASE("modes change to their end though the disk is full and nothing of it can be kept") {
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("weft-steps-" + std::to_string(getpid()));
  {
    const auto store = MtlsStore::open(path);
    REQUIRE(store.ok());
    Fixture f;
    f.store = store->get();
    const FullDisk full(path.string() + "-wal");
    REQUIRE_FALSE((*store)->save({{kCart, {.plain = {.rest = true, .others = {}}, .mixed = {}}}}).ok());
    for (const auto& [mode, end] :
         {std::pair(MtlsMode::kDisable, "plain, called plainly"), std::pair(MtlsMode::kStrict, "tls, called by tls")}) {
      f.set_mode(mode);
      f.finish();
      CHECK(f.now() == end);
      CHECK(f.is_done());
    }
    const auto kept = (*store)->load();
    REQUIRE(kept.ok());
    CHECK_FALSE(kept->has_value());
  }
  std::filesystem::remove(path);
}

TEST_CASE("a change goes on after a restart at any time, beginning with what its workloads take") {
  struct Way {
    MtlsMode from;
    MtlsMode to;
    std::string before;
    std::string after;
  };
  const Way ways[] = {{MtlsMode::kDisable, MtlsMode::kStrict, "called plainly", "tls, called by tls"},
                      {MtlsMode::kStrict, MtlsMode::kDisable, "called by tls", "plain, called plainly"}};
  for (const Way& way : ways) {
    for (int steps = 0; steps < 3; ++steps) {
      Fixture f;
      f.set_mode(way.from);
      f.finish();
      f.set_mode(way.to);
      for (int i = 0; i < steps; ++i) {
        f.apply_all();
        REQUIRE(f.step());
      }
      INFO(way.before << " after " << steps);
      f.restart();
      // Who was told to call as it was to be is told to do as before, or never was told; the workload takes both.
      const bool is_over = steps == 2;
      if (is_over) {
        CHECK(f.calls_by_tls() == (way.to == MtlsMode::kStrict));
      } else {
        CHECK(f.now() == "both, " + way.before);
      }
      // Not before all may be back.
      f.apply_all();
      CHECK_FALSE(f.step());
      CHECK(f.mesh->due_ms() == f.now_ms + kGraceMs);
      f.end_grace();
      f.finish();
      CHECK(f.now() == way.after);
      CHECK_FALSE(f.mesh->due_ms().has_value());
    }
  }
}

TEST_CASE("STRICT that was in force before a restart is so at once, and what is PERMISSIVE has no steps") {
  Fixture f;
  f.set_mode(MtlsMode::kStrict);
  f.finish();
  CHECK(f.disk.empty());
  f.restart();
  CHECK(f.now() == "tls, called by tls");
  f.set_mode(MtlsMode::kPermissive);
  CHECK(f.now() == "both, called by tls");
  f.restart();
  f.end_grace();
  CHECK(f.now() == "both, called by tls");
}

TEST_CASE("a mode that was taken back when some were told is not in force right after a restart") {
  Fixture f;
  f.set_mode(MtlsMode::kStrict);
  f.set_mode(MtlsMode::kDisable);
  f.apply_all();
  REQUIRE(f.step());
  REQUIRE(f.now() == "both, called plainly");
  f.set_mode(MtlsMode::kStrict);
  f.restart();
  CHECK(f.now() == "both, called by tls");
  f.end_grace();
  CHECK(f.now() == "both, called by tls");
  f.finish();
  CHECK(f.now() == "tls, called by tls");
  CHECK(f.disk == CallStates{{kCart, {}}});
}

TEST_CASE("a mode that changes soon after a restart waits for who is not back yet") {
  Fixture f;
  f.set_mode(MtlsMode::kStrict);
  f.restart();
  f.set_mode(MtlsMode::kDisable);
  f.apply_all();
  CHECK_FALSE(f.step());
  f.now_ms += kStepMs;
  CHECK_FALSE(f.step());
  CHECK(f.now() == "both, called by tls");
  f.end_grace();
  f.finish();
  CHECK(f.now() == "plain, called plainly");
}

TEST_CASE("the first endpoints of a service whose mode has changed just before do not go out ahead of it") {
  Fixture f;
  f.set_mode(MtlsMode::kStrict);
  f.finish();
  f.model.endpoints.set(kCart, std::make_shared<registry::Endpoints>());
  f.commit({.endpoints = {kCart}});
  f.finish();
  f.write_mode(MtlsMode::kDisable);
  ++f.model.revision;
  f.set_model({.mtls = {"shop"}});
  f.set_marks(false);
  f.set_model({.endpoints = {kCart}});
  // So soon go endpoints alone.
  f.now_ms += 50;
  const auto brought = f.mesh->advance(f.now_ms);
  if (brought.has_value()) CHECK(f.now() == "tls, called by tls");
  CHECK_FALSE(brought.has_value());
  f.now_ms += 1'000;
  f.push(f.mesh->advance(f.now_ms));
  CHECK(f.now() == "both, called by tls");
  f.finish();
  CHECK(f.now() == "plain, called plainly");
}

TEST_CASE("endpoints whose mode stays as it is do not wait for what else of a namespace changes") {
  Fixture f;
  f.set_mode(MtlsMode::kStrict);
  f.finish();
  f.write_mode(MtlsMode::kPermissive);
  ++f.model.revision;
  f.set_model({.mtls = {"shop"}});
  f.set_marks(true);
  f.set_model({.endpoints = {kCart}});
  f.now_ms += 50;
  CHECK(f.mesh->advance(f.now_ms).has_value());
  CHECK(f.now() == "tls, called by tls");
}

TEST_CASE("a new service whose mode is DISABLE is called by mutual TLS until it is kept that it need not be") {
  MtlsSteps steps(kStepMs, 0);
  CHECK(steps.mode_of(kCart, 8080, MtlsMode::kDisable) == MtlsMode::kPermissive);
  CHECK(steps.mode_of(kCart, 8080, MtlsMode::kStrict) == MtlsMode::kStrict);
  CHECK(steps.want(kCart, {.rest = true, .others = {}}, 0));
  REQUIRE(steps.called().size() == 1);
  CHECK(steps.called()[0].second.empty());
  steps.forget(kCart);
  CHECK(steps.empty());
  CHECK_FALSE(steps.take_to_keep().has_value());
}

TEST_CASE("a service that goes is forgotten, and the commit that changed it is finished") {
  Fixture f;
  f.set_mode(MtlsMode::kDisable);
  f.finish();
  REQUIRE(f.disk[kCart].plain.rest);
  f.set_mode(MtlsMode::kStrict);
  f.set_services(registry::Model());
  REQUIRE(f.write());
  CHECK(f.disk == CallStates{{kCart, {}}});
  f.apply_all();
  CHECK(f.is_done());
  CHECK(f.rollouts.of(f.model.revision - 1).is_done());
  CHECK_FALSE(f.mesh->due_ms().has_value());
}

TEST_CASE("the commit of a new service waits for no step, though its mode is DISABLE") {
  Fixture f;
  f.set_mode(MtlsMode::kDisable);
  f.finish();
  const registry::Model with_cart = f.model;
  f.set_services(registry::Model());
  REQUIRE(f.write());
  f.apply_all();
  CHECK(f.takes() == "both");
  f.set_services(with_cart);
  CHECK(f.now() == "both, called by tls");
  f.apply_all();
  CHECK(f.is_done());
  f.finish();
  CHECK(f.now() == "plain, called plainly");
}

TEST_CASE("after a start DISABLE takes TLS until who was told of another mode may have come back") {
  Fixture f;
  f.set_mode(MtlsMode::kDisable);
  f.finish();
  f.restart();
  CHECK(f.takes() == "both");
  CHECK(f.mesh->due_ms() == f.now_ms + kGraceMs);
  f.now_ms += kGraceMs - 1;
  CHECK_FALSE(f.step());
  CHECK(f.takes() == "both");
  static_cast<void>(f.mesh->take_changed());
  f.now_ms += 1;
  CHECK_FALSE(f.step());
  CHECK(f.takes() == "plain");
  CHECK(f.mesh->take_changed() == std::vector<const snapshot::View*>{f.workload});
  CHECK_FALSE(f.mesh->due_ms().has_value());
}

}  // namespace
}  // namespace weft::control::server
