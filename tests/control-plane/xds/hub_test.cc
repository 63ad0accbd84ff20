#include "tests/control-plane/xds/hub_fixture.h"

namespace weft::control::xds {
namespace {

using Fixture = HubFixture;

TEST_CASE("a commit is applied by those who do not report when they have acknowledged it") {
  Fixture f;
  Node envoy(f.hub, "envoy", false);
  envoy.answer();
  f.commit(7, "a", 1);
  f.clock.advance_ms(40);
  CHECK_FALSE(f.rollout(7).is_done());
  CHECK(f.rollout(7).concerned == 1);
  CHECK(f.pending(7) == std::vector<SessionId>{envoy.session});
  CHECK(envoy.progress().applied_revision() == 6);
  envoy.answer();
  CHECK(f.rollout(7).is_done());
  CHECK(f.rollout(7).applied == 1);
  CHECK(envoy.progress().applied_revision() == 7);
  CHECK(f.hub.rollouts().to_acknowledged().count() == 1);
  CHECK(f.hub.rollouts().to_applied().sum_ms() == 40);
}

TEST_CASE("who reports has applied a commit when it says that it runs it, not when it acknowledges") {
  Fixture f;
  Node proxy(f.hub, "proxy", true);
  proxy.begin();
  const uint64_t version = f.commit(1, "a", 1);
  proxy.answer();
  CHECK(f.rollout(1).acknowledged == 1);
  CHECK(f.rollout(1).applied == 0);
  f.clock.advance_ms(300);
  REQUIRE(proxy.tell("a", version).ok());
  CHECK(f.rollout(1).is_done());
  CHECK(f.rollout(1).applied == 1);
  CHECK(f.hub.rollouts().to_acknowledged().sum_ms() == 0);
  CHECK(f.hub.rollouts().to_applied().sum_ms() == 300);
  CHECK(proxy.progress().applied().differences().empty());
}

TEST_CASE("a report may overtake the acknowledgement of what it tells of") {
  Fixture f;
  Node proxy(f.hub, "proxy", true);
  proxy.begin();
  const uint64_t version = f.commit(1, "a", 1);
  REQUIRE(proxy.tell("a", version).ok());
  CHECK_FALSE(f.rollout(1).is_done());
  proxy.answer();
  CHECK(f.rollout(1).is_done());
}

TEST_CASE("what is removed is applied when the proxy says that it has it no more, before or after it acknowledges") {
  for (const bool report_first : {true, false}) {
    Fixture f;
    Node proxy(f.hub, "proxy", true);
    proxy.begin();
    const uint64_t version = f.commit(1, "a", 1);
    proxy.answer();
    REQUIRE(proxy.tell("a", version).ok());
    f.hub.rollouts().on_commit(2, 0);
    REQUIRE(f.views.view.apply({{Type::kCluster, "a", nullptr}}).ok());
    f.hub.push({{2}, {2}});
    if (report_first) {
      REQUIRE(proxy.tell("a", 0).ok());
      CHECK_FALSE(f.rollout(2).is_done());
      proxy.answer();
    } else {
      proxy.answer();
      CHECK_FALSE(f.rollout(2).is_done());
      REQUIRE(proxy.tell("a", 0).ok());
    }
    CHECK(f.rollout(2).is_done());
    CHECK(f.rollout(2).applied == 1);
    CHECK(proxy.progress().applied().differences().empty());
  }
}

TEST_CASE("a refusal ends the wait with its reason, and the next commit goes on") {
  Fixture f;
  Node proxy(f.hub, "proxy", false);
  proxy.answer();
  f.commit(1, "a", 1);
  proxy.answer("cluster \"a\": no");
  const Rollout refused = f.rollout(1);
  CHECK(refused.is_done());
  CHECK(refused.refused == 1);
  REQUIRE(refused.refusals.size() == 1);
  CHECK(refused.refusals[0].node == "proxy");
  CHECK(refused.refusals[0].refusal == "cluster: cluster \"a\": no");
  CHECK_FALSE(proxy.last.has_value());
  f.commit(2, "b", 1);
  proxy.answer();
  CHECK(f.rollout(2).applied == 1);
  CHECK(f.rollout(2).refused == 0);
}

TEST_CASE("a refusal is of the pushes that brought what is refused, not of those behind it") {
  Fixture f;
  Node proxy(f.hub, "proxy", false);
  proxy.answer();
  f.commit(1, "a", 1);
  f.commit(2, "b", 1);
  proxy.answer("cluster \"a\": no");
  proxy.answer();
  CHECK(f.rollout(1).refused == 1);
  CHECK(f.rollout(2).refused == 0);
  CHECK(f.rollout(2).applied == 1);
}

TEST_CASE("what was acknowledged and could not be run after all counts as refused") {
  Fixture f;
  Node proxy(f.hub, "proxy", true);
  proxy.begin();
  const uint64_t version = f.commit(1, "a", 1);
  proxy.answer();
  REQUIRE(proxy.tell("a", 0, false, version).ok());
  CHECK(f.rollout(1).is_done());
  REQUIRE(f.rollout(1).refusals.size() == 1);
  CHECK(f.rollout(1).refusals[0].refusal == "no room");
}

TEST_CASE("a proxy that has not acknowledged one commit still owes it after the next") {
  Fixture f;
  Node quick(f.hub, "quick", false);
  Node slow(f.hub, "slow", false);
  quick.answer();
  slow.answer();
  f.commit(1, "a", 1);
  quick.answer();
  f.commit(2, "a", 2);
  quick.answer();
  CHECK(f.rollout(1).applied == 1);
  CHECK(f.rollout(2).applied == 1);
  CHECK(f.pending(2) == std::vector<SessionId>{slow.session});
  slow.answer();
  CHECK(f.rollout(1).is_done());
  CHECK_FALSE(f.rollout(2).is_done());
  slow.answer();
  CHECK(f.rollout(2).is_done());
}

TEST_CASE("who goes is not waited for, and who comes back owes what it owed; its time is not counted") {
  Fixture f;
  Node proxy(f.hub, "proxy", false);
  proxy.answer();
  f.commit(1, "a", 1);
  proxy.disconnect();
  CHECK(f.rollout(1).is_done());
  CHECK(f.rollout(1).concerned == 0);
  proxy.connect();
  CHECK_FALSE(f.rollout(1).is_done());
  CHECK(proxy.progress().applied_revision() == 0);
  proxy.answer();
  CHECK(f.rollout(1).applied == 1);
  CHECK(proxy.progress().applied_revision() == 1);
  CHECK(f.hub.rollouts().to_applied().count() == 0);
}

TEST_CASE("who comes is waited for until it runs what it loads, as all are whom a commit concerned") {
  Fixture f;
  const uint64_t version = f.commit(1, "a", 1);
  int told = 0;
  const uint64_t watch = f.hub.rollouts().watch(1, [&told] { ++told; });
  Node proxy(f.hub, "proxy", true);
  CHECK(f.pending(1) == std::vector<SessionId>{proxy.session});
  proxy.begin();
  CHECK_FALSE(f.rollout(1).is_done());
  f.hub.rollouts().tell();
  CHECK(told == 0);
  REQUIRE(proxy.tell("a", version).ok());
  CHECK(f.rollout(1).is_done());
  CHECK(f.rollout(1).concerned == 0);
  f.hub.rollouts().tell();
  CHECK(told == 1);
  f.hub.rollouts().unwatch(watch);
}

TEST_CASE("who does not report has loaded what it acknowledged, and who goes is waited for no more") {
  Fixture f;
  f.commit(1, "a", 1);
  Node envoy(f.hub, "envoy", false);
  Node gone(f.hub, "gone", false);
  CHECK(f.rollout(1).concerned == 2);
  envoy.answer();
  CHECK(f.pending(1) == std::vector<SessionId>{gone.session});
  gone.disconnect();
  CHECK(f.rollout(1).is_done());
}

TEST_CASE(
    "no push is over while somebody who came back may run what it did before; who comes anew runs nothing older") {
  Fixture f;
  const uint64_t version = f.commit(1, "a", 1);
  const auto is_over = [&] { return f.hub.rollouts().is_over(f.hub.rollouts().epoch()); };
  Node anew(f.hub, "anew", false);
  CHECK(is_over());
  const Node as_it_was(f.hub, "as it was", false, {{"a", version}});
  CHECK(is_over());
  Node reports(f.hub, "reports", true, {{"a", version + 1}});
  CHECK_FALSE(is_over());
  reports.begin();
  CHECK_FALSE(is_over());
  REQUIRE(reports.tell("a", version).ok());
  CHECK(is_over());
  Node gone(f.hub, "gone", false, {{"a", version + 1}});
  CHECK_FALSE(is_over());
  gone.disconnect();
  CHECK(is_over());
}

TEST_CASE("who is stuck while it loads keeps up no commit that comes after, unless that changes what it loads") {
  Fixture f;
  f.commit(1, "a", 1);
  Node stuck(f.hub, "stuck", false);
  f.hub.rollouts().on_commit(2, 0);
  f.hub.push({{2}, {2}});
  CHECK(f.rollout(2).is_done());
  // It has yet to ask for listeners.
  f.hub.rollouts().on_commit(3, 0);
  const envoy::config::cluster::v3::Cluster content;
  REQUIRE(f.views.view.apply({{Type::kListener, "l", snapshot::make_resource(Type::kListener, "l", content)}}).ok());
  f.hub.push({{3}, {3}});
  CHECK(f.pending(3) == std::vector<SessionId>{stuck.session});
  CHECK(f.rollout(3).concerned == 1);
  stuck.answer();
  CHECK(f.rollout(3).is_done());
  CHECK(f.rollout(3).applied == 1);
  CHECK(f.hub.rollouts().to_applied().count() == 0);
}

TEST_CASE("a report that begins tells of all that runs, and what it does not name does not run") {
  Fixture f;
  const uint64_t version = f.commit(1, "a", 1);
  f.commit(2, "b", 1);
  Node proxy(f.hub, "proxy", true);
  proxy.answer();
  CHECK(proxy.progress().applied_revision() == 0);
  proxy.start_report();
  REQUIRE(proxy.tell("a", version).ok());
  CHECK(proxy.progress().source() == Progress::Source::kAwaited);
  REQUIRE(proxy.tell("", 0, true).ok());
  CHECK(proxy.progress().source() == Progress::Source::kReport);
  CHECK(proxy.progress().applied().differences().size() == 1);
  CHECK(proxy.progress().applied().find(Type::kCluster, "b") != nullptr);
  CHECK(proxy.progress().applied_revision() == 0);
  REQUIRE(proxy.tell("b", cluster("b", 1)->version).ok());
  CHECK(proxy.progress().applied_revision() == 2);
}

TEST_CASE("of names that the node never had nothing is kept") {
  Fixture f;
  Node proxy(f.hub, "proxy", true);
  proxy.begin();
  for (int i = 0; i < 100; ++i) REQUIRE(proxy.tell("n" + std::to_string(i), 5).ok());
  CHECK(proxy.progress().applied().differences().empty());
}

TEST_CASE("a report of a node without a stream, or out of order, is ended") {
  Fixture f;
  Node proxy(f.hub, "proxy", true);
  proxy.start_report();
  proxy.id = "other";
  CHECK(proxy.tell("", 0).code() == absl::StatusCode::kFailedPrecondition);
  f.hub.close_report(proxy.report);
  proxy.id = "proxy";
  proxy.start_report();
  REQUIRE(proxy.tell("", 0).ok());
  proxy.sequence = 5;
  CHECK(proxy.tell("", 0).code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("a push looks at those whom it concerns: others have nothing to wait for") {
  Fixture f;
  Node proxy(f.hub, "proxy", false);
  proxy.answer();
  f.hub.rollouts().on_commit(1, 0);
  f.hub.push({{1}, {1}});
  CHECK(f.rollout(1).is_done());
  CHECK(f.rollout(1).concerned == 0);
  // What has not been pushed is not done, whoever is there.
  f.hub.rollouts().on_commit(2, 0);
  CHECK_FALSE(f.rollout(2).is_done());
}

TEST_CASE("a watch is told of changes, until it is ended") {
  Fixture f;
  Node proxy(f.hub, "proxy", false);
  proxy.answer();
  int told = 0;
  const uint64_t watch = f.hub.rollouts().watch(1, [&told] { ++told; });
  f.commit(1, "a", 1);
  f.hub.rollouts().tell();
  CHECK(told == 1);
  f.hub.rollouts().tell();
  CHECK(told == 1);
  proxy.answer();
  f.hub.rollouts().tell();
  CHECK(told == 2);
  f.hub.rollouts().unwatch(watch);
  f.commit(2, "a", 2);
  f.hub.rollouts().tell();
  CHECK(told == 2);
}

TEST_CASE("a proxy that never answers is waited for in a bounded number of pushes") {
  Fixture f;
  Node proxy(f.hub, "proxy", false);
  proxy.answer();
  for (Revision revision = 1; revision <= 1500; ++revision) f.commit(revision, "a", static_cast<int>(revision));
  CHECK(f.rollout(1).is_done());
  CHECK_FALSE(f.rollout(1499).is_done());
  proxy.answer();
  proxy.answer();
  CHECK(f.rollout(1499).is_done());
}

}  // namespace
}  // namespace weft::control::xds
