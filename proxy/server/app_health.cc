#include "proxy/server/app_health.h"

#include <utility>

#include "api/text/cat.h"

namespace weft::server {
namespace {

constexpr char kCluster[] = "inbound";

}  // namespace

void AppHealth::tick(bool reachable) {
  if (!reachable) return tell(v1::WorkloadReport::UNHEALTHY, "its proxy has no certificate that holds");
  auto found = clusters_.entries().find(kCluster);
  if (found == clusters_.entries().end() || found->second.active == nullptr) return;
  const cluster::Cluster& app = *found->second.active->cluster;
  if (app.config().health_checks.empty()) {
    // It counts as well until something else is told.
    if (told_ != v1::WorkloadReport::UNKNOWN) tell(v1::WorkloadReport::HEALTHY, "");
    return;
  }
  cluster::HostSetPtr hosts = app.hosts();
  if (hosts->priorities.empty() || hosts->priorities[0].empty()) return;
  const cluster::Host& host = *hosts->priorities[0][0];
  if ((host.flags() & cluster::Host::kPendingActiveCheck) != 0) return;
  bool failed = (host.flags() & cluster::Host::kFailedActiveCheck) != 0;
  tell(failed ? v1::WorkloadReport::UNHEALTHY : v1::WorkloadReport::HEALTHY,
       failed ? text::cat("its application on ", host.address_text(), " fails its health check") : "");
}

void AppHealth::tell(v1::WorkloadReport::Health health, std::string reason) {
  if (health == told_ && reason == reason_) return;
  told_ = health;
  reason_ = reason;
  reporter_.set_workload(health, std::move(reason));
}

}  // namespace weft::server
