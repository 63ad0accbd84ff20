#include "proxy/server/admin_pages.h"

#include <malloc.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "proxy/config/compile/shared_parts.h"
#include "proxy/server/config_dump.h"
#include "proxy/server/hop_page.h"
#include "proxy/server/server.h"
#include "proxy/server/stats_page.h"

namespace weft::server {
namespace {

using nlohmann::json;

AdminAnswer as_json(const json& value) { return {200, "application/json", value.dump(1) + "\n"}; }

std::string state_name(Server::State state) {
  switch (state) {
    case Server::State::kStarting:
      return "INITIALIZING";
    case Server::State::kLive:
      return "LIVE";
    case Server::State::kDraining:
      return "DRAINING";
  }
  return {};
}

json address_json(const transport::Address& address) {
  if (address.family == transport::Address::Family::kUnix) return {{"pipe", {{"path", address.path}}}};
  return {{"socket_address", {{"address", address.ip_text()}, {"port_value", address.port}}}};
}

bool asks_json(const AdminRequest& request) {
  const std::string* format = request.parameter("format");
  return format != nullptr && *format == "json";
}

AdminAnswer ready(Server& server, const AdminRequest&) {
  bool live = server.state() == Server::State::kLive;
  std::string awaited = server.awaited();
  std::string text = state_name(server.state()) + "\n" + (awaited.empty() ? "" : "waiting for " + awaited + "\n");
  return {static_cast<uint16_t>(live ? 200 : 503), "text/plain; charset=UTF-8", std::move(text)};
}

// By name.
std::vector<cluster::ClusterPtr> running_clusters(Server& server) {
  std::vector<cluster::ClusterPtr> running;
  for (const auto& [name, entry] : server.live().clusters().entries()) {
    if (entry.active != nullptr) running.push_back(entry.active->cluster);
  }
  return running;
}

// Whether each breaker is open, and what it has left where the configuration wants to know that.
void add_breakers(cluster::Cluster& cluster, std::vector<GaugeNow>* gauges) {
  for (cluster::Priority priority : {cluster::Priority::kDefault, cluster::Priority::kHigh}) {
    const cluster::Breakers& breakers = cluster.breakers(priority);
    const cluster::BreakerLimits& limits = breakers.limits();
    struct {
      const char *open, *remaining;
      uint32_t used, limit;
    } all[] = {{"cx_open", "remaining_cx", breakers.connections(), limits.max_connections},
               {"rq_pending_open", "remaining_pending", breakers.pending(), limits.max_pending_requests},
               {"rq_open", "remaining_rq", breakers.requests(), limits.max_requests},
               {"rq_retry_open", "remaining_retries", breakers.retries(), limits.max_retries}};
    std::string prefix =
        priority == cluster::Priority::kDefault ? "circuit_breakers.default." : "circuit_breakers.high.";
    const observe::FamilyBase* family = cluster.stats_family().get();
    for (const auto& each : all) {
      gauges->push_back({prefix + each.open, each.used >= each.limit ? 1 : 0, family});
      if (!limits.track_remaining) continue;
      gauges->push_back({prefix + each.remaining, each.limit - std::min(each.used, each.limit), family});
    }
  }
}

AdminAnswer stats(Server& server, const AdminRequest& request) {
  std::vector<cluster::ClusterPtr> clusters = running_clusters(server);
  for (const auto& cluster : clusters) {
    cluster::HostSetPtr hosts = cluster->hosts();
    int64_t healthy = 0, weight = 0;
    for (const auto& priority : hosts->priorities) {
      for (const auto& host : priority) {
        if (host->available()) ++healthy;
        weight = std::max<int64_t>(weight, host->weight());
      }
    }
    auto& own = cluster->stats(0);
    own.membership_total.set(static_cast<int64_t>(hosts->size()));
    own.membership_healthy.set(healthy);
    own.max_host_weight.set(weight);
  }
  struct mallinfo2 memory = mallinfo2();
  std::vector<GaugeNow> gauges = {
      {"server.uptime", server.uptime_s()},
      {"server.live", server.state() == Server::State::kLive ? 1 : 0},
      {"server.state", static_cast<int64_t>(server.state() == Server::State::kDraining ? 1 : 0)},
      {"server.concurrency", server.workers()},
      {"server.total_connections", static_cast<int64_t>(server.open_connections())},
      {"server.memory_allocated", static_cast<int64_t>(memory.uordblks + memory.hblkhd)},
      {"server.memory_heap_size", static_cast<int64_t>(memory.arena + memory.hblkhd)},
  };
  for (const auto& cluster : clusters) add_breakers(*cluster, &gauges);
  StatsFilter filter;
  filter.rules = server.config().stats_rules.get();
  if (const std::string* pattern = request.parameter("filter")) filter.pattern = *pattern;
  filter.used_only = request.parameter("usedonly") != nullptr;
  std::vector<const observe::FamilyBase*> families = server.live().families();
  const std::string* format = request.parameter("format");
  if (request.path == "/stats/prometheus" || (format != nullptr && *format == "prometheus")) {
    std::string text = stats_prometheus(families, gauges, filter);
    const auto& hops = server.config().parts->hop_metrics;
    if (hops != nullptr) text += hops_prometheus(*hops, name_filter(filter));
    return {200, "text/plain; version=0.0.4; charset=UTF-8", std::move(text)};
  }
  std::vector<TextNow> texts;
  for (const config::UpdateCount* each : server.live().update_counts()) {
    texts.push_back({each->family().prefix() + "version_text", each->version()});
  }
  if (asks_json(request)) return {200, "application/json", stats_json(families, gauges, texts, filter)};
  return {200, "text/plain; charset=UTF-8", stats_text(families, gauges, texts, filter)};
}

AdminAnswer dump(Server& server, const AdminRequest& request) { return as_json(config_dump(server, request)); }

std::string health_text(const cluster::Host& host) {
  std::string text;
  auto add = [&](uint32_t flag, std::string_view name) {
    if ((host.flags() & flag) != 0) text += "/" + std::string(name);
  };
  add(cluster::Host::kFailedActiveCheck, "failed_active_hc");
  add(cluster::Host::kEjectedAsOutlier, "failed_outlier_check");
  add(cluster::Host::kUnhealthyByConfig, "failed_eds_health");
  add(cluster::Host::kPendingActiveCheck, "pending_active_hc");
  add(cluster::Host::kDegraded, "degraded_active_hc");
  return text.empty() ? "healthy" : text;
}

std::vector<std::pair<std::string, uint64_t>> host_numbers(const cluster::Host& host) {
  return {{"cx_active", host.active_connections.load()}, {"cx_connect_fail", host.connect_failures.load()},
          {"cx_total", host.total_connections.load()},   {"rq_active", host.active_requests.load()},
          {"rq_error", host.failed_requests.load()},     {"rq_success", host.successful_requests.load()},
          {"rq_timeout", host.timeouts.load()},          {"rq_total", host.total_requests.load()}};
}

AdminAnswer clusters(Server& server, const AdminRequest& request) {
  std::string text;
  json statuses = json::array();
  for (const auto& cluster : running_clusters(server)) {
    const std::string& name = cluster->name();
    bool added = !server.live().clusters().entries().at(name).is_static;
    json status = {{"name", name}, {"added_via_api", added}, {"host_statuses", json::array()}};
    for (auto priority : {cluster::Priority::kDefault, cluster::Priority::kHigh}) {
      const auto& limits = cluster->breakers(priority).limits();
      std::string head =
          name + (priority == cluster::Priority::kDefault ? "::default_priority::" : "::high_priority::");
      text += head + "max_connections::" + std::to_string(limits.max_connections) + "\n";
      text += head + "max_pending_requests::" + std::to_string(limits.max_pending_requests) + "\n";
      text += head + "max_requests::" + std::to_string(limits.max_requests) + "\n";
      text += head + "max_retries::" + std::to_string(limits.max_retries) + "\n";
    }
    text += name + (added ? "::added_via_api::true\n" : "::added_via_api::false\n");
    cluster::HostSetPtr hosts = cluster->hosts();
    for (size_t priority = 0; priority < hosts->priorities.size(); ++priority) {
      for (const auto& host : hosts->priorities[priority]) {
        std::string head = name + "::" + host->address_text() + "::";
        json numbers = json::array();
        for (const auto& [key, value] : host_numbers(*host)) {
          text += head + key + "::" + std::to_string(value) + "\n";
          numbers.push_back({{"name", key}, {"value", std::to_string(value)}});
        }
        text += head + "hostname::" + host->hostname() + "\n";
        text += head + "health_flags::" + health_text(*host) + "\n";
        text += head + "weight::" + std::to_string(host->weight()) + "\n";
        text += head + "priority::" + std::to_string(priority) + "\n";
        bool eds_healthy = (host->flags() & cluster::Host::kUnhealthyByConfig) == 0;
        json health = {{"eds_health_status", eds_healthy ? "HEALTHY" : "UNHEALTHY"}};
        if ((host->flags() & cluster::Host::kFailedActiveCheck) != 0) health["failed_active_health_check"] = true;
        if ((host->flags() & cluster::Host::kEjectedAsOutlier) != 0) health["failed_outlier_check"] = true;
        status["host_statuses"].push_back({{"address", address_json(host->address())},
                                           {"hostname", host->hostname()},
                                           {"stats", numbers},
                                           {"health_status", health},
                                           {"weight", host->weight()},
                                           {"priority", priority}});
      }
    }
    statuses.push_back(status);
  }
  if (asks_json(request)) return as_json({{"cluster_statuses", statuses}});
  return {200, "text/plain; charset=UTF-8", text};
}

AdminAnswer listeners(Server& server, const AdminRequest& request) {
  std::string text;
  json statuses = json::array();
  for (const auto& [name, entry] : server.live().listeners().entries()) {
    if (entry.active == nullptr) continue;
    for (const auto& address : entry.active->addresses) {
      text += name + "::" + address->bound().to_string() + "\n";
      statuses.push_back({{"name", name}, {"local_address", address_json(address->bound())}});
    }
  }
  if (asks_json(request)) return as_json({{"listener_statuses", statuses}});
  return {200, "text/plain; charset=UTF-8", text};
}

json certificate_json(const transport::CertificateInfo& info, int64_t now_s) {
  json names = json::array();
  for (const auto& name : info.dns_sans) names.push_back({{"dns", name}});
  for (const auto& name : info.uri_sans) names.push_back({{"uri", name}});
  for (const auto& name : info.ip_sans) names.push_back({{"ip_address", name}});
  auto time_text = [](int64_t seconds) {
    time_t time = seconds;
    struct tm parts;
    gmtime_r(&time, &parts);
    char text[32];
    return std::string(text, strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts));
  };
  return {{"path", info.path},
          {"serial_number", info.serial},
          {"subject_alt_names", names},
          {"days_until_expiration", std::to_string(std::max<int64_t>((info.not_after_s - now_s) / 86400, 0))},
          {"valid_from", time_text(info.not_before_s)},
          {"expiration_time", time_text(info.not_after_s)}};
}

AdminAnswer certs(Server& server, const AdminRequest&) {
  int64_t now_s = server.start_wall_s() + server.uptime_s();
  json certificates = json::array();
  auto add = [&](const std::vector<transport::CertificateInfo>& infos) {
    json entry = {{"ca_cert", json::array()}, {"cert_chain", json::array()}};
    for (const auto& info : infos)
      entry[info.is_ca ? "ca_cert" : "cert_chain"].push_back(certificate_json(info, now_s));
    if (!infos.empty()) certificates.push_back(entry);
  };
  for (const auto& [name, entry] : server.live().listeners().entries()) {
    if (entry.active == nullptr) continue;
    config::each_chain(entry.active->listener(), [&](const auto& chain) {
      if (chain->tls != nullptr) add(chain->tls->certificates());
    });
  }
  for (const auto& cluster : running_clusters(server)) {
    for (const auto& connector : cluster->connectors()) add(connector->certificates());
  }
  return as_json({{"certificates", certificates}});
}

AdminAnswer server_info(Server& server, const AdminRequest&) {
  const auto& config = server.config();
  return as_json({{"version", version_text()},
                  {"state", state_name(server.state())},
                  {"uptime_current_epoch", std::to_string(server.uptime_s()) + "s"},
                  {"uptime_all_epochs", std::to_string(server.uptime_s()) + "s"},
                  {"node", {{"id", config.node_id}, {"cluster", config.node_cluster}}},
                  {"command_line_options",
                   {{"config_path", server.options().config_path},
                    {"concurrency", server.workers()},
                    {"mode", "Serve"},
                    {"log_level", base::log_level_name(base::log_level())},
                    {"drain_time", std::to_string(server.options().drain_time_s) + "s"}}}});
}

AdminAnswer memory(Server&, const AdminRequest&) {
  struct mallinfo2 info = mallinfo2();
  std::ifstream statm("/proc/self/statm");
  int64_t pages = 0, resident = 0;
  statm >> pages >> resident;
  return as_json({{"allocated", std::to_string(info.uordblks + info.hblkhd)},
                  {"heap_size", std::to_string(info.arena + info.hblkhd)},
                  {"total_physical_bytes", std::to_string(resident * 4096)},
                  {"pageheap_unmapped", std::to_string(info.keepcost)},
                  {"pageheap_free", std::to_string(info.fordblks)}});
}

AdminAnswer logging(Server&, const AdminRequest& request) {
  if (const std::string* name = request.parameter("level")) {
    base::LogLevel level;
    if (!base::parse_log_level(*name, &level)) {
      return {400, "text/plain; charset=UTF-8",
              "\"" + *name + "\" is none of trace, debug, info, warning, error, critical, off\n"};
    }
    base::set_log_level(level);
  }
  return {200, "text/plain; charset=UTF-8",
          "active level: " + std::string(base::log_level_name(base::log_level())) + "\n"};
}

AdminAnswer drain_listeners(Server& server, const AdminRequest&) {
  server.drain_listeners();
  return {200, "text/plain; charset=UTF-8", "OK\n"};
}

AdminAnswer quit(Server& server, const AdminRequest&) {
  server.shut_down();
  return {200, "text/plain; charset=UTF-8", "OK\n"};
}

struct Page {
  std::string_view path;
  std::string_view about;
  bool changes;  // Needs POST.
  AdminAnswer (*make)(Server&, const AdminRequest&);
};

constexpr Page kPages[] = {
    {"/certs", "certificates in use and their expiry", false, certs},
    {"/clusters", "endpoints, health and limits (?format=json)", false, clusters},
    {"/config_dump", "the configuration in force", false, dump},
    {"/drain_listeners", "stop listening; open connections go on (POST)", true, drain_listeners},
    {"/listeners", "addresses listened on (?format=json)", false, listeners},
    {"/logging", "the log level (POST with ?level=debug changes it)", true, logging},
    {"/memory", "memory in use", false, memory},
    {"/quitquitquit", "drain and end (POST)", true, quit},
    {"/ready", "200 while live, 503 while starting or draining", false, ready},
    {"/server_info", "version, state, options", false, server_info},
    {"/stats", "metrics (?filter=REGEX, ?usedonly, ?format=json)", false, stats},
    {"/stats/prometheus", "metrics for Prometheus", false, stats},
};

AdminAnswer index_page() {
  std::string body =
      "<!doctype html><html lang=en><meta charset=utf-8><title>weft-proxy</title><h1>weft-proxy</h1><ul>";
  for (const Page& page : kPages) {
    std::string path(page.path);
    body += page.changes ? "<li>" + path : "<li><a href=\"" + path.substr(1) + "\">" + path + "</a>";
    body += " " + std::string(page.about);
  }
  return {200, "text/html; charset=UTF-8", body + "</ul></html>\n"};
}

}  // namespace

AdminAnswer metrics_page(Server& server, const AdminRequest& request) {
  constexpr std::string_view kPath = "/stats/prometheus";
  if (request.path == kPath) return stats(server, request);
  return {404, "text/plain; charset=UTF-8", "here is " + std::string(kPath) + " alone\n"};
}

AdminAnswer admin_page(Server& server, const AdminRequest& request) {
  if (request.path == "/" || request.path == "/help") return index_page();
  for (const Page& page : kPages) {
    if (page.path != request.path) continue;
    if (page.changes && request.method != "POST") {
      return {405, "text/plain; charset=UTF-8", request.path + " changes something: it takes POST\n"};
    }
    return page.make(server, request);
  }
  return {404, "text/plain; charset=UTF-8", "there is no page " + request.path + "; / lists those there are\n"};
}

}  // namespace weft::server
