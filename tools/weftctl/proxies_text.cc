#include "tools/weftctl/proxies_text.h"

#include <google/protobuf/util/time_util.h>

#include <charconv>
#include <map>
#include <vector>

#include "absl/strings/str_join.h"
#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/config/endpoint/v3/endpoint.pb.h"
#include "envoy/config/listener/v3/listener.pb.h"
#include "envoy/config/route/v3/route.pb.h"
#include "envoy/extensions/transport_sockets/tls/v3/secret.pb.h"
#include "tools/weftctl/text.h"
#include "weft/v1/name_table.pb.h"

namespace weft::weftctl {

namespace {

using google::protobuf::util::TimeUtil;
using Rows = std::vector<std::vector<std::string>>;

constexpr char kNone[] = "-";

std::string or_none(const std::string& text) { return text.empty() ? kNone : text; }

std::string state_word(v1::SyncState state) {
  switch (state) {
    case v1::SYNCED:
      return "SYNCED";
    case v1::WARMING:
      return "WARMING";
    case v1::STALE:
      return "STALE";
    case v1::NOT_SENT:
      return "NOT SENT";
    case v1::REFUSED:
      return "REFUSED";
    case v1::MISSING:
      return "MISSING";
    default:
      return "UNKNOWN";
  }
}

std::string refusal_line(const v1::ProxyRefusal& refusal) {
  return refusal.type() + " \"" + refusal.name() + "\" version " + refusal.version() + " was refused at " +
         TimeUtil::ToString(refusal.time()) + ": " + refusal.reason() + "\n";
}

// Host and port.
std::pair<std::string, std::string> address_of(const envoy::config::core::v3::Address& address) {
  if (address.has_pipe()) return {address.pipe().path(), kNone};
  const auto& socket = address.socket_address();
  return {or_none(socket.address()), socket.has_port_value() ? std::to_string(socket.port_value()) : kNone};
}

void add_listener(const v1::ProxyResource& resource, const std::string& state, Rows* rows) {
  envoy::config::listener::v3::Listener listener;
  resource.content().UnpackTo(&listener);
  const auto [host, port] = address_of(listener.address());
  std::string filters;
  for (const auto& chain : listener.filter_chains()) {
    for (const auto& filter : chain.filters()) filters += (filters.empty() ? "" : ",") + filter.name();
  }
  if (listener.has_api_listener()) filters = "api listener";
  rows->push_back({resource.name(), listener.has_address() ? host : kNone, listener.has_address() ? port : kNone,
                   or_none(filters), or_none(resource.applied_version()), state});
}

std::string match_words(const envoy::config::route::v3::RouteMatch& match) {
  std::string words;
  if (match.has_prefix()) words = match.prefix() + "*";
  if (match.has_path()) words = match.path();
  if (match.has_path_separated_prefix()) words = match.path_separated_prefix() + "/*";
  if (match.has_safe_regex()) words = "~" + match.safe_regex().regex();
  for (const auto& header : match.headers()) words += " " + header.name();
  for (const auto& parameter : match.query_parameters()) words += " ?" + parameter.name();
  return or_none(words);
}

std::string target_words(const envoy::config::route::v3::Route& route) {
  if (route.has_redirect()) return "redirect";
  if (route.has_direct_response()) return "answer " + std::to_string(route.direct_response().status());
  if (!route.route().cluster().empty()) return route.route().cluster();
  std::string words;
  for (const auto& each : route.route().weighted_clusters().clusters()) {
    words += (words.empty() ? "" : ", ") + each.name() + "=" + std::to_string(each.weight().value());
  }
  return or_none(words);
}

void add_route(const v1::ProxyResource& resource, const std::string& state, Rows* rows) {
  envoy::config::route::v3::RouteConfiguration config;
  resource.content().UnpackTo(&config);
  const std::string version = or_none(resource.applied_version());
  bool any = false;
  for (const auto& host : config.virtual_hosts()) {
    const std::string domain = host.domains().empty() ? kNone : host.domains(0);
    for (const auto& route : host.routes()) {
      any = true;
      rows->push_back({resource.name(), domain, match_words(route.match()), target_words(route), version, state});
    }
  }
  if (!any) rows->push_back({resource.name(), kNone, kNone, kNone, version, state});
}

void add_cluster(const v1::ProxyResource& resource, const std::string& state, Rows* rows) {
  envoy::config::cluster::v3::Cluster cluster;
  resource.content().UnpackTo(&cluster);
  const bool is_known = resource.has_content();
  rows->push_back({resource.name(),
                   is_known ? envoy::config::cluster::v3::Cluster::DiscoveryType_Name(cluster.type()) : kNone,
                   is_known ? envoy::config::cluster::v3::Cluster::LbPolicy_Name(cluster.lb_policy()) : kNone,
                   or_none(resource.applied_version()), state});
}

void add_endpoint(const v1::ProxyResource& resource, const std::string& state, Rows* rows) {
  envoy::config::endpoint::v3::ClusterLoadAssignment assignment;
  resource.content().UnpackTo(&assignment);
  const std::string version = or_none(resource.applied_version());
  bool any = false;
  for (const auto& locality : assignment.endpoints()) {
    for (const auto& each : locality.lb_endpoints()) {
      any = true;
      const auto [host, port] = address_of(each.endpoint().address());
      const std::string health = envoy::config::core::v3::HealthStatus_Name(each.health_status());
      const uint32_t weight = each.has_load_balancing_weight() ? each.load_balancing_weight().value() : 1;
      rows->push_back({resource.name(), host, port, health, std::to_string(weight), version, state});
    }
  }
  if (!any) rows->push_back({resource.name(), kNone, kNone, kNone, kNone, version, state});
}

void add_secret(const v1::ProxyResource& resource, const std::string& state, Rows* rows) {
  envoy::extensions::transport_sockets::tls::v3::Secret secret;
  resource.content().UnpackTo(&secret);
  const char* kind = secret.has_tls_certificate()      ? "certificate"
                     : secret.has_validation_context() ? "trusted certificates"
                                                       : "other";
  rows->push_back({resource.name(), resource.has_content() ? kind : kNone, or_none(resource.applied_version()), state});
}

void add_names(const v1::ProxyResource& resource, const std::string& state, Rows* rows) {
  v1::NameTable names;
  resource.content().UnpackTo(&names);
  const std::string addresses = or_none(absl::StrJoin(names.addresses(), ","));
  const std::string version = or_none(resource.applied_version());
  for (const std::string& host : names.hosts()) rows->push_back({resource.name(), host, addresses, version, state});
  if (names.hosts().empty()) rows->push_back({resource.name(), kNone, addresses, version, state});
}

struct Columns {
  std::vector<std::string> heading;
  void (*add)(const v1::ProxyResource& resource, const std::string& state, Rows* rows);
};

const Columns& columns_of(const std::string& type) {
  static const auto* const kColumns = new std::map<std::string, Columns>{
      {"listener", {{"NAME", "ADDRESS", "PORT", "FILTERS", "VERSION", "STATE"}, add_listener}},
      {"route", {{"NAME", "HOST", "MATCH", "CLUSTER", "VERSION", "STATE"}, add_route}},
      {"cluster", {{"NAME", "TYPE", "BALANCER", "VERSION", "STATE"}, add_cluster}},
      {"endpoint", {{"CLUSTER", "ADDRESS", "PORT", "HEALTH", "WEIGHT", "VERSION", "STATE"}, add_endpoint}},
      {"secret", {{"NAME", "KIND", "VERSION", "STATE"}, add_secret}},
      {"name", {{"NAME", "HOST", "ADDRESSES", "VERSION", "STATE"}, add_names}},
  };
  return kColumns->at(type);
}

// "applied", or what it waits for.
std::string proxies(uint64_t count) { return std::to_string(count) + (count == 1 ? " proxy" : " proxies"); }

}  // namespace

std::string status_table(const v1::ProxyStatusResponse& response) {
  if (response.proxies().empty()) return "no proxy is connected\n";
  Rows rows = {{"PROXY", "NAMESPACE", "SERVICE", "CONNECTED SINCE", "CLUSTERS", "ENDPOINTS", "LISTENERS", "ROUTES",
                "SECRETS", "NAMES", "REVISION"}};
  std::string refusals;
  for (const v1::ProxyState& proxy : response.proxies()) {
    std::map<std::string, std::string> states;
    for (const auto& type : proxy.types()) states[type.type()] = state_word(type.state());
    // Who does not report is known only by what it acknowledges.
    std::string revision = proxy.applied_revision() == 0 ? kNone : std::to_string(proxy.applied_revision());
    if (!proxy.reports()) revision += " (acknowledged)";
    if (proxy.has_last_refusal()) revision += " (but for what it refused)";
    rows.push_back({proxy.id(), or_none(proxy.namespace_()), or_none(proxy.service()),
                    TimeUtil::ToString(proxy.connected()), or_none(states["cluster"]), or_none(states["endpoint"]),
                    or_none(states["listener"]), or_none(states["route"]), or_none(states["secret"]),
                    or_none(states["name"]), revision});
    if (proxy.has_last_refusal()) refusals += proxy.id() + ": " + refusal_line(proxy.last_refusal());
  }
  return table(rows) + refusals;
}

std::string config_table(const std::string& type, const v1::ProxyConfigResponse& response) {
  if (response.resources().empty()) return "nothing\n";
  const Columns& columns = columns_of(type);
  Rows rows = {columns.heading};
  std::string refusals;
  for (const v1::ProxyResource& resource : response.resources()) {
    columns.add(resource, state_word(resource.state()), &rows);
    if (resource.has_refusal()) refusals += refusal_line(resource.refusal());
  }
  return table(rows) + refusals;
}

std::string progress_line(const v1::RolloutProgress& progress) {
  return std::to_string(progress.applied()) + " of " + proxies(progress.concerned()) + " have applied revision " +
         std::to_string(progress.revision());
}

std::string progress_bar(const v1::RolloutProgress& progress, size_t width) {
  const uint64_t ended = progress.applied() + progress.refused();
  const size_t full = progress.concerned() == 0 ? 0 : width * ended / progress.concerned();
  return "[" + std::string(full, '#') + std::string(width - full, '.') + "] " + progress_line(progress);
}

std::string rollout_end(const v1::RolloutProgress& progress) {
  if (progress.state() == v1::RolloutProgress::APPLIED) {
    if (progress.concerned() == 0) return "no connected proxy is concerned\n";
    std::string end = "applied by " + proxies(progress.applied());
    if (progress.acknowledged_only() != 0) {
      end += ", of which " + std::to_string(progress.acknowledged_only()) + " only acknowledged";
    }
    return end + "\n";
  }
  std::string end = "not applied everywhere: " + progress_line(progress) + "\n";
  for (const auto& proxy : progress.refusals()) end += proxy.id() + " refused it: " + proxy.reason() + "\n";
  for (const auto& proxy : progress.pending()) end += proxy.id() + " has not applied it: " + proxy.reason() + "\n";
  const uint64_t told = static_cast<uint64_t>(progress.refusals_size() + progress.pending_size());
  const uint64_t owed = progress.concerned() - progress.applied();
  if (owed > told) end += "and " + std::to_string(owed - told) + " more\n";
  return end;
}

std::optional<int64_t> parse_duration_ms(std::string_view text) {
  int64_t number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < 0 || number > 1'000'000'000) return std::nullopt;
  const std::string_view unit(rest, static_cast<size_t>(text.data() + text.size() - rest));
  if (unit == "ms") return number;
  if (unit == "s") return number * 1000;
  if (unit == "m") return number * 60'000;
  if (unit == "h") return number * 3'600'000;
  return std::nullopt;
}

}  // namespace weft::weftctl
