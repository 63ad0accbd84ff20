#include "proxy/config/report/conversation.h"

#include <catch2/catch.hpp>

#include "tests/proxy/config/report/fake_inventory.h"

namespace weft::config::report {
namespace {

using Requests = std::vector<v1::ReportRequest>;

struct Fixture {
  explicit Fixture(Conversation::Limits limits = {}) : conversation(inventory, {"weft-proxy test", 5, false}, limits) {
    conversation.set_serving();
  }
  void set(const std::string& name, const std::string& version) {
    inventory.running[cluster_key(name)].version = version;
    conversation.changed(cluster_key(name));
  }
  void remove(const std::string& name) {
    inventory.running.erase(cluster_key(name));
    conversation.changed(cluster_key(name));
  }
  void open() {
    envoy::config::core::v3::Node node;
    node.set_id("n");
    conversation.open(node);
  }
  // After a round, which takes no time.
  Requests take() {
    if (conversation.begin_round()) conversation.end_round();
    return take_now();
  }
  Requests take_now() {
    Requests requests;
    for (const std::string& message : conversation.take()) {
      requests.emplace_back();
      REQUIRE(requests.back().ParseFromString(message));
    }
    return requests;
  }
  v1::ReportRequest only() {
    Requests requests = take();
    REQUIRE(requests.size() == 1);
    return requests[0];
  }
  absl::Status answer(uint64_t sequence) {
    v1::ReportResponse response;
    response.set_sequence(sequence);
    return conversation.receive(response.SerializeAsString());
  }

