#pragma once

#include <catch2/catch.hpp>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "control-plane/xds/hub.h"
#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/service/discovery/v3/discovery.pb.h"

// A hub with one view for all, and nodes that answer as a test says.

namespace weft::control::xds {

using envoy::service::discovery::v3::DeltaDiscoveryRequest;

inline ResourcePointer cluster(const std::string& name, int content) {
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
  // `held`: versions of what it has when it comes.
  Node(Hub& hub, const std::string& id, bool reports, std::map<std::string, uint64_t> held = {})
      : hub(hub), id(id), reports(reports), held(std::move(held)) {
    connect();
  }

  void send(const Response& response) override { last = response; }
  void end(const absl::Status& status) override { ended = status; }

  void connect() {
    session = hub.open(Form::kDelta, std::nullopt, "peer", *this);
    DeltaDiscoveryRequest request;
    request.mutable_node()->set_id(id);
    if (reports) request.mutable_node()->add_client_features("weft.reports");
    request.set_type_url(std::string(snapshot::type_url(Type::kCluster)));
    for (const auto& [name, version] : held) {
      (*request.mutable_initial_resource_versions())[name] = snapshot::version_text(version);
    }
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
  // Acknowledges what there is, and reports that nothing runs yet.
  void begin() {
    answer();
    start_report();
    REQUIRE(tell("", 0, true).ok());
  }
  const Progress& progress() const { return *hub.sessions().at(session).progress; }

  Hub& hub;
  std::string id;
  bool reports;
  std::map<std::string, uint64_t> held;
  SessionId session = 0;
  Hub::ReportId report = 0;
  uint64_t sequence = 0;
  std::optional<Response> last;
  std::optional<absl::Status> ended;
};

struct HubFixture {
  // Returns the version that the cluster then has.
  uint64_t commit(Revision revision, const std::string& name, int content) {
    hub.rollouts().on_commit(revision, clock.monotonic_ms());
    const ResourcePointer resource = cluster(name, content);
    REQUIRE(views.view.apply({{Type::kCluster, name, resource}}).ok());
    hub.push({{revision}, {revision}});
    return resource->version;
  }
  Rollout rollout(Revision revision) { return hub.rollouts().of(revision); }
  std::vector<SessionId> pending(Revision revision) {
    std::vector<SessionId> out;
    for (const Owing& each : rollout(revision).pending) out.push_back(each.session);
    return out;
  }

  OneView views;
  base::ManualClock clock;
  Hub hub{views, clock};
};

}  // namespace weft::control::xds
