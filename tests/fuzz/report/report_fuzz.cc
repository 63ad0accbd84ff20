#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "control-plane/base/clock.h"
#include "control-plane/xds/hub.h"
#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/service/discovery/v3/discovery.pb.h"

// What a proxy reports of what it runs: messages, each behind a byte of its length. Only what it was given may be kept
// of it, and it never makes a push count as applied that was not acknowledged.

namespace {

using namespace weft;
using namespace weft::control;
using namespace weft::control::xds;

constexpr int kClusters = 3;

struct OneView final : Views {
  OneView() {
    for (int i = 0; i < kClusters; ++i) {
      const std::string name(1, static_cast<char>('a' + i));
      envoy::config::cluster::v3::Cluster cluster;
      cluster.set_name(name);
      if (!view.apply({{Type::kCluster, name, snapshot::make_resource(Type::kCluster, name, cluster)}}).ok()) abort();
    }
  }
  absl::StatusOr<const View*> acquire(const envoy::config::core::v3::Node&) override { return &view; }
  void release(const View&) override {}
  View view;
};

struct Acknowledging final : Sink {
  void send(const Response& response) override { nonce = response.nonce; }
  void end(const absl::Status&) override {}
  std::string nonce;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  OneView views;
  weft::control::base::ManualClock clock;
  Hub hub(views, clock);
  Acknowledging sink;
  const SessionId session = hub.open(Form::kDelta, std::nullopt, "peer", sink);
  envoy::service::discovery::v3::DeltaDiscoveryRequest request;
  request.mutable_node()->set_id("n");
  request.mutable_node()->add_client_features("weft.reports");
  request.set_type_url(std::string(snapshot::type_url(Type::kCluster)));
  hub.on_request(session, request);
  const Hub::ReportId report = hub.open_report();
  uint64_t sequence = 0;
  bool is_acknowledged = false;
  while (bytes.size() > 1) {
    const size_t length = std::min<size_t>(static_cast<uint8_t>(bytes[0]), bytes.size() - 1);
    v1::ReportRequest told;
    const bool parsed = told.ParseFromArray(bytes.data() + 1, static_cast<int>(length));
    bytes.remove_prefix(1 + length);
    if (!parsed) continue;
    // Else hardly anything would come past the first check.
    if (sequence == 0) told.mutable_node()->set_id("n");
    told.set_sequence(sequence + 1);
    if (!hub.on_report(report, told).ok()) abort();
    ++sequence;
    const Progress& progress = *hub.sessions().at(session).progress;
    if (progress.applied().differences().size() > kClusters) abort();
    if (progress.applied().through(5) > 5) abort();
    if (!is_acknowledged) {
      is_acknowledged = true;
      request.Clear();
      request.set_type_url(std::string(snapshot::type_url(Type::kCluster)));
      request.set_response_nonce(sink.nonce);
      hub.on_request(session, request);
    }
  }
  hub.close_report(report);
  hub.close(session);
  return 0;
}
