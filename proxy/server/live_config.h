#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "proxy/config/compile/compile.h"
#include "proxy/config/dynamic/clusters.h"
#include "proxy/config/dynamic/listeners.h"
#include "proxy/config/dynamic/names.h"
#include "proxy/config/dynamic/routes.h"
#include "proxy/config/files/file_watch.h"
#include "proxy/config/identity/identity_client.h"
#include "proxy/config/kept/kept_config.h"
#include "proxy/config/report/reporter.h"
#include "proxy/config/telemetry/sinks.h"
#include "proxy/config/xds/grpc_sources.h"
#include "proxy/server/app_health.h"
#include "proxy/server/worker_thread.h"

// The configuration as it is now: what the bootstrap says, and what its sources have brought since. Takes updates from
// the sources and brings them to the workers. Main thread.

namespace weft::server {

class LiveConfig final : private config::Intake,
                         private config::ClusterPublisher,
                         private config::RoutePublisher,
                         private config::ListenerPublisher,
                         private config::Inventory {
 public:
  using Workers = std::vector<std::unique_ptr<WorkerThread>>;
  struct Options {
    std::string version;  // What the proxy calls itself to a control plane.
    int64_t drain_time_ms = 0;
    std::function<void(const std::string& line)> say;  // Told where one can connect.
    int64_t metrics_interval_ms = 0;                   // From one flush to the mesh to the next; 0: none.
    std::optional<config::KeptConfig::Options> kept;   // Where configuration is kept on disk, if it is.
    // Of the process's own certificate (CompileOptions::own_secret), where it changes; may be nullptr.
    std::function<absl::StatusOr<std::string>()> read_token;
    config::NamePublisher* names = nullptr;  // Of a DNS responder, if there is one; outlives it.
    event::Loop* names_loop = nullptr;       // On which that one takes them.
  };
  // `config` and `workers` outlive it. The static clusters are posted to the workers at once.
  LiveConfig(event::LibeventLoop& loop, base::Random& random, const config::CompiledBootstrap& config,
             const Workers& workers, Options options);
  // The loop has ended.
  ~LiveConfig();
  // Opens what the bootstrap's listeners listen on.
  absl::Status open_listeners();
  // Looks for what clusters, then listeners, must find before the workers may serve; then calls `on_ready`, once.
  void start(std::function<void()> on_ready);
  // True if start() waits for sources, whose own time-outs bound it.
  bool has_sources() const { return identity_ != nullptr || sources_.any(); }
  // Clusters took too long: listeners are looked for now.
  void go_on_without_clusters() { start_listeners(); }
  // The workers serve: from now on it is said at once where a new listener listens.
  void on_workers_started();
  // For a person: what the start waits for; empty when for nothing.
  std::string awaited() const;
  // Nobody can connect any more.
  void stop_listening() { listeners_.stop(); }
  // Inbound listeners end, and come no more; false if there are none.
  bool drain_inbound() { return listeners_.drain_inbound(); }
  // No connection of theirs is left.
  bool inbound_drained() const { return listeners_.inbound_drained(); }
  const config::Clusters& clusters() const { return clusters_; }
  const config::Routes& routes() const { return routes_; }
  const config::Secrets& secrets() const { return secrets_; }
  const config::Names& names() const { return names_; }
  // nullptr: nothing is kept.
  const config::KeptConfig* kept() const { return kept_ ? &*kept_ : nullptr; }
  const config::Listeners& listeners() const { return listeners_; }
  // Of each subscription, which version is in force.
  std::vector<const config::UpdateCount*> update_counts() const;
  // All metrics but those of the process itself, each once.
  std::vector<const observe::FamilyBase*> families() const;

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
  void listen(std::shared_ptr<const listener::SharedListener> listener,
              const std::vector<listener::ListenAddressPtr>& addresses,
              std::shared_ptr<snapshot::RetiredChains> retired) override;
  void stop_listener(const std::string& name, std::shared_ptr<snapshot::RetiredChains> retired) override;
  void close_retired(std::shared_ptr<snapshot::RetiredChains> retired) override;
  // nullptr where the process has no certificate of its own.
  std::unique_ptr<config::identity::IdentityClient> make_identity(
      std::function<absl::StatusOr<std::string>()> read_token);
  void begin();
  // Calls to control planes go over connections that are made from now on.
  void renew_control_connections();
  void start_listeners();
  void start_sinks();
  config::telemetry::MetricsStream::Metrics metrics() const;
  std::vector<config::xds::Type> types() const override;
  config::ResourceState state(const config::ResourceKey& key) const override;
  void visit(const std::function<void(const config::ResourceKey& key)>& each) const override;
  // Of the bootstrap's clusters, one by which a control plane is called from now on; nullptr: there is none.
  cluster::ClusterPtr called_cluster(const std::string& name);
  auto find_called() {
    return [this](const std::string& name) { return called_cluster(name); };
  }
  void say_where(const std::string& name, const std::vector<listener::ListenAddressPtr>& addresses);

  event::LibeventLoop& loop_;
  const config::CompiledBootstrap& config_;
  const Workers& workers_;
  // The main thread's own, for calls to control planes, and the clusters that stand there: those that are called.
  std::unique_ptr<pool::WorkerUpstreams> upstreams_;
  std::set<std::string> called_;
  bool clusters_assigned_ = false;  // To the workers, and here: those of the bootstrap.
  pool::WorkerContext context_;
  observe::Family<observe::ControlPlaneStats> control_plane_stats_;
  config::report::Reporter reporter_;
  std::unique_ptr<config::identity::IdentityClient> identity_;
  config::telemetry::MeshMetrics mesh_metrics_;
  // All who are told to which control plane the aggregated stream leads.
  struct Watchers final : config::xds::ConnectionWatcher {
    explicit Watchers(LiveConfig& owner) : owner(owner) {}
    void on_connected(const config::xds::ControlPlane& control_plane, const envoy::config::core::v3::Node& node,
                      std::string_view server_name) override;
    void on_disconnected() override;
    LiveConfig& owner;
  };
  Watchers watchers_{*this};
  config::xds::GrpcSources grpc_sources_;
  config::FileWatch watch_;
  config::Resolvers resolvers_;
  std::optional<config::KeptConfig> kept_;
  config::Sources sources_;
  config::Secrets secrets_;
  config::Clusters clusters_;
  AppHealth app_health_{clusters_, reporter_};
  config::Routes routes_;
  config::Listeners listeners_;
  config::Names names_;
  std::optional<config::telemetry::Sinks> sinks_;  // Once clusters are there.
  std::function<void(const std::string& line)> say_;
  std::function<void()> on_ready_;
  bool begun_ = false;
  bool listeners_begun_ = false;
  bool listeners_settled_ = false;
  bool workers_started_ = false;
  size_t known_access_logs_ = 0;
  std::set<std::string> said_;  // Lines; what listens on as before is not said again.
};

}  // namespace weft::server