  FakeInventory inventory;
  Conversation conversation;
};

}  // namespace

TEST_CASE("a report begins with who reports and all that runs, and goes on with what changes") {
  Fixture f;
  f.set("a", "1");
  f.set("b", "1");
  CHECK(f.take().empty());
  f.open();
  v1::ReportRequest first = f.only();
  CHECK(first.node().id() == "n");
  CHECK(first.sequence() == 1);
  CHECK(first.type_urls_size() == 2);
  CHECK(first.process().version() == "weft-proxy test");
  CHECK(first.resources_size() == 2);
  CHECK(first.complete());
  CHECK(f.take().empty());
  f.set("a", "2");
  v1::ReportRequest second = f.only();
  CHECK_FALSE(second.has_node());
  CHECK_FALSE(second.has_process());
  REQUIRE(second.resources_size() == 1);
  CHECK(second.resources(0).name() == "a");
  CHECK(second.resources(0).version() == "2");
  CHECK_FALSE(second.complete());
}

TEST_CASE("what changes several times before it is told is told once, as it is then") {
  Fixture f;
  f.open();
  f.only();
  f.set("a", "1");
  f.set("a", "2");
  f.set("b", "1");
  f.remove("b");
  v1::ReportRequest told = f.only();
  REQUIRE(told.resources_size() == 2);
  CHECK(told.resources(0).version() == "2");
  CHECK(told.resources(1).name() == "b");
  CHECK(told.resources(1).version().empty());
}

TEST_CASE("no more is sent than may be unanswered, and what comes meanwhile is told together") {
  Fixture f({.resources_per_message = 2, .messages_in_flight = 2});
  for (const char* name : {"a", "b", "c", "d", "e"}) f.set(name, "1");
  f.open();
  Requests first = f.take();
  REQUIRE(first.size() == 2);
  CHECK(first[0].resources_size() == 2);
  CHECK_FALSE(first[1].complete());
  f.set("a", "2");
  CHECK(f.take().empty());
  REQUIRE(f.answer(1).ok());
  v1::ReportRequest next = f.only();
  CHECK(next.resources_size() == 2);
  CHECK(next.complete());
  REQUIRE(f.answer(3).ok());
  CHECK(f.take().empty());
}

TEST_CASE("what changed is told when a round through the workers has ended, and not before") {
  Fixture f;
  f.open();
  f.only();
  f.set("a", "1");
  f.set("b", "1");
  CHECK(f.conversation.begin_round());
  CHECK(f.take_now().empty());
  // Not in this round, nor one of its own beside it.
  f.set("b", "2");
  f.set("c", "1");
  CHECK_FALSE(f.conversation.begin_round());
  f.conversation.end_round();
  Requests told = f.take_now();
  REQUIRE(told.size() == 1);
  REQUIRE(told[0].resources_size() == 1);
  CHECK(told[0].resources(0).name() == "a");
  CHECK(f.conversation.begin_round());
  CHECK(f.take_now().empty());
  f.conversation.end_round();
  told = f.take_now();
  REQUIRE(told.size() == 1);
  REQUIRE(told[0].resources_size() == 2);
  CHECK(told[0].resources(0).name() == "b");
  CHECK(told[0].resources(0).version() == "2");
  CHECK_FALSE(f.conversation.begin_round());
}

TEST_CASE("what waits for its turn to be told and changes again waits for another round") {
  Fixture f({.resources_per_message = 1, .messages_in_flight = 1});
  f.open();
  f.only();
  f.set("a", "1");
  REQUIRE(f.conversation.begin_round());
  f.conversation.end_round();
  f.set("a", "2");
  REQUIRE(f.answer(1).ok());
  CHECK(f.take_now().empty());
  REQUIRE(f.conversation.begin_round());
  f.conversation.end_round();
  Requests told = f.take_now();
  REQUIRE(told.size() == 1);
  CHECK(told[0].resources(0).version() == "2");
}

TEST_CASE("a report is complete only when all that runs has been through a round") {
  Fixture f;
  f.set("a", "1");
  f.open();
  CHECK(f.conversation.begin_round());
  Requests first = f.take_now();
  REQUIRE(first.size() == 1);
  CHECK(first[0].node().id() == "n");
  CHECK_FALSE(first[0].complete());
  CHECK(first[0].resources_size() == 0);
  CHECK(f.take_now().empty());
  f.conversation.end_round();
  Requests second = f.take_now();
  REQUIRE(second.size() == 1);
  CHECK(second[0].complete());
  CHECK(second[0].resources_size() == 1);
}

TEST_CASE("a round that another stream began tells this one nothing") {
  Fixture f;
  f.open();
  f.only();
  f.set("a", "1");
  REQUIRE(f.conversation.begin_round());
  f.conversation.close();
  f.open();
  CHECK_FALSE(f.conversation.begin_round());
  CHECK(f.take_now().size() == 1);
  f.conversation.end_round();
  CHECK(f.take_now().empty());
  v1::ReportRequest told = f.only();
  CHECK(told.complete());
  CHECK(told.resources_size() == 1);
}

TEST_CASE("until the workers run nothing is told to be in force, but what warms or was refused is") {
  FakeInventory inventory;
  inventory.running[cluster_key("a")].version = "1";
  inventory.running[cluster_key("b")].warming_version = "1";
  inventory.running[cluster_key("c")].refused.emplace("1", "no", 0);
  Conversation conversation(inventory, {"weft-proxy test", 5, false});
  auto told = [&] {
    v1::ReportRequest all;
    for (const std::string& message : conversation.take()) REQUIRE(all.MergeFromString(message));
    return all;
  };
  conversation.open({});
  CHECK_FALSE(conversation.begin_round());
  v1::ReportRequest first = told();
  REQUIRE(first.resources_size() == 2);
  CHECK(first.resources(0).warming_version() == "1");
  CHECK(first.resources(1).refused().reason() == "no");
  CHECK(first.complete());
  inventory.running[cluster_key("b")] = {"1", "", {}};
  conversation.changed(cluster_key("b"));
  inventory.running.erase(cluster_key("a"));
  conversation.changed(cluster_key("a"));
  CHECK_FALSE(conversation.begin_round());
  v1::ReportRequest second = told();
  REQUIRE(second.resources_size() == 1);
  CHECK(second.resources(0).name() == "a");
  conversation.set_serving();
  REQUIRE(conversation.begin_round());
  CHECK(told().resources_size() == 0);
  conversation.end_round();
  v1::ReportRequest third = told();
  REQUIRE(third.resources_size() == 1);
  CHECK(third.resources(0).name() == "b");
  CHECK(third.resources(0).version() == "1");
}

TEST_CASE("another stream begins from the start") {
  Fixture f;
  f.set("a", "1");
  f.open();
  f.only();
  f.conversation.close();
  f.set("b", "1");
  CHECK(f.take().empty());
  f.open();
  v1::ReportRequest first = f.only();
  CHECK(first.sequence() == 1);
  CHECK(first.node().id() == "n");
  CHECK(first.resources_size() == 2);
}

TEST_CASE("what warms and what was refused is told with its reason, cut between characters") {
  Fixture f;
  ResourceState& state = f.inventory.running[cluster_key("a")];
  state.version = "1";
  state.warming_version = "2";
  std::string reason(1023, 'x');
  state.refused.emplace("3", reason + "\xc3\xa4" + reason, 7'000'000'001);
  f.open();
  v1::ReportRequest told = f.only();
  const v1::ResourceReport& report = told.resources(0);
  CHECK(report.warming_version() == "2");
  CHECK(report.refused().version() == "3");
  CHECK(report.refused().reason() == reason + "...");
  CHECK(report.refused().time().seconds() == 7);
  CHECK(report.refused().time().nanos() == 1);
}

TEST_CASE("that the process drains, and how its workload is, is told once") {
  Fixture f;
  f.open();
  CHECK_FALSE(f.only().has_workload());
  f.conversation.set_draining();
  f.conversation.set_workload(v1::WorkloadReport::UNHEALTHY, "GET /healthz: 503");
  v1::ReportRequest told = f.only();
  CHECK(told.process().draining());
  CHECK(told.workload().health() == v1::WorkloadReport::UNHEALTHY);
  f.conversation.set_draining();
  CHECK(f.take().empty());
  f.open();
  CHECK(f.only().workload().reason() == "GET /healthz: 503");
}

TEST_CASE("an answer that is none, or to what was not sent, is an error") {
  Fixture f;
  f.open();
  f.only();
  CHECK_FALSE(f.conversation.receive("\xff").ok());
  CHECK_FALSE(f.answer(2).ok());
  CHECK(f.answer(1).ok());
}

}  // namespace weft::config::report
