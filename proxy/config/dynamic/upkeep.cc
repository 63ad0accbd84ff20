#include "proxy/config/dynamic/upkeep.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "proxy/base/log.h"

namespace weft::config {

absl::StatusOr<cluster::DnsResolver*> Resolvers::of(const cluster::ClusterPolicy& config) {
  std::string key;
  for (const auto& server : config.dns_resolvers) key += server.to_string() + ",";
  std::unique_ptr<cluster::DnsResolver>& resolver = resolvers_[key];
  if (resolver == nullptr) {
    auto made = cluster::DnsResolver::make(loop_, config.dns_resolvers);
    if (!made.ok()) return made.status();
    resolver = *std::move(made);
  }
  return resolver.get();
}

Upkeep::Upkeep(Means& means, cluster::ClusterPtr cluster, std::function<void()> on_warm)
    : means_(means), cluster_(std::move(cluster)), on_warm_(std::move(on_warm)) {}

void Upkeep::start() {
  if (cluster_->own().dns_endpoints.empty()) return endpoints_settled();
  auto resolver = means_.resolver(cluster_->config());
  if (!resolver.ok()) {
    base::log_error(absl::StrCat("cluster '", cluster_->name(), "': ", resolver.status().message()));
    return endpoints_settled();
  }
  discovery_ = std::make_unique<cluster::DnsDiscovery>(means_.loop, means_.random, **resolver, cluster_,
                                                       [this] { endpoints_settled(); });
  discovery_->start();
}

void Upkeep::endpoints_settled() {
  endpoints_settled_ = true;
  check_health();
}

void Upkeep::secrets_settled() {
  secrets_settled_ = true;
  check_health();
}

void Upkeep::check_health() {
  if (!endpoints_settled_ || !secrets_settled_ || std::exchange(settled_, true)) return;
  if (cluster_->config().health_checks.empty()) return become_warm();
  checker_ = std::make_unique<cluster::HealthChecker>(means_.loop, means_.random, cluster_, [this] { become_warm(); });
  checker_->start();
}

void Upkeep::become_warm() {
  if (std::exchange(warm_, true)) return;
  std::exchange(on_warm_, nullptr)();
}

}  // namespace weft::config
