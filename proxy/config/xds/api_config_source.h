#pragma once

#include <absl/status/statusor.h>

#include <functional>
#include <string>
#include <string_view>

#include "envoy/config/core/v3/config_source.pb.h"
#include "proxy/config/xds/grpc_source.h"

// From an ApiConfigSource to the options of the source that does as it says. Main thread.

namespace weft::config::xds {

struct ApiConfigContext {
  // The bootstrap's; what the proxy says of itself is added.
  const envoy::config::core::v3::Node& node;
  // The cluster that carries calls to a control plane, or what is wrong with it. Where a source is only checked it may
  // be nullptr.
  std::function<absl::StatusOr<cluster::ClusterPtr>(const std::string& name)> find_cluster;
  // Takes each mistake: the field's path, and what is wrong with it.
  std::function<void(std::string_view path, std::string_view what)> error;
};

// `path` is where the source stands. After an error the result is of no use.
GrpcSourceOptions read_api_config_source(const ApiConfigContext& context,
                                         const envoy::config::core::v3::ApiConfigSource& source, std::string_view path);

}  // namespace weft::config::xds
