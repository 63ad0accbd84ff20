#include "proxy/config/dynamic/routes.h"

#include "envoy/config/route/v3/route.pb.h"
#include "tests/proxy/config/dynamic/fixture.h"

namespace weft::config {
namespace {

struct RoutesFixture : RoutePublisher, Intake {
  std::vector<xds::Refusal> on_update(const std::string&, xds::Type, const xds::Update&) override { return {}; }
  void on_fetch_timeout(const std::string&, xds::Type, const std::vector<std::string>&) override {}
  void assign_routes(const route::RouteSlotPtr& slot, std::shared_ptr<const route::RouteTable> table) override {
    ++assigned;
    if (table == nullptr) {
      running.erase(slot->name());
    } else {
      running[slot->name()] = table;
    }
  }

  // A listener whose chains name these route configurations.
  snapshot::Listener listener(const std::vector<std::string>& names) {
    snapshot::Listener result;
    for (const std::string& name : names) {
      auto manager = std::make_shared<snapshot::HttpConnectionManager>();
      manager->stat_prefix = "in";
      manager->route_slot = parts.route_slots.slot({"source", name});
      auto chain = std::make_shared<snapshot::FilterChain>();
      chain->http = std::move(manager);
      result.filter_chains.push_back(std::move(chain));
    }
    return result;
  }
  std::unique_ptr<ListenerNeed> need(const std::vector<std::string>& names) {
    return routes.need(listener(names), [this] { ++settled; });
  }
  static xds::Resource table(const std::string& name, const std::string& cluster = "a", const std::string& more = "") {
    return Fixture::resource<envoy::config::route::v3::RouteConfiguration>(
        name, "{ name: " + name + ", virtual_hosts: [ { name: all, domains: ['*'], routes: [ { match: { prefix: / }, " +
                  "route: { cluster: " + cluster + " } } ] } ]" + more + " }");
  }
  std::vector<xds::Refusal> update(std::vector<xds::Resource> some) {
    return routes.on_update("source", {"1", std::move(some), {}, false});
  }
  std::string target(const std::string& name) {
    return running.at(name)->hosts()[0]->routes[0].route->forward->clusters[0].name;
  }
  int64_t counted(const std::string& name, observe::Counter observe::UpdateStats::* member) {
    auto family = parts.family<observe::UpdateStats>("http.in.rds." + name + ".", "", "");
    return static_cast<int64_t>((family->of_worker(0).*member).value());
  }

  base::ManualClock clock;
  event::ManualLoop loop{clock};
  SharedParts parts;
  FakeSource* source = nullptr;
  std::map<std::string, std::shared_ptr<const route::RouteTable>> running;
  int assigned = 0, settled = 0;
  Sources sources{loop, *this, [this](const std::string&, xds::Type, xds::Consumer&) {
                    auto made = std::make_unique<FakeSource>();
                    source = made.get();
                    return made;
                  }};
  Routes routes{parts, loop, sources, *this};
};

TEST_CASE("a listener is settled when all its route configurations have come") {
  RoutesFixture f;
  auto need = f.need({"one", "two", "one"});
  CHECK_FALSE(need->settled());
  f.loop.advance_ms(1);
  CHECK(f.source->names == std::vector<std::string>{"one", "two"});
  CHECK(f.update({f.table("one"), f.table("stranger")}).empty());
  CHECK(f.settled == 0);
  CHECK(f.update({f.table("two")}).empty());
  CHECK(f.settled == 1);
  CHECK(need->settled());
  CHECK(f.running.size() == 2);
  CHECK(f.running.count("stranger") == 0);
}

TEST_CASE("a bad route configuration is refused with the field's path, and the one before stays") {
  RoutesFixture f;
  auto need = f.need({"one"});
  f.update({f.table("one")});
  auto before = f.running["one"];
  auto refusals = f.update({f.table("one", "''")});
  REQUIRE(refusals.size() == 1);
  CHECK(refusals[0].name == "one");
  CHECK(refusals[0].reason == "virtual_hosts[0].routes[0].route.cluster: is empty");
  CHECK(f.running["one"] == before);
  const auto& entry = f.routes.entries().begin()->second;
  REQUIRE(entry.refused != nullptr);
  CHECK(entry.refused->reason == refusals[0].reason);
  CHECK(f.counted("one", &observe::UpdateStats::update_rejected) == 1);
  f.update({f.table("one", "b")});
  CHECK(entry.refused == nullptr);
  CHECK(f.target("one") == "b");
}

TEST_CASE("what is refused at first does not settle a listener; the fetch's timeout does") {
  RoutesFixture f;
  auto need = f.need({"one"});
  CHECK(f.update({f.table("one", "''")}).size() == 1);
  CHECK(f.settled == 0);
  f.routes.on_fetch_timeout("source", {"one"});
  CHECK(f.settled == 1);
  CHECK(f.running.empty());
  CHECK(f.counted("one", &observe::UpdateStats::init_fetch_timeout) == 1);
}

TEST_CASE("clusters that a route configuration names need not exist, unless it says so") {
  RoutesFixture f;
  f.parts.has_cluster = [](const std::string& name) { return name == "known"; };
  auto need = f.need({"one"});
  CHECK(f.update({f.table("one", "unknown")}).empty());
  auto refusals = f.update({f.table("one", "missing", ", validate_clusters: true")});
  REQUIRE(refusals.size() == 1);
  CHECK(refusals[0].reason == "virtual_hosts[0].routes[0].route.cluster: there is no cluster \"missing\"");
  CHECK(f.update({f.table("one", "known", ", validate_clusters: true")}).empty());
}

TEST_CASE("a table lives as long as a listener needs it") {
  RoutesFixture f;
  auto first = f.need({"one"});
  f.update({f.table("one")});
  auto second = f.need({"one"});
  CHECK(second->settled());
  first.reset();
  CHECK(f.running.size() == 1);
  second.reset();
  CHECK(f.running.empty());
  CHECK(f.routes.entries().empty());
  // Given up within the turn and wanted again: it comes anew.
  auto third = f.need({"one"});
  CHECK_FALSE(third->settled());
}

TEST_CASE("who becomes settled may drop its need") {
  RoutesFixture f;
  std::unique_ptr<ListenerNeed> need;
  need = f.routes.need(f.listener({"one"}), [&] { need.reset(); });
  f.update({f.table("one")});
  CHECK(need == nullptr);
  CHECK(f.routes.entries().empty());
}

TEST_CASE("with 1,000 route configurations a change of one touches one") {
  RoutesFixture f;
  std::vector<std::string> names;
  std::vector<xds::Resource> tables;
  for (int i = 0; i < 1'000; ++i) {
    names.push_back("r" + std::to_string(i));
    tables.push_back(f.table(names.back()));
  }
  auto need = f.need(names);
  f.update(tables);
  REQUIRE(f.assigned == 1'000);
  tables[471] = f.table("r471", "other");
  // As a watched file tells it: all of them again, one changed.
  f.update(tables);
  CHECK(f.assigned == 1'001);
  CHECK(f.target("r471") == "other");
  CHECK(f.counted("r471", &observe::UpdateStats::config_reload) == 2);
  CHECK(f.counted("r470", &observe::UpdateStats::update_attempt) == 1);
}

}  // namespace
}  // namespace weft::config
