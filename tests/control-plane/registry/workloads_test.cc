#include "control-plane/registry/workloads.h"

#include <catch2/catch.hpp>

namespace weft::control::registry {
namespace {

constexpr int64_t kGraceMs = 10'000;
const WorkloadName kOne{.namespace_name = "shop", .service = "cart", .node = "one"};
const WorkloadName kTwo{.namespace_name = "shop", .service = "cart", .node = "two"};

Workload said(const WorkloadName& name, const std::string& address) {
  return {.name = name, .address = address, .port = 15006, .app_port = 8080};
}

struct Fixture {
  void connect(const WorkloadName& name, bool is_checked = false) {
    workloads.connected(said(name, "10.0.0.1"), is_checked);
  }
  void serve(const WorkloadName& name) {
    connect(name);
    workloads.set_listening(name);
    workloads.take_changes();
  }
  const Workload& at(const WorkloadName& name) const { return workloads.all().at(name); }

  Workloads workloads{kGraceMs};
};

TEST_CASE("a workload is ready once its proxy listens, and changes are told once") {
  Fixture f;
  f.connect(kOne);
  CHECK_FALSE(f.at(kOne).ready());
  CHECK(state_of(f.at(kOne), true) == "starting");
  f.workloads.set_listening(kOne);
  CHECK(f.at(kOne).ready());
  CHECK(state_of(f.at(kOne), true) == "ready");
  CHECK(state_of(f.at(kOne), false) == "unattached");
  const auto changes = f.workloads.take_changes();
  REQUIRE(changes.size() == 1);
  CHECK(changes[0].workload == f.at(kOne));
  f.workloads.set_listening(kOne);
  f.workloads.set_health(kOne, true, "");
  CHECK(f.workloads.take_changes().empty());
}

TEST_CASE("one that goes without a word keeps its place for the time of grace") {
  Fixture f;
  f.serve(kOne);
  f.workloads.disconnected(kOne, 1'000);
  CHECK(f.at(kOne).ready());
  CHECK(state_of(f.at(kOne), true) == "ready, but away");
  CHECK(f.workloads.due_ms() == 1'000 + kGraceMs);
  f.workloads.advance(1'000 + kGraceMs - 1);
  CHECK(f.workloads.all().contains(kOne));
  f.workloads.take_changes();
  f.workloads.advance(1'000 + kGraceMs);
  CHECK(f.workloads.all().empty());
  CHECK_FALSE(f.workloads.due_ms().has_value());
  const auto changes = f.workloads.take_changes();
  REQUIRE(changes.size() == 1);
  CHECK_FALSE(changes[0].workload.has_value());
}

TEST_CASE("one that comes back in time was never gone") {
  Fixture f;
  f.serve(kOne);
  f.serve(kTwo);
  f.workloads.disconnected(kOne, 0);
  f.connect(kOne);
  f.workloads.advance(kGraceMs);
  CHECK(f.at(kOne).ready());
  CHECK_FALSE(f.at(kOne).away);
  CHECK_FALSE(f.workloads.due_ms().has_value());
}

TEST_CASE("a new stream that overlaps the old one is no absence") {
  Fixture f;
  f.serve(kOne);
  f.connect(kOne);
  f.workloads.disconnected(kOne, 0);
  CHECK_FALSE(f.at(kOne).away);
  f.workloads.disconnected(kOne, 0);
  CHECK(f.at(kOne).away);
}

TEST_CASE("who comes back from elsewhere has yet to show that it listens") {
  Fixture f;
  f.serve(kOne);
  f.workloads.disconnected(kOne, 0);
  f.workloads.connected(said(kOne, "10.0.0.2"), false);
  CHECK_FALSE(f.at(kOne).ready());
  CHECK(f.at(kOne).address == "10.0.0.2");
}

TEST_CASE("one that drains gets nothing new, and goes with its stream") {
  Fixture f;
  f.serve(kOne);
  f.workloads.set_draining(kOne);
  CHECK_FALSE(f.at(kOne).ready());
  CHECK(state_of(f.at(kOne), true) == "draining");
  f.workloads.disconnected(kOne, 0);
  CHECK(f.workloads.all().empty());
}

TEST_CASE("one that never listened leaves nothing behind") {
  Fixture f;
  f.connect(kOne);
  f.workloads.disconnected(kOne, 0);
  CHECK(f.workloads.all().empty());
  CHECK_FALSE(f.workloads.due_ms().has_value());
}

TEST_CASE("an application that is checked is ready when it is found well, and while it is") {
  Fixture f;
  f.connect(kOne, true);
  f.workloads.set_listening(kOne);
  CHECK_FALSE(f.at(kOne).ready());
  CHECK(state_of(f.at(kOne), true) == "unhealthy: its application has not been checked yet");
  f.workloads.set_health(kOne, true, "");
  CHECK(f.at(kOne).ready());
  f.workloads.set_health(kOne, false, std::string(1000, 'x'));
  CHECK_FALSE(f.at(kOne).ready());
  CHECK(f.at(kOne).reason.size() == 256);
  // What was last known of it holds when it comes back.
  f.workloads.disconnected(kOne, 0);
  f.connect(kOne, true);
  CHECK_FALSE(f.at(kOne).healthy);
}

TEST_CASE("what is said of one that is not known counts for nothing") {
  Fixture f;
  f.workloads.set_health(kOne, false, "no");
  f.workloads.set_draining(kOne);
  f.workloads.set_listening(kOne);
  f.workloads.disconnected(kOne, 0);
  CHECK(f.workloads.all().empty());
  CHECK(f.workloads.take_changes().empty());
}

TEST_CASE("those of an earlier run have the time of grace to come back") {
  Fixture before;
  before.serve(kOne);
  before.serve(kTwo);
  Fixture f;
  f.workloads.restore({before.at(kOne), before.at(kTwo)}, 500);
  CHECK(f.at(kOne).ready());
  CHECK(f.at(kOne).away);
  CHECK(f.workloads.take_changes().size() == 2);
  f.connect(kOne);
  f.workloads.advance(500 + kGraceMs);
  CHECK(f.at(kOne).ready());
  CHECK_FALSE(f.workloads.all().contains(kTwo));
}

TEST_CASE("without a time of grace one goes with its stream") {
  Workloads workloads(0);
  workloads.connected(said(kOne, "10.0.0.1"), false);
  workloads.set_listening(kOne);
  workloads.disconnected(kOne, 0);
  CHECK(workloads.all().empty());
}

}  // namespace
}  // namespace weft::control::registry
