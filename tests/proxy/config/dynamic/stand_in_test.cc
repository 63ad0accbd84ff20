#include "proxy/config/dynamic/sources.h"

#include <catch2/catch.hpp>

#include "tests/proxy/config/dynamic/fixture.h"

namespace weft::config {
namespace {

using xds::Type;
using Names = std::vector<std::string>;

struct TakesAll : Intake {
  std::vector<xds::Refusal> on_update(const std::string&, Type, const xds::Update& update) override {
    for (const xds::Resource& each : update.changed) taken.push_back(each.name);
    return {};
  }
  void on_fetch_timeout(const std::string&, Type, const Names& names) override {
    ++timeouts;
    late = names;
  }
  Names taken, late;
  int timeouts = 0;
};

struct FakeStandIn : xds::StandIn {
  void on_wanted(const std::string&, Type, const Names& names) override { wanted = names; }
  void on_update(const std::string&, Type, const xds::Update&, const std::vector<xds::Refusal>&) override { ++updates; }
  bool on_fetch_timeout(const std::string&) override { return is_away = true; }
  bool away(const std::string&) const override { return is_away; }
  std::optional<xds::Update> restore(const std::string&, Type, const Names& names) override {
    xds::Update update;
    for (const std::string& name : kept) {
      if (names.empty() || std::find(names.begin(), names.end(), name) != names.end()) {
        update.changed.push_back({name, "", {}});
      }
    }
    if (update.changed.empty()) return std::nullopt;
    return update;
  }
  Names wanted, kept;
  int updates = 0;
  bool is_away = false;
};

struct NotingSource final : xds::Source {
  void subscribe(Type, Names names) override { asked.push_back(std::move(names)); }
  bool connected() const override { return true; }
  std::vector<Names> asked;
};

struct StandInFixture {
  NotingSource* source = nullptr;
  base::ManualClock clock;
  event::ManualLoop loop{clock};
  TakesAll intake;
  FakeStandIn stand_in;
  std::map<Type, xds::Consumer*> consumers;
  Sources sources{loop, intake,
                  [this](const std::string&, Type type, xds::Consumer& consumer) {
                    consumers[type] = &consumer;
                    auto made = std::make_unique<NotingSource>();
                    source = made.get();
                    return made;
                  },
                  &stand_in};
};

}  // namespace

TEST_CASE("what is given up and wanted again within a turn is asked for anew") {
  StandInFixture f;
  f.sources.want("s", Type::kEndpoints, "a");
  f.sources.want("s", Type::kEndpoints, "b");
  f.loop.advance_ms(1);
  f.sources.unwant("s", Type::kEndpoints, "a");
  f.sources.want("s", Type::kEndpoints, "a");
  f.loop.advance_ms(1);
  CHECK(f.source->asked == std::vector<Names>{{"a", "b"}, {"b"}, {"a", "b"}});
  f.sources.want("s", Type::kEndpoints, "a");
  f.sources.unwant("s", Type::kEndpoints, "a");
  f.loop.advance_ms(1);
  CHECK(f.source->asked.size() == 3);
}

TEST_CASE("what a source does not bring in time is taken from who stands in for it; the rest is late") {
  StandInFixture f;
  f.stand_in.kept = {"a"};
  f.sources.want("s", Type::kEndpoints, "a");
  f.sources.want("s", Type::kEndpoints, "b");
  f.loop.advance_ms(1);
  CHECK(f.stand_in.wanted == Names{"a", "b"});
  CHECK(f.intake.taken.empty());
  f.consumers[Type::kEndpoints]->on_fetch_timeout(Type::kEndpoints, {"a", "b"});
  CHECK(f.intake.taken == Names{"a"});
  CHECK(f.intake.late == Names{"b"});
  CHECK(f.stand_in.updates == 0);
}

TEST_CASE("of a source that is away nothing is waited for a second time, nor taken twice") {
  StandInFixture f;
  f.stand_in.kept = {"a", "b"};
  f.sources.want_all("s", Type::kCluster);
  f.loop.advance_ms(1);
  f.consumers[Type::kCluster]->on_fetch_timeout(Type::kCluster, {});
  CHECK(f.intake.taken == Names{"a", "b"});
  CHECK(f.intake.timeouts == 0);
  f.sources.want("s", Type::kEndpoints, "a");
  f.loop.advance_ms(1);
  CHECK(f.intake.taken == Names{"a", "b", "a"});
  f.sources.want("s", Type::kEndpoints, "b");
  f.loop.advance_ms(1);
  CHECK(f.intake.taken == Names{"a", "b", "a", "b"});
}

TEST_CASE("a source that is only slow is waited for as ever") {
  StandInFixture f;
  f.sources.want_all("s", Type::kCluster);
  f.loop.advance_ms(1);
  f.consumers[Type::kCluster]->on_update(Type::kCluster, {"1", {{"a", "", {}}}, {}, true});
  CHECK(f.stand_in.updates == 1);
  f.stand_in.kept.clear();
  f.consumers[Type::kCluster]->on_fetch_timeout(Type::kCluster, {});
  CHECK(f.intake.timeouts == 1);
}

}  // namespace weft::config
