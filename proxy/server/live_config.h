#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/config/compile/compile.h"
#include "proxy/config/dynamic/clusters.h"
#include "proxy/config/dynamic/routes.h"
#include "proxy/config/files/file_watch.h"
#include "proxy/config/kept/kept_config.h"
#include "proxy/config/report/reporter.h"
#include "proxy/config/xds/grpc_sources.h"
#include "proxy/server/worker_thread.h"

// The configuration as it is now: what the bootstrap says, and what its sources have brought since. Takes updates from
// the sources and brings them to the workers. Main thread.

namespace weft::server {

class LiveConfig final : private config::Intake,
                         private config::ClusterPublisher,
                         private config::RoutePublisher,
                         private config::Inventory {
 public:
  using Workers = std::vector<std::unique_ptr<WorkerThread>>;
  // `config` and `workers` outlive it. The static clusters are posted to the workers at once. `version` is what the
  // proxy calls itself to a control plane; `kept` where configuration is kept on disk, if it is.
  LiveConfig(event::LibeventLoop& loop, base::Random& random, const config::CompiledBootstrap& config,
             const Workers& workers, std::string version, std::optional<config::KeptConfig::Options> kept);
  // The loop has ended.
  ~LiveConfig();
  // Looks for what clusters, then listeners, must find before the workers may serve; then calls `on_ready`, once.
  void start(std::function<void()> on_ready);
  // True if start() waits for sources, whose own time-outs bound it.
  bool has_sources() const { return sources_.any(); }
  const config::Clusters& clusters() const { return clusters_; }
  const config::Routes& routes() const { return routes_; }
  const config::Secrets& secrets() const { return secrets_; }
  // nullptr: nothing is kept.
  const config::KeptConfig* kept() const { return kept_ ? &*kept_ : nullptr; }
  // Metrics that belong to no cluster and no listener.
  const observe::FamilyBase& control_plane_stats() const { return control_plane_stats_; }

  // Every half second or so.
  void tick();
  // Where what runs is told to a control plane of ours.
  config::report::Reporter& reporter() { return reporter_; }

 private:
  std::vector<config::xds::Refusal> on_update(const std::string& source, config::xds::Type type,
                                              const config::xds::Update& update) override;
  void on_fetch_timeout(const std::string& source, config::xds::Type type,
                        const std::vector<std::string>& names) override;
  void assign(const cluster::ClusterSlotPtr& slot, cluster::ClusterPtr cluster) override;
  void drop_lost_hosts(const cluster::ClusterSlotPtr& slot) override;
  void assign_routes(const route::RouteSlotPtr& slot, std::shared_ptr<const route::RouteTable> table) override;
  void start_listeners();
  void check_settled();
  std::vector<config::xds::Type> types() const override;
  config::ResourceState state(const config::ResourceKey& key) const override;
  void visit(const std::function<void(const config::ResourceKey& key)>& each) const override;
  bool calls_control_plane(const cluster::ClusterSlot& slot) const;

  event::LibeventLoop& loop_;
  const config::CompiledBootstrap& config_;
  const Workers& workers_;
  // The main thread's own, for calls to the control plane.
  std::unique_ptr<pool::WorkerUpstreams> upstreams_;
  pool::WorkerContext context_;
  observe::Family<observe::ControlPlaneStats> control_plane_stats_;
  config::report::Reporter reporter_;
  config::xds::GrpcSources grpc_sources_;
  config::FileWatch watch_;
  config::Resolvers resolvers_;
  std::optional<config::KeptConfig> kept_;
  config::Sources sources_;
  config::Secrets secrets_;
  config::Clusters clusters_;
  config::Routes routes_;
  std::vector<std::unique_ptr<config::ListenerNeed>> needs_;
  std::function<void()> on_ready_;
};

}  // namespace weft::server
