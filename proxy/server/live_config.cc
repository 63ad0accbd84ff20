#include "proxy/server/live_config.h"

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "proxy/config/compile/shared_parts.h"
#include "proxy/config/files/make_source.h"
#include "proxy/observe/hop_metrics.h"
#include "proxy/transport/tls_certificate.h"

namespace weft::server {

using config::xds::Type;

namespace {

absl::StatusOr<std::string> read_secret_file(const std::string& path) {
  std::error_code error;
  // A control plane may name anything; what is no file could hold up the main thread for ever.
  if (std::filesystem::exists(path, error) && !std::filesystem::is_regular_file(path, error)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": is no regular file"));
  }
  return transport::read_data_source({path, ""});
}

config::Secrets::Files files(config::FileWatch& watch) {
  return {read_secret_file,
          [&watch](const std::string& directory, const std::string& name, base::Callback<void()> changed) {
            return watch.watch(directory, name, changed);
          },
          [&watch](uint64_t id) { watch.unwatch(id); }};
}

std::vector<event::Loop*> loops(const LiveConfig::Workers& workers, event::Loop* names) {
  std::vector<event::Loop*> all;
  for (const auto& worker : workers) all.push_back(&worker->loop());
  if (names != nullptr) all.push_back(names);
  return all;
}

}  // namespace

LiveConfig::LiveConfig(event::LibeventLoop& loop, base::Random& random, const config::CompiledBootstrap& config,
                       const Workers& workers, Options options)
    : loop_(loop),
      config_(config),
      workers_(workers),
      upstreams_(pool::make_worker_upstreams(loop, random, 0)),
      context_{loop, random, *upstreams_, 0},
      control_plane_stats_("control_plane.", "", "", 1),
      reporter_(context_, *this, {std::move(options.version), loop.wall_ns(), false},
                loops(workers, options.names_loop)),
      identity_(make_identity(std::move(options.read_token))),
      mesh_metrics_(
          context_, options.metrics_interval_ms,
          [&config] { return config::telemetry::MetricsStream::Metrics{{}, config.parts->hop_metrics, nullptr}; }),
      grpc_sources_(context_, config.bootstrap, find_called(), control_plane_stats_.of_worker(0), &watchers_,
                    identity_.get()),
      watch_(loop),
      resolvers_(loop),
      sources_(
          loop, *this,
          [this](const std::string& source, Type type, config::xds::Consumer& consumer) {
            std::unique_ptr<config::xds::Source> made = grpc_sources_.make(source, type, consumer);
            return made != nullptr ? std::move(made) : config::make_file_source(loop_, watch_, source, consumer);
          },
          options.kept ? &kept_.emplace(loop, *std::move(options.kept)) : nullptr),
      secrets_(*config.parts, loop, sources_, files(watch_)),
      clusters_(*config.parts, {loop, random, [this](const auto& cluster) { return resolvers_.of(cluster); }}, sources_,
                secrets_, *this),
      routes_(*config.parts, loop, sources_, *this),
      listeners_(*config.parts, loop, {&routes_, &secrets_}, *this,
                 {static_cast<uint32_t>(workers.size()), options.drain_time_ms,
                  std::make_shared<listener::ConnectionLimit>(config.max_connections)}),
      names_(*config.parts, loop, options.names),
      say_(std::move(options.say)),
      known_access_logs_(config.parts->access_logs.size()) {
  if (identity_ != nullptr) secrets_.make_own(config.parts->options.own_secret);
  config.parts->has_cluster = [this](const std::string& name) { return clusters_.contains(name); };
  for (const auto& cluster : config_.snapshot->clusters) clusters_.add_static(cluster);
  clusters_assigned_ = true;
  clusters_.watch(&reporter_);
  listeners_.watch(&reporter_);
  routes_.watch(&reporter_);
  secrets_.watch(&reporter_);
  names_.watch(&reporter_);
}

LiveConfig::~LiveConfig() {
  clusters_.watch(nullptr);
  listeners_.watch(nullptr);
  routes_.watch(nullptr);
  secrets_.watch(nullptr);
  names_.watch(nullptr);
  watchers_.on_disconnected();
  sinks_.reset();
  sources_.stop();
  if (identity_ != nullptr) identity_->stop();
  loop_.run_until_quiet();
  upstreams_->drain();
  loop_.run_until_quiet();
}

std::unique_ptr<config::identity::IdentityClient> LiveConfig::make_identity(
    std::function<absl::StatusOr<std::string>()> read_token) {
  if (config_.parts->options.own_secret.empty()) return nullptr;
  auto source = config::xds::aggregated_options(config_.bootstrap, find_called());
  if (!source) return nullptr;
  config::identity::IdentityClient::Options options;
  options.control_planes = std::move(source->control_planes);
  options.node = std::move(source->conversation.node);
  options.read_token = std::move(read_token);
  options.withheld = config_.parts->own_secret_withheld;
  options.take = [this](const std::string& secret) { return secrets_.give(secret); };
  options.reconnect = [this] { renew_control_connections(); };
  return std::make_unique<config::identity::IdentityClient>(context_, std::move(options));
}

