#include "control-plane/server/status_pages.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"

namespace weft::control::server {

namespace {

void add_metric(const char* name, const char* kind, const char* help, std::string& out) {
  absl::StrAppend(&out, "# HELP ", name, " ", help, "\n# TYPE ", name, " ", kind, "\n");
}

// Milliseconds as seconds, exactly.
std::string seconds(int64_t ms) {
  std::string fraction = absl::StrCat(absl::Dec(ms % 1000, absl::kZeroPad3));
  return absl::StrCat(ms / 1000, ".", fraction);
}

void add_histogram(const char* name, const char* help, const xds::Histogram& histogram, std::string& out) {
  add_metric(name, "histogram", help, out);
  for (size_t i = 0; i < xds::Histogram::kBoundsMs.size(); ++i) {
    absl::StrAppend(&out, name, "_bucket{le=\"", seconds(xds::Histogram::kBoundsMs[i]), "\"} ", histogram.cumulative(i),
                    "\n");
  }
  absl::StrAppend(&out, name, "_bucket{le=\"+Inf\"} ", histogram.count(), "\n", name, "_sum ",
                  seconds(histogram.sum_ms()), "\n", name, "_count ", histogram.count(), "\n");
}

void add_refused_streams(const Admission& admission, std::string& out) {
  add_metric("weft_control_refused_streams_total", "counter",
             "Streams and requests for certificates that were not let in, by what was wrong.", out);
  for (const auto& [reason, count] : admission.refused()) {
    absl::StrAppend(&out, "weft_control_refused_streams_total{reason=\"", std::string(reason), "\"} ", count, "\n");
  }
}

void add_authority(const ca::Authority& authority, std::string& out) {
  const ca::Authority::Counts counts = authority.counts();
  add_metric("weft_control_certificates_issued_total", "counter", "Certificates that were signed.", out);
  absl::StrAppend(&out, "weft_control_certificates_issued_total ", counts.issued, "\n");
  add_metric("weft_control_certificates_unlogged_total", "counter",
             "Those of them that are not in the log, which could not be written.", out);
  absl::StrAppend(&out, "weft_control_certificates_unlogged_total ", counts.unlogged, "\n");
  add_metric("weft_control_ca_not_after_seconds", "gauge",
             "When what new certificates hang from ends, in seconds since the epoch.", out);
  absl::StrAppend(&out, "weft_control_ca_not_after_seconds ", counts.chain_not_after_ms / 1000, "\n");
}

std::string metrics(const xds::Hub& hub, const Mesh& mesh, const Admission* admission, const ca::Authority* authority) {
  std::string out;
  add_metric("weft_control_streams", "gauge", "Discovery streams that are open.", out);
  absl::StrAppend(&out, "weft_control_streams ", hub.session_count(), "\n");
  add_metric("weft_control_reports", "gauge", "Streams on which proxies report what they run.", out);
  absl::StrAppend(&out, "weft_control_reports ", hub.report_count(), "\n");
  add_metric("weft_control_open_commits", "gauge", "Commits that some connected node has not applied yet.", out);
  absl::StrAppend(&out, "weft_control_open_commits ", hub.rollouts().open_count(), "\n");
  add_histogram("weft_control_commit_to_acknowledged_seconds",
                "Of each push to each node, from the oldest commit in it until all of it is acknowledged.",
                hub.rollouts().to_acknowledged(), out);
  add_histogram("weft_control_commit_to_applied_seconds",
                "The same until the node runs it; of a node that does not report, until it is acknowledged.",
                hub.rollouts().to_applied(), out);
  add_metric("weft_control_views", "gauge", "Kinds of nodes for which resources are kept.", out);
  absl::StrAppend(&out, "weft_control_views ", mesh.view_count(), "\n");
  add_metric("weft_control_services", "gauge", "Services of the mesh.", out);
  absl::StrAppend(&out, "weft_control_services ", mesh.model().services.size(), "\n");
  add_metric("weft_control_revision", "gauge", "The newest revision of the model.", out);
  absl::StrAppend(&out, "weft_control_revision ", mesh.model().revision, "\n");
  add_metric("weft_control_responses_total", "counter", "Responses to nodes, and what these said of them.", out);
  for (const snapshot::Type type : snapshot::kTypes) {
    const xds::Counts& counts = hub.totals(type);
    const auto add = [&](const char* state, uint64_t count) {
      absl::StrAppend(&out, "weft_control_responses_total{type=\"", std::string(snapshot::type_name(type)),
                      "\",state=\"", state, "\"} ", count, "\n");
    };
    add("sent", counts.sent);
    add("acknowledged", counts.acknowledged);
    add("refused", counts.refused);
  }
  add_metric("weft_control_refused_resources", "gauge", "Resources that connected nodes refuse as they are now.", out);
  for (const snapshot::Type type : snapshot::kTypes) {
    size_t refused = 0;
    for (const auto& [id, session] : hub.sessions()) {
      if (session.stream != nullptr) refused += session.stream->subscription(type).refusals().size();
    }
    absl::StrAppend(&out, "weft_control_refused_resources{type=\"", std::string(snapshot::type_name(type)), "\"} ",
                    refused, "\n");
  }
  if (admission != nullptr) add_refused_streams(*admission, out);
  if (authority != nullptr) add_authority(*authority, out);
  return out;
}

nlohmann::ordered_json type_status(const xds::TypeStatus& status) {
  nlohmann::ordered_json refusals = nlohmann::ordered_json::array();
  for (const auto& [name, refusal] : status.refusals) {
    refusals.push_back({{"name", name},
                        {"version", snapshot::version_text(refusal.version)},
                        {"reason", refusal.reason},
                        {"atMs", refusal.wall_ms}});
  }
  return {{"sent", status.counts.sent},
          {"acknowledged", status.counts.acknowledged},
          {"refused", status.counts.refused},
          {"held", status.held},
          {"due", status.due},
          {"inFlight", status.in_flight},
          {"refusals", refusals}};
}

std::string nodes(const xds::Hub& hub) {
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const xds::NodeStatus& node : hub.status()) {
    nlohmann::ordered_json types = nlohmann::ordered_json::object();
    for (const xds::TypeStatus& type : node.types)
      types[std::string(snapshot::type_name(type.type))] = type_status(type);
    all.push_back({{"id", node.id},
                   {"cluster", node.cluster},
                   {"peer", node.peer},
                   {"form", node.form == xds::Form::kDelta ? "delta" : "state of the world"},
                   {"connectedMs", node.connected_wall_ms},
                   {"settled", node.is_settled},
                   {"reports", node.source != xds::Progress::Source::kAcknowledgement},
                   {"appliedRevision", node.applied_revision},
                   {"types", types}});
  }
  // A node's words need not be UTF-8.
  return all.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace

std::optional<Page> status_page(const std::string& path, const xds::Hub& hub, const Mesh& mesh,
                                const Admission* admission, const ca::Authority* authority) {
  if (path == "/healthz") return Page{"text/plain", "ok\n"};
  if (path == "/metrics") return Page{"text/plain; version=0.0.4", metrics(hub, mesh, admission, authority)};
  if (path == "/nodes") return Page{"application/json", nodes(hub)};
  return std::nullopt;
}

}  // namespace weft::control::server
