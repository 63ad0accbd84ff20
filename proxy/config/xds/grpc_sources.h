#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "envoy/config/core/v3/base.pb.h"
#include "proxy/config/xds/api_config_source.h"
#include "proxy/config/xds/shared_source.h"

// All sources over gRPC of a process: the aggregated one that the bootstrap names, for all that say `ads`, and those of
// their own (`api_config_source`), one stream for each type; equal ones are one. Main thread.

namespace weft::config::xds {

// Of the aggregated source that a serialised Bootstrap names, if it names one.
std::optional<GrpcSourceOptions> aggregated_options(
    const std::string& bootstrap, const std::function<cluster::ClusterPtr(const std::string& name)>& find_cluster);

class GrpcSources {
 public:
  // `bootstrap` is a serialised Bootstrap that the compiler has accepted; its control planes, as those of sources that
  // come later, are among the clusters that `find_cluster` knows. `watcher`, of the aggregated source, outlives it, and
  // may be nullptr; so with `credentials`, by which its control planes are called.
  GrpcSources(pool::WorkerContext& context, const std::string& bootstrap,
              std::function<cluster::ClusterPtr(const std::string& name)> find_cluster,
              observe::ControlPlaneStats& stats, ConnectionWatcher* watcher, Credentials* credentials = nullptr);

  // The share that a serialised ConfigSource with `ads` or `api_config_source` describes; nullptr for other kinds. It
  // must go before this object.
  std::unique_ptr<Source> make(const std::string& config_source, Type type, Consumer& consumer);

 private:
  GrpcSourceOptions read(const envoy::config::core::v3::ApiConfigSource& source) const;

  pool::WorkerContext& context_;
  std::function<cluster::ClusterPtr(const std::string& name)> find_cluster_;
  envoy::config::core::v3::Node node_;
  StreamStates states_;
  std::unique_ptr<SharedSource> ads_;
  std::map<std::string, std::unique_ptr<SharedSource>> own_;  // By the serialised ApiConfigSource.
};

}  // namespace weft::config::xds
