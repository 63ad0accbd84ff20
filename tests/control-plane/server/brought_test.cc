#include <catch2/catch.hpp>

#include "control-plane/server/mesh.h"

namespace weft::control::server {
namespace {

const registry::ServiceName kCart{.namespace_name = "shop", .name = "cart"};
const registry::ServiceName kPay{.namespace_name = "shop", .name = "pay"};
using Revisions = std::vector<uint64_t>;

struct Fixture {
  void commit(uint64_t revision, const registry::ChangeSet& changed, int64_t now_ms) {
    auto model = std::make_shared<registry::Model>();
    model->revision = revision;
    mesh.set(model, changed, now_ms);
  }
  xds::Brought advance(int64_t now_ms) {
    const std::optional<xds::Brought> brought = mesh.advance(now_ms);
    REQUIRE(brought.has_value());
    return *brought;
  }

  // Without a rest, so that each change of endpoints waits.
  Mesh mesh{std::make_shared<registry::Model>(), {.endpoints = {.quiet_ms = 10, .at_most_ms = 100}}};
};

TEST_CASE("commits that wait together go out together, whole") {
  Fixture f;
  f.commit(1, {.services = {kCart}}, 0);
  f.commit(2, {.routes = {kCart}}, 50);
  const xds::Brought brought = f.advance(150);
  CHECK(brought.touched == Revisions{1, 2});
  CHECK(brought.finished == Revisions{1, 2});
}

TEST_CASE("a commit of endpoints alone is out before an older one of services") {
  Fixture f;
  f.commit(1, {.services = {kPay}}, 0);
  f.commit(2, {.endpoints = {kCart}}, 0);
  xds::Brought brought = f.advance(10);
  CHECK(brought.touched == Revisions{2});
  CHECK(brought.finished == Revisions{2});
  brought = f.advance(100);
  CHECK(brought.finished == Revisions{1});
}

TEST_CASE("a commit of both is touched by what is hurried, and finished by the rest") {
  Fixture f;
  f.commit(1, {.services = {kPay}, .endpoints = {kCart}}, 0);
  xds::Brought brought = f.advance(10);
  CHECK(brought.touched == Revisions{1});
  CHECK(brought.finished.empty());
  brought = f.advance(100);
  CHECK(brought.touched == Revisions{1});
  CHECK(brought.finished == Revisions{1});
}

TEST_CASE("endpoints that their service takes along are finished with it") {
  Fixture f;
  f.commit(1, {.endpoints = {kCart}}, 0);
  f.commit(2, {.services = {kCart}}, 1);
  f.commit(3, {.endpoints = {kCart}}, 2);
  CHECK_FALSE(f.mesh.advance(12).has_value());
  const xds::Brought brought = f.advance(101);
  CHECK(brought.finished == Revisions{1, 2, 3});
}

TEST_CASE("what workloads change is no commit") {
  Fixture f;
  f.commit(1, {.services = {kCart}}, 0);
  f.advance(100);
  f.commit(1, {.endpoints = {kCart}}, 200);
  const xds::Brought brought = f.advance(210);
  CHECK(brought.touched.empty());
  CHECK(brought.finished.empty());
}

}  // namespace
}  // namespace weft::control::server