void LiveConfig::renew_control_connections() {
  for (const std::string& name : config_.parts->control_plane_clusters) {
    if (cluster::ClusterPtr found = config_.find_cluster(name)) assign(config_.parts->slots.slot(name), found);
  }
}

void LiveConfig::start(std::function<void()> on_ready) {
  on_ready_ = std::move(on_ready);
  if (identity_ == nullptr) return begin();
  // What follows is asked for by the certificate, and TLS of the mesh has one from the start.
  identity_->start([this] { begin(); });
}

void LiveConfig::begin() {
  begun_ = true;
  if (!config_.clusters_source.empty()) {
    clusters_.await(config_.clusters_source);
    sources_.want_all(config_.clusters_source, Type::kCluster);
  }
  clusters_.start([this] { start_listeners(); });
  if (identity_ != nullptr && identity_->certified()) renew_control_connections();
}

absl::Status LiveConfig::open_listeners() {
  for (const auto& listener : config_.snapshot->listeners) {
    if (absl::Status opened = listeners_.add_static(listener); !opened.ok()) return opened;
  }
  return absl::OkStatus();
}

void LiveConfig::Watchers::on_connected(const config::xds::ControlPlane& control_plane,
                                        const envoy::config::core::v3::Node& node, std::string_view server_name) {
  owner.reporter_.on_connected(control_plane, node, server_name);
  owner.mesh_metrics_.on_connected(control_plane, node, server_name);
}

void LiveConfig::Watchers::on_disconnected() {
  owner.reporter_.on_disconnected();
  owner.mesh_metrics_.on_disconnected();
}

config::telemetry::MetricsStream::Metrics LiveConfig::metrics() const {
  return {families(), config_.parts->hop_metrics, config_.stats_rules.get()};
}

void LiveConfig::start_sinks() {
  config::telemetry::Sinks::Options options{config_.metrics_services, config_.stats_flush_interval_ms,
                                            config_.bootstrap, find_called()};
  sinks_.emplace(context_, options, [this] { return metrics(); });
}

void LiveConfig::start_listeners() {
  if (std::exchange(listeners_begun_, true)) return;
  start_sinks();
  if (!config_.listeners_source.empty()) {
    listeners_.await(config_.listeners_source);
    sources_.want_all(config_.listeners_source, Type::kListener);
  }
  if (names_.wanted()) sources_.want_all(config_.clusters_source, Type::kName);
  listeners_.start([this] {
    listeners_settled_ = true;
    names_.await(std::move(on_ready_));
  });
}

std::string LiveConfig::awaited() const {
  if (workers_started_) return {};
  if (!begun_) return "the workload's certificate";
  if (!listeners_begun_) return "clusters";
  if (listeners_settled_) return names_.settled() ? "" : "the names that the DNS responder answers";
  std::vector<std::string> names = listeners_.awaited();
  if (names.empty()) return "listeners";
  return absl::StrCat("what these listeners need: ", absl::StrJoin(names, ", "));
}

std::vector<const config::UpdateCount*> LiveConfig::update_counts() const {
  std::vector<const config::UpdateCount*> all = {&clusters_.ledger().updates(), &listeners_.ledger().updates()};
  for (const auto& [key, entry] : routes_.entries()) all.push_back(&entry.updates);
  if (names_.wanted()) all.push_back(&names_.ledger().updates());
  return all;
}

std::vector<const observe::FamilyBase*> LiveConfig::families() const {
  std::set<const observe::FamilyBase*> all = {&control_plane_stats_};
  if (kept_) all.insert(&kept_->family());
  if (identity_ != nullptr) all.insert(&identity_->family());
  if (config_.parts->hop_metrics != nullptr) all.insert(&config_.parts->hop_metrics->family());
  for (const auto& some :
       {clusters_.families(), listeners_.families(), routes_.families(), secrets_.families(), names_.families()}) {
    all.insert(some.begin(), some.end());
  }
  return {all.begin(), all.end()};
}

std::vector<config::xds::Refusal> LiveConfig::on_update(const std::string& source, Type type,
                                                        const config::xds::Update& update) {
  switch (type) {
    case Type::kCluster:
      return clusters_.on_clusters(source, update);
    case Type::kEndpoints:
      return clusters_.on_endpoints(source, update);
    case Type::kListener:
      return listeners_.on_update(source, update);
    case Type::kRoutes:
      return routes_.on_update(source, update);
    case Type::kSecret:
      return secrets_.on_update(source, update);
    case Type::kName:
      return names_.on_update(update);
    default:
      return {};  // Of no other is anything wanted.
  }
}

