#include "proxy/config/xds/deadlines.h"

#include <catch2/catch.hpp>

namespace weft::config::xds {
namespace {

struct Fixture {
  void on_due(std::vector<Deadlines::Key> keys) { due.push_back(std::move(keys)); }
  base::ManualClock clock;
  event::ManualLoop loop{clock};
  Deadlines deadlines{loop, base::bind<&Fixture::on_due>(this)};
  std::vector<std::vector<Deadlines::Key>> due;
};

}  // namespace

TEST_CASE("deadlines fall due together or one after another, in any order of starting") {
  Fixture f;
  f.deadlines.start({Type::kSecret, "late"}, 300);
  f.deadlines.start({Type::kSecret, "b"}, 100);
  f.deadlines.start({Type::kCluster, "a"}, 100);
  f.loop.advance_ms(99);
  CHECK(f.due.empty());
  f.loop.advance_ms(1);
  REQUIRE(f.due.size() == 1);
  CHECK(f.due[0] == std::vector<Deadlines::Key>{{Type::kCluster, "a"}, {Type::kSecret, "b"}});
  f.loop.advance_ms(200);
  REQUIRE(f.due.size() == 2);
  CHECK(f.due[1].front().second == "late");
}

TEST_CASE("a deadline that was stopped or moved does not fall due before its time") {
  Fixture f;
  f.deadlines.start({Type::kCluster, "a"}, 100);
  f.deadlines.start({Type::kCluster, "b"}, 100);
  f.deadlines.stop({Type::kCluster, "a"});
  f.deadlines.start({Type::kCluster, "b"}, 500);
  f.loop.advance_ms(499);
  CHECK(f.due.empty());
  CHECK(f.deadlines.pending({Type::kCluster, "b"}));
  f.loop.advance_ms(1);
  REQUIRE(f.due.size() == 1);
  CHECK_FALSE(f.deadlines.pending({Type::kCluster, "b"}));
}

}  // namespace weft::config::xds
