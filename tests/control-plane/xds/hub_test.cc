#include "control-plane/xds/hub.h"

#include <catch2/catch.hpp>

#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/service/discovery/v3/discovery.pb.h"

namespace weft::control::xds {
namespace {

using envoy::service::discovery::v3::DeltaDiscoveryRequest;

ResourcePointer cluster(const std::string& name, int content) {
  envoy::config::cluster::v3::Cluster message;
  message.set_alt_stat_name(name + std::to_string(content));
  return snapshot::make_resource(Type::kCluster, name, message);
}

// All nodes share one view.
struct OneView final : Views {
  absl::StatusOr<const View*> acquire(const envoy::config::core::v3::Node&) override { return &view; }
  void release(const View&) override {}
  View view;
};

// A node with one delta stream of clusters.
struct Node final : Sink {
  Node(Hub& hub, const std::string& id, bool reports) : hub(hub), id(id), reports(reports) { connect(); }

  void send(const Response& response) override { last = response; }
  void end(const absl::Status& status) override { ended = status; }

  void connect() {
    session = hub.open(Form::kDelta, std::nullopt, "peer", *this);
    DeltaDiscoveryRequest request;
    request.mutable_node()->set_id(id);
    if (reports) request.mutable_node()->add_client_features("weft.reports");
    request.set_type_url(std::string(snapshot::type_url(Type::kCluster)));
    hub.on_request(session, request);
  }
  void disconnect() { hub.close(session); }
  // Answers to what came last, if anything did.
  void answer(const std::string& error = "") {
    REQUIRE(last.has_value());
    DeltaDiscoveryRequest request;
    request.set_type_url(std::string(snapshot::type_url(Type::kCluster)));
    request.set_response_nonce(std::exchange(last, std::nullopt)->nonce);
    if (!error.empty()) request.mutable_error_detail()->set_message(error);
    hub.on_request(session, request);
  }
  void start_report() {
    report = hub.open_report();
    sequence = 0;
  }
  absl::Status tell(const std::string& name, uint64_t version, bool complete = false, uint64_t refused = 0) {
    v1::ReportRequest request;
    if (sequence == 0) {
      request.mutable_node()->set_id(id);
      request.add_type_urls(std::string(snapshot::type_url(Type::kCluster)));
    }
    request.set_sequence(++sequence);
    request.set_complete(complete);
    if (!name.empty()) {
      v1::ResourceReport* resource = request.add_resources();
      resource->set_type_url(std::string(snapshot::type_url(Type::kCluster)));
      resource->set_name(name);
      if (version != 0) resource->set_version(snapshot::version_text(version));
      if (refused != 0) {
        resource->mutable_refused()->set_version(snapshot::version_text(refused));
        resource->mutable_refused()->set_reason("no room");
      }
    }
    return hub.on_report(report, request).status();
  }
  const Progress& progress() const { return *hub.sessions().at(session).progress; }

  Hub& hub;
  std::string id;
  bool reports;
  SessionId session = 0;
  Hub::ReportId report = 0;
  uint64_t sequence = 0;
  std::optional<Response> last;
  std::optional<absl::Status> ended;
};

struct Fixture {
  // Returns the version that the cluster then has.
  uint64_t commit(Revision revision, const std::string& name, int content) {
    hub.rollouts().on_commit(revision, clock.monotonic_ms());
    const ResourcePointer resource = cluster(name, content);
    REQUIRE(views.view.apply({{Type::kCluster, name, resource}}).ok());
    hub.push({{revision}, {revision}});
    return resource->version;
  }
  Rollout rollout(Revision revision) { return hub.rollouts().of(revision); }

  OneView views;
  base::ManualClock clock;
  Hub hub{views, clock};
};

TEST_CASE("a commit is applied by those who do not report when they have acknowledged it") {
  Fixture f;
  Node envoy(f.hub, "envoy", false);
  envoy.answer();
  f.commit(7, "a", 1);
  f.clock.advance_ms(40);
  CHECK_FALSE(f.rollout(7).is_done());
  CHECK(f.rollout(7).concerned == 1);
  CHECK(f.rollout(7).pending == std::vector<SessionId>{envoy.session});
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
  proxy.answer();
  proxy.start_report();
  REQUIRE(proxy.tell("", 0, true).ok());
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
  proxy.answer();
  proxy.start_report();
  REQUIRE(proxy.tell("", 0, true).ok());
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
    proxy.answer();
    proxy.start_report();
    REQUIRE(proxy.tell("", 0, true).ok());
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

TEST_CASE("what was acknowledged and could not be run after all counts as refused") {
  Fixture f;
  Node proxy(f.hub, "proxy", true);
  proxy.answer();
  proxy.start_report();
  REQUIRE(proxy.tell("", 0, true).ok());
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
  CHECK(f.rollout(2).pending == std::vector<SessionId>{slow.session});
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
  CHECK_FALSE(proxy.progress().is_current());
  REQUIRE(proxy.tell("b", cluster("b", 1)->version).ok());
  CHECK(proxy.progress().is_current());
  CHECK(proxy.progress().applied_revision() == 2);
}

TEST_CASE("of names that the node never had nothing is kept") {
  Fixture f;
  Node proxy(f.hub, "proxy", true);
  proxy.answer();
  proxy.start_report();
  REQUIRE(proxy.tell("", 0, true).ok());
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
