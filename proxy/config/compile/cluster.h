#pragma once

#include <memory>
#include <string_view>

#include "envoy/config/cluster/v3/cluster.pb.h"
#include "proxy/config/compile/context.h"

// Clusters and their endpoints. A static cluster has its endpoints at once; one of a DNS kind gets them from the
// resolver after it was published.

namespace weft::config {

namespace cluster_v3 = envoy::config::cluster::v3;

// Never nullptr: errors are reported and a cluster is made all the same, so that routes to it are judged on their own.
std::shared_ptr<cluster::Cluster> compile_cluster(Context& context, const cluster_v3::Cluster& proto,
                                                  std::string_view path);

}  // namespace weft::config
