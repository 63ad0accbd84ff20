#include "control-plane/xds/resource_status.h"

#include "tests/control-plane/xds/hub_fixture.h"

namespace weft::control::xds {
namespace {

ResourceStatus only(const Node& node) {
  std::vector<ResourceStatus> all = resource_statuses(node.hub.sessions().at(node.session), Type::kCluster);
  REQUIRE(all.size() == 1);
  return all[0];
}
std::optional<Sync> whole(const Node& node, Type type = Type::kCluster) {
  return type_sync(node.hub.sessions().at(node.session), type);
}

TEST_CASE("a resource is stale until it is acknowledged, and warming until it is in force") {
  HubFixture f;
  Node proxy(f.hub, "proxy", true);
  CHECK(whole(proxy) == Sync::kStale);
  proxy.answer();
  CHECK(whole(proxy) == Sync::kSynced);
  CHECK_FALSE(whole(proxy, Type::kRoute).has_value());
  proxy.start_report();
  REQUIRE(proxy.tell("", 0, true).ok());
  const uint64_t version = f.commit(1, "a", 1);
  CHECK(only(proxy).sync == Sync::kStale);
  proxy.answer();
  CHECK(only(proxy).sync == Sync::kWarming);
  CHECK(only(proxy).applied_version == 0);
  CHECK(whole(proxy) == Sync::kWarming);
  REQUIRE(proxy.tell("a", version).ok());
  CHECK(only(proxy).sync == Sync::kSynced);
  CHECK(only(proxy).applied_version == version);
}

TEST_CASE("while an answer is owed, the next change is not sent") {
  HubFixture f;
  Node proxy(f.hub, "proxy", false);
  f.commit(1, "a", 1);
  CHECK(only(proxy).sync == Sync::kNotSent);
  CHECK(whole(proxy) == Sync::kStale);
}

TEST_CASE("a refusal stays with its reason beside what is held, until the content changes") {
  HubFixture f;
  Node proxy(f.hub, "proxy", false);
  proxy.answer();
  const uint64_t good = f.commit(1, "a", 1);
  proxy.answer();
  f.commit(2, "a", 2);
  proxy.answer("cluster \"a\": no");
  const ResourceStatus status = only(proxy);
  CHECK(status.sync == Sync::kRefused);
  CHECK(status.held_version == good);
  REQUIRE(status.refusal.has_value());
  CHECK(status.refusal->reason == "cluster \"a\": no");
  CHECK(whole(proxy) == Sync::kRefused);
  f.commit(3, "a", 3);
  proxy.answer();
  CHECK(only(proxy).sync == Sync::kSynced);
}

TEST_CASE("what was acknowledged and then could not be run is refused") {
  HubFixture f;
  Node proxy(f.hub, "proxy", true);
  proxy.begin();
  const uint64_t version = f.commit(1, "a", 1);
  proxy.answer();
  REQUIRE(proxy.tell("a", 0, false, version).ok());
  CHECK(only(proxy).sync == Sync::kRefused);
  CHECK(whole(proxy) == Sync::kRefused);
}

}  // namespace
}  // namespace weft::control::xds
