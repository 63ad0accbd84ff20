#include "proxy/server/config_dump.h"

#include <ctime>
#include <map>

#include "api/text/print.h"
#include "envoy/config/bootstrap/v3/bootstrap.pb.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"
#include "proxy/server/server.h"

namespace weft::server {
namespace {

using nlohmann::json;

constexpr char kAdminType[] = "type.googleapis.com/envoy.admin.v3.";

json as_json(const google::protobuf::Message& message) {
  text::PrintOptions options;
  options.redact_secrets = true;
  return json::parse(text::print_json(message, options), nullptr, false);
}

json with_type(const google::protobuf::Message& message) {
  json result = as_json(message);
  result["@type"] = "type.googleapis.com/" + std::string(message.GetTypeName());
  return result;
}

std::string timestamp(int64_t wall_ns) {
  time_t seconds = static_cast<time_t>(wall_ns / 1'000'000'000);
  struct tm parts;
  gmtime_r(&seconds, &parts);
  char text[40];
  size_t length = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
  snprintf(text + length, sizeof(text) - length, ".%03dZ", static_cast<int>(wall_ns / 1'000'000 % 1000));
  return text;
}

json held_json(const config::Held& held, const char* field) {
  return {{"version_info", held.version}, {field, as_json(held.body)}, {"last_updated", timestamp(held.taken_wall_ns)}};
}

json refused_json(const config::RefusedResource& refused) {
  return {{"failed_configuration", as_json(refused.body)},
          {"last_update_attempt", timestamp(refused.wall_ns)},
          {"details", refused.reason},
          {"version_info", refused.version}};
}

// Marks what came from the disk and its source has not confirmed yet.
void mark_restored(json& each, const LiveConfig& live, const std::string& source, config::xds::Type type,
                   const std::string& name) {
  if (live.kept() == nullptr || !live.kept()->restored(source, type, name)) return;
  each["version_info"] = each["version_info"].get<std::string>() + " (restored from disk)";
}

json clusters_json(const LiveConfig& live, const std::string& source,
                   const envoy::config::bootstrap::v3::Bootstrap& bootstrap) {
  const config::Clusters& clusters = live.clusters();
  json active = json::array(), warming = json::array(), fixed = json::array();
  for (const auto& cluster : bootstrap.static_resources().clusters())
    fixed.push_back({{"cluster", with_type(cluster)}});
  for (const auto& [name, entry] : clusters.entries()) {
    if (entry.is_static) continue;
    for (const auto& [version, list] : {std::pair(entry.active.get(), &active), {entry.warming.get(), &warming}}) {
      if (version == nullptr) continue;
      json each = held_json(version->held, "cluster");
      mark_restored(each, live, source, config::xds::Type::kCluster, name);
      auto refused = clusters.ledger().refused().find(name);
      if (refused != clusters.ledger().refused().end()) each["error_state"] = refused_json(refused->second);
      list->push_back(std::move(each));
    }
  }
  // What was refused and never ran has nothing but its error.
  for (const auto& [name, refused] : clusters.ledger().refused()) {
    if (clusters.contains(name)) continue;
    warming.push_back({{"version_info", refused.version}, {"error_state", refused_json(refused)}});
  }
  return {{"@type", std::string(kAdminType) + "ClustersConfigDump"},
          {"version_info", clusters.ledger().updates().version()},
          {"static_clusters", fixed},
          {"dynamic_active_clusters", active},
          {"dynamic_warming_clusters", warming}};
}

json endpoints_json(const LiveConfig& live) {
  json dynamic = json::array();
  for (const auto& [key, service] : live.clusters().services()) {
    if (!service.assignment) continue;
    json each = held_json(*service.assignment, "endpoint_config");
    mark_restored(each, live, key.first, config::xds::Type::kEndpoints, key.second);
    dynamic.push_back(std::move(each));
  }
  return {{"@type", std::string(kAdminType) + "EndpointsConfigDump"}, {"dynamic_endpoint_configs", dynamic}};
}

json secret_json(const LiveConfig& live, const config::Secrets::Entry& entry) {
  json each = {{"name", entry.name().name}};
  if (entry.held()) {
    each.update(held_json(*entry.held(), "secret"));
    mark_restored(each, live, entry.name().source, config::xds::Type::kSecret, entry.name().name);
  } else {
    each["version_info"] = "uninitialized";
    each["secret"] = {{"@type", std::string(config::xds::type_url(config::xds::Type::kSecret))},
                      {"name", entry.name().name}};
  }
  if (entry.refused() != nullptr) each["error_state"] = refused_json(*entry.refused());
  return each;
}

json secrets_json(const LiveConfig& live, const envoy::config::bootstrap::v3::Bootstrap& bootstrap) {
  json active = json::array(), warming = json::array(), fixed = json::array();
  for (const auto& secret : bootstrap.static_resources().secrets()) {
    fixed.push_back({{"name", secret.name()}, {"secret", with_type(secret)}});
  }
  for (const auto& [name, entry] : live.secrets().entries()) {
    // What the configuration itself holds is shown where it stands.
    if (!name.is_local()) (entry->held() ? active : warming).push_back(secret_json(live, *entry));
  }
  return {{"@type", std::string(kAdminType) + "SecretsConfigDump"},
          {"static_secrets", fixed},
          {"dynamic_active_secrets", active},
          {"dynamic_warming_secrets", warming}};
}

json listeners_json(const LiveConfig& live, const std::string& source,
                    const envoy::config::bootstrap::v3::Bootstrap& bootstrap) {
  const config::Listeners& listeners = live.listeners();
  json fixed = json::array();
  for (const auto& listener : bootstrap.static_resources().listeners()) {
    fixed.push_back({{"listener", with_type(listener)}});
  }
  std::map<std::string, json> dynamic;
  auto add = [&](const std::string& name, const char* state, const config::Listeners::Version* version) {
    if (version == nullptr) return;
    json& each = dynamic[name][state] = held_json(version->held, "listener");
    mark_restored(each, live, source, config::xds::Type::kListener, name);
  };
  for (const auto& [name, entry] : listeners.entries()) {
    if (entry.is_static) continue;
    add(name, "active_state", entry.active.get());
    add(name, "warming_state", entry.warming.get());
  }
  for (const auto& each : listeners.draining()) {
    if (each.whole) add(each.version->listener().name, "draining_state", each.version.get());
  }
  for (const auto& [name, refused] : listeners.ledger().refused()) dynamic[name]["error_state"] = refused_json(refused);
  json list = json::array();
  for (auto& [name, states] : dynamic) {
    states["name"] = name;
    list.push_back(std::move(states));
  }
  return {{"@type", std::string(kAdminType) + "ListenersConfigDump"},
          {"version_info", listeners.ledger().updates().version()},
          {"static_listeners", fixed},
          {"dynamic_listeners", list}};
}

// Route tables that stand in filter chains of the bootstrap.
void add_static_routes(const google::protobuf::RepeatedPtrField<envoy::config::listener::v3::Filter>& filters,
                       json* fixed) {
  envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager manager;
  for (const auto& filter : filters) {
    if (!filter.typed_config().UnpackTo(&manager) || !manager.has_route_config()) continue;
    fixed->push_back({{"route_config", with_type(manager.route_config())}});
  }
}

json routes_json(const LiveConfig& live, const envoy::config::bootstrap::v3::Bootstrap& bootstrap) {
  json fixed = json::array(), dynamic = json::array();
  for (const auto& listener : bootstrap.static_resources().listeners()) {
    for (const auto& chain : listener.filter_chains()) add_static_routes(chain.filters(), &fixed);
    add_static_routes(listener.default_filter_chain().filters(), &fixed);
  }
  for (const auto& [key, entry] : live.routes().entries()) {
    json each = entry.table == nullptr ? json::object() : held_json(entry.held, "route_config");
    if (entry.table != nullptr) mark_restored(each, live, key.first, config::xds::Type::kRoutes, key.second);
    if (entry.refused != nullptr) each["error_state"] = refused_json(*entry.refused);
    if (!each.empty()) dynamic.push_back(std::move(each));
  }
  return {{"@type", std::string(kAdminType) + "RoutesConfigDump"},
          {"static_route_configs", fixed},
          {"dynamic_route_configs", dynamic}};
}

// There is no type of Envoy's for it.
json names_json(const LiveConfig& live, const std::string& source) {
  json dynamic = json::array();
  for (const auto& [name, entry] : live.names().entries()) {
    json each = held_json(entry.held, "name_table");
    mark_restored(each, live, source, config::xds::Type::kName, name);
    dynamic.push_back(std::move(each));
  }
  for (const auto& [name, refused] : live.names().ledger().refused()) {
    dynamic.push_back({{"name", name}, {"error_state", refused_json(refused)}});
  }
  return {{"@type", "type.googleapis.com/weft.v1.NamesConfigDump"},
          {"version_info", live.names().ledger().updates().version()},
          {"dynamic_names", dynamic}};
}

}  // namespace

json config_dump(Server& server, const AdminRequest& request) {
  envoy::config::bootstrap::v3::Bootstrap bootstrap;
  bootstrap.ParseFromString(server.config().bootstrap);
  const LiveConfig& live = server.live();
  json configs = {
      {{"@type", std::string(kAdminType) + "BootstrapConfigDump"}, {"bootstrap", as_json(bootstrap)}},
      clusters_json(live, server.config().clusters_source, bootstrap),
      listeners_json(live, server.config().listeners_source, bootstrap),
      routes_json(live, bootstrap),
      secrets_json(live, bootstrap),
  };
  if (live.names().wanted()) configs.push_back(names_json(live, server.config().clusters_source));
  if (request.parameter("include_eds") != nullptr) configs.push_back(endpoints_json(live));
  return {{"configs", configs}};
}

}  // namespace weft::server
