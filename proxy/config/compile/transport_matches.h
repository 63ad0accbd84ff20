#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "envoy/config/cluster/v3/cluster.pb.h"
#include "proxy/config/compile/context.h"

// Connections of different kinds to the endpoints of one cluster, chosen by the endpoints' metadata.

namespace weft::config {

// What an endpoint says of itself under "envoy.transport_socket_match".
cluster::TransportCriteria compile_transport_criteria(const core_v3::Metadata& metadata);

// Cluster.transport_socket_matches; `options` and `alpn` as of its transport_socket.
void compile_transport_matches(Context& context, const envoy::config::cluster::v3::Cluster& proto,
                               std::string_view path, const transport::SocketOptions& options,
                               const std::vector<std::string>& alpn,
                               std::vector<cluster::ClusterOwn::TransportMatch>& matches);

}  // namespace weft::config
