#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "proxy/config/dynamic/inventory.h"
#include "proxy/config/dynamic/ledger.h"
#include "proxy/config/dynamic/secrets.h"
#include "proxy/config/dynamic/sources.h"
#include "proxy/config/dynamic/upkeep.h"

// All clusters of the process, those of the bootstrap and those that come and go while it runs, and their endpoints.
// A new or changed cluster takes its place when it is warm; what did not change is not touched; what cannot be taken
// leaves in force what was. Main thread.

namespace weft::config {

// Who brings clusters to the workers. Calls reach every worker in their order.
class ClusterPublisher {
 public:
  // From now on this cluster stands in the slot; nullptr: none does.
  virtual void assign(const cluster::ClusterSlotPtr& slot, cluster::ClusterPtr cluster) = 0;
  virtual void drop_lost_hosts(const cluster::ClusterSlotPtr& slot) = 0;

 protected:
  ~ClusterPublisher() = default;
};

class Clusters {
 public:
  Clusters(SharedParts& parts, Upkeep::Means means, Sources& sources, Secrets& secrets, ClusterPublisher& publisher);
  ~Clusters();
  // Told of each resource from a source whose state changes; outlives this object.
  void watch(ResourceWatcher* watcher) { watcher_ = watcher; }

  // One of the bootstrap. It is published at once, and warm() waits for it if it asks for that.
  void add_static(cluster::ClusterPtr cluster);
  // Calls upkeep for all static clusters; `on_warm` is called once, when all that is awaited is warm.
  void start(std::function<void()> on_warm);
  // Until the first clusters of this source have come (or it did not answer in time), start()'s callback waits.
  void await(const std::string& source);

  std::vector<xds::Refusal> on_clusters(const std::string& source, const xds::Update& update);
  std::vector<xds::Refusal> on_endpoints(const std::string& source, const xds::Update& update);
  void on_clusters_timeout(const std::string& source);
  void on_endpoints_timeout(const std::string& source, const std::vector<std::string>& services);

  // What runs and what warms, of one name.
  struct Version {
    cluster::ClusterPtr cluster;
    Held held;  // Empty for static clusters.
    std::unique_ptr<Upkeep> upkeep;
    std::unique_ptr<Secrets::Need> secrets;  // nullptr: it needs none.
  };
  struct Entry {
    cluster::ClusterSlotPtr slot;
    bool is_static = false;
    std::unique_ptr<Version> active, warming;  // One of them, or both.
  };
  const std::map<std::string, Entry>& entries() const { return entries_; }
  const Ledger& ledger() const { return ledger_; }
  struct Service {
    std::optional<Held> assignment;
    std::unique_ptr<RefusedResource> refused;
    // It did not come in time: nobody waits for it any longer, a new version of a cluster neither.
    bool given_up = false;
    std::set<Version*> users;
  };
  using ServiceKey = std::pair<std::string, std::string>;  // Source and name.
  static ServiceKey service_of(const cluster::Cluster& cluster) {
    return {cluster.config().eds_source, cluster.own().eds_service};
  }
  const std::map<ServiceKey, Service>& services() const { return services_; }
  // Clusters and endpoints, but for those of the bootstrap.
  ResourceState state(const ResourceKey& key) const;
  void visit(const std::function<void(const ResourceKey& key)>& each) const;
  std::vector<const observe::FamilyBase*> families() const;
  bool contains(const std::string& name) const { return entries_.contains(name); }

 private:
  std::string take_cluster(const xds::Resource& resource, bool* changed);
  void remove(const std::string& name);
  void begin(Entry& entry, std::unique_ptr<Version> version);
  void need_secrets(Version& version);
  // A secret of the cluster changed. The pools of the old one are replaced: their idle connections close, others with
  // their last exchange.
  void renew_connections(Version& version);
  void activate(const std::string& name);
  void end(std::unique_ptr<Version>& version);
  // Empty, or why not.
  std::string apply_endpoints(Version& version, const std::string& service, const Held& assignment);
  void check_all_warm();
  ResourceState endpoints_state(const Service& service) const;
  void note(const ResourceKey& key);
  void note_cluster(const std::string& name);
  void note_endpoints(const cluster::Cluster& cluster);
  observe::ClusterManagerStats& stats() { return stats_->of_worker(0); }
  int64_t wall_ns() const { return means_.loop.wall_ns(); }

  SharedParts& parts_;
  Upkeep::Means means_;
  Sources& sources_;
  Secrets& secrets_;
  ClusterPublisher& publisher_;
  ResourceWatcher* watcher_ = nullptr;
  std::shared_ptr<observe::Family<observe::ClusterManagerStats>> stats_;
  Ledger ledger_;
  std::map<std::string, Entry> entries_;
  std::map<ServiceKey, Service> services_;
  std::set<std::string> awaited_;  // Clusters, and sources of them, for which on_warm_ waits.
  std::function<void()> on_warm_;
};

}  // namespace weft::config