void LiveConfig::on_fetch_timeout(const std::string& source, Type type, const std::vector<std::string>& names) {
  if (type == Type::kCluster) clusters_.on_clusters_timeout(source);
  if (type == Type::kEndpoints) clusters_.on_endpoints_timeout(source, names);
  if (type == Type::kListener) listeners_.on_fetch_timeout(source);
  if (type == Type::kRoutes) routes_.on_fetch_timeout(source, names);
  if (type == Type::kSecret) secrets_.on_fetch_timeout(source, names);
  if (type == Type::kName) names_.on_fetch_timeout();
}

void LiveConfig::assign(const cluster::ClusterSlotPtr& slot, cluster::ClusterPtr cluster) {
  for (const auto& worker : workers_) worker->assign(slot, cluster);
  if (called_.contains(slot->name())) upstreams_->assign(*slot, cluster);
}

cluster::ClusterPtr LiveConfig::called_cluster(const std::string& name) {
  cluster::ClusterPtr found = config_.find_cluster(name);
  if (found == nullptr) return nullptr;
  // What is asked for before all are assigned is assigned with them.
  if (called_.insert(name).second && clusters_assigned_) {
    upstreams_->assign(*config_.parts->slots.slot(name), found);
  }
  return found;
}

void LiveConfig::drop_lost_hosts(const cluster::ClusterSlotPtr& slot) {
  for (const auto& worker : workers_) worker->drop_lost_hosts(slot);
  if (called_.contains(slot->name())) upstreams_->drop_lost_hosts(*slot);
}

void LiveConfig::assign_routes(const route::RouteSlotPtr& slot, std::shared_ptr<const route::RouteTable> table) {
  for (const auto& worker : workers_) worker->assign_routes(slot, table);
}

std::vector<Type> LiveConfig::types() const {
  return {Type::kCluster, Type::kEndpoints, Type::kListener, Type::kRoutes, Type::kSecret, Type::kName};
}

config::ResourceState LiveConfig::state(const config::ResourceKey& key) const {
  if (key.type == Type::kSecret) return secrets_.state(key);
  if (key.type == Type::kName) return names_.state(key);
  if (key.type == Type::kListener) return listeners_.state(key);
  return key.type == Type::kRoutes ? routes_.state(key) : clusters_.state(key);
}

void LiveConfig::visit(const std::function<void(const config::ResourceKey& key)>& each) const {
  clusters_.visit(each);
  listeners_.visit(each);
  routes_.visit(each);
  secrets_.visit(each);
  names_.visit(each);
}

void LiveConfig::listen(std::shared_ptr<const listener::SharedListener> listener,
                        const std::vector<listener::ListenAddressPtr>& addresses,
                        std::shared_ptr<snapshot::RetiredChains> retired) {
  const auto& logs = config_.parts->access_logs;
  bool new_logs = workers_started_ && std::exchange(known_access_logs_, logs.size()) != logs.size();
  for (uint32_t i = 0; i < workers_.size(); ++i) {
    if (new_logs) workers_[i]->set_access_logs(logs);
    std::vector<listener::ListenSocket> sockets;
    for (const auto& address : addresses) sockets.push_back(address->socket(i));
    workers_[i]->listen(listener, std::move(sockets), retired);
  }
  if (workers_started_) say_where(listener->listener->name, addresses);
}

void LiveConfig::stop_listener(const std::string& name, std::shared_ptr<snapshot::RetiredChains> retired) {
  for (const auto& worker : workers_) worker->stop_listener(name, retired);
}

void LiveConfig::close_retired(std::shared_ptr<snapshot::RetiredChains> retired) {
  for (const auto& worker : workers_) worker->close_retired(retired);
}

void LiveConfig::say_where(const std::string& name, const std::vector<listener::ListenAddressPtr>& addresses) {
  for (const auto& address : addresses) {
    std::string line = absl::StrCat("listener ", name, " listening on ", address->bound().to_string());
    if (said_.insert(line).second) say_(line);
  }
}

void LiveConfig::on_workers_started() {
  workers_started_ = true;
  reporter_.set_serving();
  known_access_logs_ = config_.parts->access_logs.size();
  listeners_.stats().workers_started.set(1);
  for (const auto& [name, entry] : listeners_.entries()) {
    if (entry.active != nullptr) say_where(name, entry.active->addresses);
  }
}

void LiveConfig::tick() {
  listeners_.tick();
  for (const auto& [name, entry] : clusters_.entries()) {
    if (entry.active != nullptr) entry.active->cluster->tick(loop_.now_ms());
  }
  if (identity_ != nullptr) identity_->tick();
  app_health_.tick(identity_ == nullptr || identity_->holds());
  if (config_.parts->hop_metrics != nullptr) config_.parts->hop_metrics->evict_idle(loop_.now_ns());
}

}  // namespace weft::server
