#include "proxy/config/dynamic/clusters.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proxy/cluster/keep_hosts.h"
#include "proxy/config/compile/resource.h"

namespace weft::config {

Clusters::Clusters(SharedParts& parts, Upkeep::Means means, Sources& sources, Secrets& secrets,
                   ClusterPublisher& publisher)
    : parts_(parts),
      means_(std::move(means)),
      sources_(sources),
      secrets_(secrets),
      publisher_(publisher),
      stats_(parts.family<observe::ClusterManagerStats>("cluster_manager.", "", "")),
      ledger_(parts, "cluster_manager.cds.") {}

Clusters::~Clusters() = default;

std::vector<const observe::FamilyBase*> Clusters::families() const {
  std::vector<const observe::FamilyBase*> all = {stats_.get(), &ledger_.updates().family()};
  for (const auto& [name, entry] : entries_) {
    if (entry.active != nullptr) all.push_back(entry.active->cluster->stats_family().get());
  }
  return all;
}

void Clusters::add_static(cluster::ClusterPtr cluster) {
  Entry& entry = entries_[cluster->name()];
  entry.slot = parts_.slots.slot(cluster->name());
  entry.is_static = true;
  entry.active = std::make_unique<Version>();
  entry.active->cluster = std::move(cluster);
  stats().active_clusters.add();
  publisher_.assign(entry.slot, entry.active->cluster);
}

void Clusters::await(const std::string& source) { awaited_.insert(source); }

void Clusters::start(std::function<void()> on_warm) {
  on_warm_ = std::move(on_warm);
  for (auto& [name, entry] : entries_) {
    if (entry.active->cluster->config().wait_for_warm) awaited_.insert(name);
  }
  for (auto& [name, entry] : entries_) begin(entry, std::exchange(entry.active, nullptr));
  check_all_warm();
}

void Clusters::check_all_warm() {
  if (awaited_.empty() && on_warm_ != nullptr) std::exchange(on_warm_, nullptr)();
}

// Starts the upkeep of a version, which warms but for the bootstrap's, which is in force from the start.
void Clusters::begin(Entry& entry, std::unique_ptr<Version> version) {
  Version& begun = *version;
  const std::string& name = begun.cluster->name();
  auto& place = entry.is_static ? entry.active : entry.warming;
  // It goes when the new one has asked for what it needs, so that what both need stays.
  std::unique_ptr<Version> before = std::exchange(place, std::move(version));
  stats().warming_clusters.add();
  if (!entry.is_static) note_cluster(name);
  begun.upkeep = std::make_unique<Upkeep>(means_, begun.cluster, [this, name] { activate(name); });
  need_secrets(begun);
  const bool discovered = begun.cluster->config().discovery == cluster::DiscoveryType::kEds;
  const ServiceKey key = service_of(*begun.cluster);
  if (discovered) {
    services_[key].users.insert(&begun);
    sources_.want(key.first, xds::Type::kEndpoints, key.second);
  }
  if (before != nullptr) end(before);
  if (!discovered) return begun.upkeep->start();
  const Service& service = services_.at(key);
  if (service.assignment) {
    apply_endpoints(begun, key.second, *service.assignment);
    note_endpoints(*begun.cluster);
  }
  if (service.assignment || service.given_up) begun.upkeep->endpoints_settled();
}

void Clusters::need_secrets(Version& version) {
  Secrets::Uses uses;
  for (const auto& connector : version.cluster->connectors()) {
    transport::SecretUse* use = connector->secret_use();
    if (use != nullptr) uses.emplace_back(connector, use);
  }
  // What has a context without them does not wait.
  bool waits = std::any_of(uses.begin(), uses.end(), [](const auto& use) { return !use->has_context(); });
  if (!uses.empty()) {
    version.secrets = secrets_.need(
        absl::StrCat("cluster \"", version.cluster->name(), "\""), std::move(uses),
        [&version] { version.upkeep->secrets_settled(); }, [this, &version] { renew_connections(version); });
  }
  if (!waits || version.secrets->settled()) version.upkeep->secrets_settled();
}

void Clusters::renew_connections(Version& version) {
  version.cluster->stats(0).client_ssl_socket_factory_ssl_context_update_by_sds.add();
  Entry& entry = entries_.at(version.cluster->name());
  if (entry.active.get() == &version) publisher_.assign(entry.slot, version.cluster);
}

void Clusters::end(std::unique_ptr<Version>& version) {
  if (version->upkeep != nullptr && !version->upkeep->warm()) stats().warming_clusters.subtract();
  if (version->cluster->config().discovery == cluster::DiscoveryType::kEds) {
    const ServiceKey key = service_of(*version->cluster);
    auto service = services_.find(key);
    service->second.users.erase(version.get());
    if (service->second.users.empty()) services_.erase(service);
    note_endpoints(*version->cluster);
    sources_.unwant(key.first, xds::Type::kEndpoints, key.second);
  }
  version.reset();
}

void Clusters::activate(const std::string& name) {
  Entry& entry = entries_.at(name);
  stats().warming_clusters.subtract();
  if (entry.warming != nullptr) {
    std::unique_ptr<Version> before = std::exchange(entry.active, std::move(entry.warming));
    if (before == nullptr) stats().active_clusters.add();
    publisher_.assign(entry.slot, entry.active->cluster);
    note_cluster(name);
    note_endpoints(*entry.active->cluster);
    if (before != nullptr) end(before);
  }
  if (awaited_.erase(name) != 0) check_all_warm();
}

std::vector<xds::Refusal> Clusters::on_clusters(const std::string& source, const xds::Update& update) {
  auto take = [this](const xds::Resource& resource, bool* changed) { return take_cluster(resource, changed); };
  // What was refused may be so no more.
  for (const auto& [name, refused] : ledger_.refused()) note_cluster(name);
  std::vector<xds::Refusal> refusals = ledger_.take(update, wall_ns(), take);
  for (const xds::Refusal& refusal : refusals) note_cluster(refusal.name);
  for (const std::string& name : ledger_.gone(update, entries_)) remove(name);
  awaited_.erase(source);
  check_all_warm();
  return refusals;
}

std::string Clusters::take_cluster(const xds::Resource& resource, bool* changed) {
  auto found = entries_.find(resource.name);
  if (found != entries_.end() && found->second.is_static) return "the bootstrap has a cluster of this name";
  uint64_t hash = content_hash(resource.body);
  if (found != entries_.end()) {
    const auto& newest = found->second.warming != nullptr ? found->second.warming : found->second.active;
    if (newest->held.hash == hash) return {};
    // What warmed is no longer wanted when what runs is.
    if (found->second.active != nullptr && found->second.active->held.hash == hash) {
      end(found->second.warming);
      note_cluster(resource.name);
      awaited_.erase(resource.name);
      *changed = true;
      return {};
    }
  }
  auto cluster = compile_cluster_resource(parts_, resource.name, resource.body);
  if (!cluster.ok()) return std::string(cluster.status().message());
  *changed = true;
  bool is_new = found == entries_.end();
  Entry& entry = is_new ? entries_[resource.name] : found->second;
  if (is_new) entry.slot = parts_.slots.slot(resource.name);
  (is_new ? stats().cluster_added : stats().cluster_modified).add();
  auto version = std::make_unique<Version>();
  version->cluster = *std::move(cluster);
  version->held = hold(resource, wall_ns());
  if (on_warm_ != nullptr && version->cluster->config().wait_for_warm) awaited_.insert(resource.name);
  begin(entry, std::move(version));
  return {};
}

void Clusters::remove(const std::string& name) {
  note_cluster(name);
  auto found = entries_.find(name);
  if (found == entries_.end() || found->second.is_static) return;
  Entry& entry = found->second;
  if (entry.active != nullptr) {
    publisher_.assign(entry.slot, nullptr);
    end(entry.active);
    stats().active_clusters.subtract();
  }
  if (entry.warming != nullptr) end(entry.warming);
  entries_.erase(found);
  stats().cluster_removed.add();
  awaited_.erase(name);
}

std::vector<xds::Refusal> Clusters::on_endpoints(const std::string& source, const xds::Update& update) {
  std::vector<xds::Refusal> refusals;
  for (const xds::Resource& resource : update.changed) {
    auto found = services_.find({source, resource.name});
    if (found == services_.end()) continue;  // Nobody has asked for it.
    Service& service = found->second;
    Held held = hold(resource, wall_ns());
    if (service.assignment && service.assignment->hash == held.hash) {
      if (std::exchange(service.refused, nullptr) != nullptr) note({xds::Type::kEndpoints, source, resource.name});
      continue;
    }
    note({xds::Type::kEndpoints, source, resource.name});
    std::string reason;
    for (Version* user : std::set<Version*>(service.users)) {
      reason = apply_endpoints(*user, resource.name, held);
      if (!reason.empty()) break;
    }
    if (!reason.empty()) {
      service.refused = std::make_unique<RefusedResource>(resource.body, resource.version, reason, wall_ns());
      refusals.push_back({resource.name, std::move(reason)});
      continue;
    }
    service.refused.reset();
    service.assignment = std::move(held);
    service.given_up = false;
    // What becomes warm ends what it replaces, which is one of these users.
    for (Version* user : std::set<Version*>(service.users)) {
      if (service.users.contains(user)) user->upkeep->endpoints_settled();
    }
  }
  return refusals;
}

std::string Clusters::apply_endpoints(Version& version, const std::string& service, const Held& assignment) {
  observe::ClusterStats& stats = version.cluster->stats(0);
  stats.update_attempt.add();
  auto hosts = compile_endpoints_resource(parts_, service, assignment.body);
  if (!hosts.ok()) {
    stats.update_rejected.add();
    return std::string(hosts.status().message());
  }
  stats.update_success.add();
  if (!cluster::keep_known_hosts(*version.cluster->hosts(), *hosts)) {
    stats.update_no_rebuild.add();
    return {};
  }
  version.cluster->set_hosts(*std::move(hosts));
  auto entry = entries_.find(version.cluster->name());
  if (entry != entries_.end() && entry->second.active.get() == &version) publisher_.drop_lost_hosts(entry->second.slot);
  return {};
}

void Clusters::on_clusters_timeout(const std::string& source) {
  ledger_.timed_out();
  awaited_.erase(source);
  check_all_warm();
}

void Clusters::on_endpoints_timeout(const std::string& source, const std::vector<std::string>& services) {
  for (const std::string& name : services) {
    auto found = services_.find({source, name});
    if (found == services_.end()) continue;
    Service& service = found->second;
    service.given_up = !service.assignment.has_value();
    for (Version* user : std::set<Version*>(service.users)) {
      if (service.users.contains(user)) user->upkeep->endpoints_settled();
    }
  }
}

void Clusters::note(const ResourceKey& key) {
  if (watcher_ != nullptr) watcher_->on_resource_changed(key);
}

void Clusters::note_cluster(const std::string& name) { note({xds::Type::kCluster, "", name}); }

void Clusters::note_endpoints(const cluster::Cluster& cluster) {
  if (cluster.config().discovery != cluster::DiscoveryType::kEds) return;
  const auto& [source, service] = service_of(cluster);
  note({xds::Type::kEndpoints, source, service});
}

ResourceState Clusters::state(const ResourceKey& key) const {
  if (key.type == xds::Type::kEndpoints) {
    auto service = services_.find({key.source, key.name});
    return service == services_.end() ? ResourceState() : endpoints_state(service->second);
  }
  return ledger_.state(entries_, key.name);
}

ResourceState Clusters::endpoints_state(const Service& service) const {
  ResourceState state;
  state.refused = refusal_of(service.refused.get());
  if (!service.assignment) return state;
  // They run in whatever cluster runs that has them.
  bool in_force = std::any_of(service.users.begin(), service.users.end(), [this](const Version* user) {
    auto entry = entries_.find(user->cluster->name());
    return entry != entries_.end() && entry->second.active.get() == user;
  });
  (in_force ? state.version : state.warming_version) = service.assignment->version;
  return state;
}

void Clusters::visit(const std::function<void(const ResourceKey& key)>& each) const {
  for (const auto& [name, entry] : entries_) {
    if (!entry.is_static) each({xds::Type::kCluster, "", name});
  }
  for (const auto& [name, refused] : ledger_.refused()) each({xds::Type::kCluster, "", name});
  for (const auto& [key, service] : services_) each({xds::Type::kEndpoints, key.first, key.second});
}

}  // namespace weft::config
