#include "control-plane/server/traffic_service.h"

#include <google/protobuf/util/time_util.h>

#include <string>

#include "control-plane/telemetry/merge.h"

namespace weft::control::server {

namespace {

using google::protobuf::util::TimeUtil;
using telemetry::Party;
using telemetry::Sums;

constexpr int64_t kDefaultWindowMs = 30'000;
constexpr double kMsPerSecond = 1'000;

void show(const Party& party, v1::Party* out) {
  out->set_kind(party.kind == Party::Kind::kService   ? v1::Party::SERVICE
                : party.kind == Party::Kind::kOutside ? v1::Party::OUTSIDE
                                                      : v1::Party::EXTERNAL);
  out->set_namespace_(party.namespace_name);
  out->set_name(party.name);
}

void show(const Sums& window, const Sums& total, double seconds, v1::Flow* out) {
  const auto rate = [seconds](uint64_t n) { return static_cast<double>(n) / seconds; };
  out->set_requests(rate(window.requests));
  out->set_failures(rate(window.failures));
  out->set_p50_ms(window.quantile(0.5));
  out->set_p90_ms(window.quantile(0.9));
  out->set_p99_ms(window.quantile(0.99));
  out->set_connections(rate(window.connections));
  out->set_sent_bytes(rate(window.sent_bytes));
  out->set_received_bytes(rate(window.received_bytes));
  out->set_total_requests(total.requests);
  out->set_total_connections(total.connections);
}

std::string security_word(const telemetry::MergedEdge& edge) {
  if (edge.saw_none && edge.saw_mutual) return "mixed";
  if (edge.saw_mutual) return "mutual_tls";
  return edge.saw_none ? "none" : "unknown";
}

}  // namespace

v1::TrafficResponse traffic_response(const telemetry::Traffic::Now& now, const std::string& namespace_name) {
  const auto is_wanted = [&](const Party& party) {
    return namespace_name.empty() || party.namespace_name == namespace_name;
  };
  const double seconds = static_cast<double>(now.window_ms) / kMsPerSecond;
  const telemetry::Merged merged = telemetry::merge(now.edges);
  v1::TrafficResponse response;
  *response.mutable_window() = TimeUtil::MillisecondsToDuration(now.window_ms);
  response.set_proxies(static_cast<uint32_t>(now.proxies));
  response.set_dropped_series(now.dropped_series);
  for (const auto& [party, flow] : merged.services) {
    if (!is_wanted(party)) continue;
    v1::ServiceTraffic* service = response.add_services();
    show(party, service->mutable_service());
    show(flow.first, flow.second, seconds, service->mutable_flow());
  }
  for (const telemetry::MergedEdge& each : merged.edges) {
    if (!is_wanted(each.source) && !is_wanted(each.destination)) continue;
    v1::EdgeTraffic* edge = response.add_edges();
    show(each.source, edge->mutable_source());
    show(each.destination, edge->mutable_destination());
    edge->set_protocol(each.protocol);
    edge->set_security(security_word(each));
    show(each.window, each.total, seconds, edge->mutable_flow());
  }
  return response;
}

grpc::Status TrafficService::Get(grpc::ServerContext*, const v1::TrafficRequest* request,
                                 v1::TrafficResponse* response) {
  const int64_t window_ms =
      request->has_window() ? TimeUtil::DurationToMilliseconds(request->window()) : kDefaultWindowMs;
  *response = traffic_response(traffic_.now(window_ms), request->namespace_());
  return grpc::Status::OK;
}

}  // namespace weft::control::server
