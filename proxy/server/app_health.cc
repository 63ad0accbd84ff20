#include "proxy/server/app_health.h"

#include "api/text/cat.h"

namespace weft::server {
namespace {

constexpr char kCluster[] = "inbound";

}  // namespace

void AppHealth::tick() {
  auto found = clusters_.entries().find(kCluster);
  if (found == clusters_.entries().end() || found->second.active == nullptr) return;
  const cluster::Cluster& app = *found->second.active->cluster;
  if (app.config().health_checks.empty()) return;
  cluster::HostSetPtr hosts = app.hosts();
  if (hosts->priorities.empty() || hosts->priorities[0].empty()) return;
  const cluster::Host& host = *hosts->priorities[0][0];
  if ((host.flags() & cluster::Host::kPendingActiveCheck) != 0) return;
  bool failed = (host.flags() & cluster::Host::kFailedActiveCheck) != 0;
  v1::WorkloadReport::Health health = failed ? v1::WorkloadReport::UNHEALTHY : v1::WorkloadReport::HEALTHY;
  if (health == told_) return;
  told_ = health;
  reporter_.set_workload(
      health, failed ? text::cat("its application on ", host.address_text(), " fails its health check") : "");
}

}  // namespace weft::server
