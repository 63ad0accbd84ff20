#include "proxy/config/xds/type.h"

namespace weft::config::xds {
namespace {

// By Type. The order is that in which a stream asks for them first.
constexpr TypeInfo kInfos[kTypes] = {
    {"type.googleapis.com/envoy.config.cluster.v3.Cluster", "cluster",
     "/envoy.service.cluster.v3.ClusterDiscoveryService/StreamClusters",
     "/envoy.service.cluster.v3.ClusterDiscoveryService/DeltaClusters", true},
    {"type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment", "endpoints",
     "/envoy.service.endpoint.v3.EndpointDiscoveryService/StreamEndpoints",
     "/envoy.service.endpoint.v3.EndpointDiscoveryService/DeltaEndpoints", false},
    {"type.googleapis.com/envoy.config.listener.v3.Listener", "listener",
     "/envoy.service.listener.v3.ListenerDiscoveryService/StreamListeners",
     "/envoy.service.listener.v3.ListenerDiscoveryService/DeltaListeners", true},
    {"type.googleapis.com/envoy.config.route.v3.RouteConfiguration", "routes",
     "/envoy.service.route.v3.RouteDiscoveryService/StreamRoutes",
     "/envoy.service.route.v3.RouteDiscoveryService/DeltaRoutes", false},
    {"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret", "secret",
     "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets",
     "/envoy.service.secret.v3.SecretDiscoveryService/DeltaSecrets", false},
    {"type.googleapis.com/weft.v1.NameTable", "name", "", "", true},
};

}  // namespace

const TypeInfo& type_info(Type type) { return kInfos[static_cast<int>(type)]; }

std::string_view type_url(Type type) { return type_info(type).url; }

std::optional<Type> type_of(std::string_view url) {
  for (int i = 0; i < kTypes; ++i) {
    if (kInfos[i].url == url) return static_cast<Type>(i);
  }
  return std::nullopt;
}

}  // namespace weft::config::xds
