#include "tests/simulation/references.h"

#include <algorithm>

#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/config/listener/v3/listener.pb.h"
#include "envoy/config/route/v3/route.pb.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"
#include "proxy/base/hash.h"

namespace weft::simulation {
namespace {

using config::xds::Type;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;

void add_routes_of(const google::protobuf::Any& filter, std::vector<std::string>& names) {
  HttpConnectionManager manager;
  if (filter.UnpackTo(&manager) && manager.has_rds()) names.push_back(manager.rds().route_config_name());
}

std::vector<std::string> of_listener(const google::protobuf::Any& body) {
  envoy::config::listener::v3::Listener listener;
  std::vector<std::string> names;
  if (!body.UnpackTo(&listener)) return names;
  for (const auto& chain : listener.filter_chains()) {
    for (const auto& filter : chain.filters()) add_routes_of(filter.typed_config(), names);
  }
  if (listener.has_api_listener()) add_routes_of(listener.api_listener().api_listener(), names);
  return names;
}

std::vector<std::string> of_routes(const google::protobuf::Any& body) {
  envoy::config::route::v3::RouteConfiguration routes;
  std::vector<std::string> names;
  if (!body.UnpackTo(&routes)) return names;
  for (const auto& host : routes.virtual_hosts()) {
    for (const auto& route : host.routes()) {
      if (!route.has_route()) continue;
      if (!route.route().cluster().empty()) names.push_back(route.route().cluster());
      for (const auto& each : route.route().weighted_clusters().clusters()) names.push_back(each.name());
      for (const auto& mirror : route.route().request_mirror_policies()) names.push_back(mirror.cluster());
    }
  }
  return names;
}

std::vector<std::string> of_cluster(const google::protobuf::Any& body) {
  envoy::config::cluster::v3::Cluster cluster;
  if (!body.UnpackTo(&cluster) || cluster.type() != envoy::config::cluster::v3::Cluster::EDS) return {};
  const std::string& service = cluster.eds_cluster_config().service_name();
  return {service.empty() ? cluster.name() : service};
}

}  // namespace

uint64_t version_of(const google::protobuf::Any& body) {
  return std::max<uint64_t>(1, base::xxhash64(body.SerializeAsString()));
}

const std::vector<std::string>& References::of(Type type, uint64_t version, const google::protobuf::Any& body) {
  const auto known = known_.find(version);
  if (known != known_.end()) return known->second;
  std::vector<std::string> names;
  if (type == Type::kCluster) names = of_cluster(body);
  if (type == Type::kListener) names = of_listener(body);
  if (type == Type::kRoutes) names = of_routes(body);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return known_.emplace(version, std::move(names)).first->second;
}

}  // namespace weft::simulation
