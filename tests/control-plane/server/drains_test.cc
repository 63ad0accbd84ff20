#include "control-plane/server/drains.h"

#include <catch2/catch.hpp>
#include <memory>

namespace weft::control::server {
namespace {

const registry::WorkloadName kOne{.namespace_name = "shop", .service = "cart", .node = "one"};
const registry::ServiceName kCart{.namespace_name = "shop", .name = "cart"};
constexpr xds::SessionId kCaller = 7;

struct Fixture {
  using Views = std::vector<const snapshot::View*>;

  Views over() { return drains.take_over(mesh, rollouts); }
  // Its endpoints have changed in the newest model, and are to go out.
  void change() {
    auto model = std::make_shared<registry::Model>();
    mesh.set(std::move(model), {.endpoints = {kCart}}, 0);
  }
  // They go out, and concern the caller.
  xds::Epoch push() {
    mesh.advance(1'000);
    const xds::Epoch epoch = rollouts.begin_push({});
    rollouts.concern(epoch, kCaller, false);
    return epoch;
  }

  Mesh mesh{std::make_shared<registry::Model>(), {}};
  xds::Rollouts rollouts;
  Drains drains;
  snapshot::View view;
};

TEST_CASE("a drain is over when all who were told of it run it") {
  Fixture f;
  f.drains.begin(f.view, kOne);
  CHECK(f.over().empty());
  f.change();
  f.drains.on_model({kOne});
  CHECK(f.over().empty());
  const xds::Epoch epoch = f.push();
  CHECK(f.over().empty());
  f.rollouts.ended(epoch, {.session = kCaller}, 0);
  CHECK(f.over() == Fixture::Views{&f.view});
  CHECK(f.over().empty());
}

TEST_CASE("a drain waits for no push after its own") {
  Fixture f;
  f.drains.begin(f.view, kOne);
  f.change();
  f.drains.on_model({kOne});
  const xds::Epoch epoch = f.push();
  CHECK(f.over().empty());
  f.push();
  f.rollouts.gone(epoch, kCaller);
  CHECK(f.over() == Fixture::Views{&f.view});
}

TEST_CASE("a drain that changes nothing for anybody is over at once, and so is that of no workload") {
  Fixture f;
  f.drains.begin(f.view, kOne);
  f.drains.on_model({{.namespace_name = "shop", .service = "cart", .node = "two"}});
  CHECK(f.over().empty());
  f.drains.on_model({kOne});
  CHECK(f.over() == Fixture::Views{&f.view});
  const snapshot::View other;
  f.drains.begin(other, std::nullopt);
  CHECK(f.over() == Fixture::Views{&other});
}

TEST_CASE("who reports anew that it drains is told again, and who is gone is not") {
  Fixture f;
  f.drains.begin(f.view, std::nullopt);
  CHECK(f.over().size() == 1);
  f.drains.begin(f.view, std::nullopt);
  CHECK(f.over().size() == 1);
  f.drains.begin(f.view, std::nullopt);
  f.drains.forget(f.view);
  CHECK(f.over().empty());
}

}  // namespace
}  // namespace weft::control::server
