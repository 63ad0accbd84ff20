#include "control-plane/server/mtls_store.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "tests/control-plane/server/full_disk.h"

namespace weft::control::server {
namespace {

using registry::MtlsMode;

const registry::ServiceName kCart{.namespace_name = "shop", .name = "cart"};
const registry::ServiceName kPay{.namespace_name = "shop", .name = "pay"};

// With these services, of which cart alone is DISABLE but for a port.
registry::Model model_of(const std::vector<registry::ServiceName>& services) {
  registry::Model out;
  for (const registry::ServiceName& name : services) out.services.set(name, std::make_shared<registry::Service>());
  auto of_cart = std::make_shared<registry::Mtls>();
  of_cart->mode = MtlsMode::kDisable;
  of_cart->ports = {{9090, MtlsMode::kStrict}, {9091, MtlsMode::kDisable}};
  auto of_namespace = std::make_shared<registry::NamespaceMtls>();
  of_namespace->of_service["cart"] = of_cart;
  out.mtls.set({"shop"}, of_namespace);
  return out;
}

std::unique_ptr<MtlsStore> opened(const std::string& path = ":memory:") {
  auto store = MtlsStore::open(path);
  REQUIRE(store.ok());
  return *std::move(store);
}

CallStates states(MtlsStore& store) {
  const auto known = store.load();
  REQUIRE(known.ok());
  REQUIRE(known->has_value());
  return **known;
}

TEST_CASE("sets of ports are compared and joined, also where all but some are in them") {
  const Ports some{.rest = false, .others = {1, 2}};
  const Ports most{.rest = true, .others = {2, 3}};
  CHECK(difference(some, some).empty());
  CHECK(difference(some, most) == Ports{.rest = true, .others = {1, 3}});
  CHECK(either(some, most) == Ports{.rest = true, .others = {3}});
  CHECK(either(some, {}) == some);
}

TEST_CASE("how services are called is what it was after a restart") {
  const std::filesystem::path path = std::filesystem::temp_directory_path() / ("weft-mtls-" + std::to_string(getpid()));
  const CallState all_plain{.plain = {.rest = true, .others = {}}, .mixed = {}};
  const CallState some{.plain = {.rest = true, .others = {9090}}, .mixed = {.rest = false, .others = {9090, 9091}}};
  {
    const auto store = opened(path);
    const auto known = store->load();
    REQUIRE(known.ok());
    CHECK_FALSE(known->has_value());
    REQUIRE(store->save({{kCart, all_plain}, {kPay, all_plain}}).ok());
    REQUIRE(store->save({{kCart, some}, {kPay, {}}}).ok());
  }
  CHECK(states(*opened(path)) == CallStates{{kCart, some}});
  std::filesystem::remove(path);
}

TEST_CASE("what cannot be written leaves what was kept as it was, and is kept when there is room again") {
  const std::filesystem::path path = std::filesystem::temp_directory_path() / ("weft-full-" + std::to_string(getpid()));
  const CallState all_plain{.plain = {.rest = true, .others = {}}, .mixed = {}};
  {
    const auto store = opened(path);
    REQUIRE(store->save({{kCart, all_plain}}).ok());
    {
      const FullDisk full(path.string() + "-wal");
      CHECK_FALSE(store->save({{kCart, {}}, {kPay, all_plain}}).ok());
    }
    CHECK(states(*store) == CallStates{{kCart, all_plain}});
    CHECK(store->save({{kCart, {}}, {kPay, all_plain}}).ok());
  }
  CHECK(states(*opened(path)) == CallStates{{kPay, all_plain}});
  std::filesystem::remove(path);
}

TEST_CASE("where nothing was kept all are called as the model says, and so they were at the next start") {
  const auto store = opened();
  const auto known = restore(*store, model_of({kCart, kPay}));
  REQUIRE(known.ok());
  const CallStates expected{{kCart, {.plain = {.rest = true, .others = {9090}}, .mixed = {}}}};
  CHECK(*known == expected);
  // Whatever it says then: what is different is a change.
  const auto next = restore(*store, [] {
    registry::Model model;
    model.services.set(kCart, std::make_shared<registry::Service>());
    return model;
  }());
  REQUIRE(next.ok());
  CHECK(*next == expected);
}

TEST_CASE("a service that is gone at a start is forgotten, and a new one is not known") {
  const auto store = opened();
  REQUIRE(restore(*store, registry::Model()).ok());
  CHECK(states(*store).empty());
  REQUIRE(store->save({{kPay, {.plain = {.rest = true, .others = {}}, .mixed = {}}}}).ok());
  const auto known = restore(*store, model_of({kCart}));
  REQUIRE(known.ok());
  CHECK(known->empty());
  CHECK(states(*store).empty());
}

}  // namespace
}  // namespace weft::control::server
