#pragma once

#include <memory>
#include <string>

#include "proxy/config/xds/ads.h"
#include "proxy/config/xds/api_config_source.h"

// The aggregated source over gRPC that a bootstrap names, for all that say `ads`. Main thread.

namespace weft::config::xds {

class GrpcSources {
 public:
  // `bootstrap` is a serialised Bootstrap that the compiler has accepted; its control planes are among the clusters
  // that `find_cluster` knows. `watcher` outlives it, and may be nullptr.
  GrpcSources(pool::WorkerContext& context, const std::string& bootstrap,
              std::function<cluster::ClusterPtr(const std::string& name)> find_cluster,
              observe::ControlPlaneStats& stats, ConnectionWatcher* watcher);

  // Whether there is a control plane to call.
  bool any() const { return ads_ != nullptr; }
  // The share of it that a serialised ConfigSource with `ads` describes; nullptr for other kinds. It must go before
  // this object.
  std::unique_ptr<Source> make(const std::string& config_source, Type type, Consumer& consumer);

 private:
  std::unique_ptr<Ads> ads_;
};

}  // namespace weft::config::xds
