#include "proxy/config/dynamic/names.h"

#include <set>

#include "tests/proxy/config/dynamic/fixture.h"
#include "weft/v1/name_table.pb.h"

namespace weft::config {
namespace {

struct FakePublisher final : NamePublisher {
  void change_names(std::vector<dns::NameChange> changes) override {
    CHECK_FALSE(changes.empty());
    for (dns::NameChange& change : changes) {
      if (change.names) {
        table[change.service] = *change.names;
      } else {
        table.erase(change.service);
      }
    }
    ++times;
  }
  void set_names_known() override { ++known; }
  const observe::FamilyBase& family() const override { return stats; }

  std::map<std::string, dns::ServiceNames> table;
  int times = 0;
  int known = 0;
  observe::Family<observe::UpdateStats> stats{"dns.", "", "", 1};
};

struct NamesFixture final : ResourceWatcher {
  NamesFixture() { names.watch(this); }
  void on_resource_changed(const ResourceKey& key) override { noted.insert(key.name); }

  static xds::Resource resource(const std::string& name, const std::string& version,
                                const std::vector<std::string>& hosts, const std::vector<std::string>& addresses) {
    v1::NameTable table;
    table.set_name(name);
    for (const std::string& each : hosts) table.add_hosts(each);
    for (const std::string& each : addresses) table.add_addresses(each);
    xds::Resource out{name, version, {}};
    out.body.PackFrom(table);
    return out;
  }
  // Of one resource: why it was refused; empty if it was not.
  std::string refusal(const xds::Resource& resource) {
    auto refusals = names.on_update({"1", {resource}, {}, false});
    return refusals.empty() ? "" : refusals.front().reason;
  }

  base::ManualClock clock;
  event::ManualLoop loop{clock};
  SharedParts parts;
  FakePublisher publisher;
  Names names{parts, loop, &publisher};
  std::set<std::string> noted;
};

TEST_CASE("names go to the responder as they come, and those that are as before do not") {
  NamesFixture f;
  CHECK(f.refusal(f.resource("shop/cart", "1", {"cart", "*.cart.shop"}, {"10.0.0.1", "fd00::1"})).empty());
  REQUIRE(f.publisher.table.contains("shop/cart"));
  CHECK(f.publisher.table["shop/cart"].hosts == std::vector<std::string>{"cart", "*.cart.shop"});
  CHECK(f.publisher.table["shop/cart"].addresses[1].ip_text() == "fd00::1");
  CHECK(f.noted == std::set<std::string>{"shop/cart"});
  CHECK(f.names.state({xds::Type::kName, "", "shop/cart"}).version == "1");
  CHECK(f.refusal(f.resource("shop/cart", "2", {"cart", "*.cart.shop"}, {"10.0.0.1", "fd00::1"})).empty());
  CHECK(f.publisher.times == 1);
  CHECK(f.names.state({xds::Type::kName, "", "shop/cart"}).version == "2");
  f.names.on_update({"3", {}, {"shop/cart"}, false});
  CHECK(f.publisher.table.empty());
  CHECK(f.names.state({xds::Type::kName, "", "shop/cart"}).version.empty());
}

TEST_CASE("a whole state takes away what it does not have") {
  NamesFixture f;
  f.names.on_update({"1", {f.resource("a/a", "1", {"a"}, {}), f.resource("a/b", "1", {"b"}, {})}, {}, true});
  f.names.on_update({"2", {f.resource("a/b", "1", {"b"}, {})}, {}, true});
  CHECK(f.publisher.table.size() == 1);
  CHECK(f.publisher.table.contains("a/b"));
}

TEST_CASE("what cannot be taken is refused by its field, and what was there stays") {
  NamesFixture f;
  REQUIRE(f.refusal(f.resource("shop/cart", "1", {"cart"}, {"10.0.0.1"})).empty());
  CHECK(f.refusal(f.resource("shop/cart", "2", {"cart", "Cart"}, {})).starts_with("hosts[1]: \"Cart\" is no DNS name"));
  for (const char* bad : {"", "*", "a..b", "*.*.b", "a.*", "a b", "a."}) {
    INFO(bad);
    CHECK(f.refusal(f.resource("shop/cart", "2", {bad}, {})).starts_with("hosts[0]"));
  }
  CHECK(f.refusal(f.resource("shop/cart", "2", {std::string(64, 'a')}, {})).starts_with("hosts[0]"));
  CHECK(f.refusal(f.resource("shop/cart", "2", {"cart"}, {"10.0.0.1", "10.0.0"})) ==
        "addresses[1]: \"10.0.0\" is no IP address");
  xds::Resource renamed = f.resource("shop/other", "2", {"cart"}, {});
  renamed.name = "shop/cart";
  CHECK(f.refusal(renamed) == "name: is \"shop/other\", expected \"shop/cart\"");
  renamed.body.set_value("\xff");
  CHECK(f.refusal(renamed).starts_with("is no valid"));
  CHECK(f.publisher.table["shop/cart"].hosts == std::vector<std::string>{"cart"});
  CHECK(f.publisher.times == 1);
  const ResourceState state = f.names.state({xds::Type::kName, "", "shop/cart"});
  CHECK(state.version == "1");
  REQUIRE(state.refused);
  std::set<std::string> visited;
  f.refusal(f.resource("shop/never", "1", {"Never"}, {}));
  f.names.visit([&](const ResourceKey& key) { visited.insert(key.name); });
  CHECK(visited == std::set<std::string>{"shop/cart", "shop/never"});
}

TEST_CASE("who waits for names waits until there was an answer, be it that there are none") {
  NamesFixture f;
  int settled = 0;
  f.names.await([&] { ++settled; });
  CHECK(settled == 0);
  CHECK_FALSE(f.names.settled());
  SECTION("an answer") { f.names.on_update({"1", {}, {}, false}); }
  SECTION("none in time") { f.names.on_fetch_timeout(); }
  CHECK(settled == 1);
  CHECK(f.publisher.known == 1);
  f.names.on_update({"2", {}, {}, false});
  f.names.on_fetch_timeout();
  CHECK(f.publisher.known == 1);
}

TEST_CASE("without a responder nobody waits") {
  NamesFixture f;
  Names none(f.parts, f.loop, nullptr);
  int settled = 0;
  none.await([&] { ++settled; });
  CHECK(settled == 1);
  CHECK_FALSE(none.wanted());
  CHECK(none.families().empty());
}

}  // namespace
}  // namespace weft::config
