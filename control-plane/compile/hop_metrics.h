#pragma once

// What the metrics of hops need: names of services and workloads on clusters and endpoints, and the filter that counts
// (api/weft/v1/hop_metrics.proto), which weft-proxy alone knows. Pure; any thread.

#include "control-plane/registry/model.h"
#include "weft/v1/hop_metrics.pb.h"

namespace envoy::config::cluster::v3 {
class Cluster;
}  // namespace envoy::config::cluster::v3
namespace envoy::config::endpoint::v3 {
class LbEndpoint;
}  // namespace envoy::config::endpoint::v3
namespace envoy::config::listener::v3 {
class Listener;
}  // namespace envoy::config::listener::v3

namespace weft::control::compile {

// The metadata "weft", which is anybody's to read.
void name_cluster(const registry::Service& service, envoy::config::cluster::v3::Cluster& cluster);
// The cluster by which a proxy reaches the application that it stands before. `service` need not exist.
void name_own_cluster(const registry::ServiceName& service, envoy::config::cluster::v3::Cluster& cluster);
void name_endpoint(const registry::Service& service, const registry::Endpoint& endpoint,
                   envoy::config::endpoint::v3::LbEndpoint& out);

// Puts the filter first into all that the listener's filter chains do with HTTP, and before their TCP proxies.
void measure_hops(v1::HopMetrics::Reporter reporter, envoy::config::listener::v3::Listener& listener);

}  // namespace weft::control::compile
