#include "control-plane/server/registration.h"

#include <string>
#include <utility>

#include "control-plane/compile/names.h"

namespace weft::control::server {

namespace {

// A proxy's report begins right after the first response.
constexpr int64_t kReportPatienceMs = 5'000;

}  // namespace

std::optional<registry::WorkloadName> workload_name_of(const compile::NodeClaims& claims) {
  if (!claims.inbound.has_value() || claims.inbound->app_port == 0) return std::nullopt;
  return registry::WorkloadName{
      .namespace_name = claims.audience.namespace_name, .service = claims.service, .node = claims.id};
}

absl::StatusOr<const snapshot::View*> Registration::acquire(const envoy::config::core::v3::Node& node) {
  const absl::StatusOr<compile::NodeClaims> claims = compile::read_node(node);
  if (!claims.ok()) return claims.status();
  const absl::StatusOr<const snapshot::View*> view = views_.acquire(node);
  std::optional<registry::WorkloadName> name = workload_name_of(*claims);
  if (!view.ok() || !name.has_value()) return view;
  const compile::Inbound& inbound = *claims->inbound;
  const bool is_checked = inbound.health.kind != compile::HealthProbe::Kind::kNone;
  // Rules of the kernel bring to the proxy what is sent to the application.
  const uint16_t port = inbound.intercepted ? inbound.app_port : inbound.port;
  workloads_.connected({.name = *name,
                        .labels = {claims->workload, claims->service_account},
                        .address = inbound.address,
                        .port = port,
                        .app_port = inbound.app_port,
                        .takes_all_ports = inbound.intercepted,
                        .mtls = inbound.mtls},
                       is_checked);
  names_.emplace(*view, *std::move(name));
  return view;
}

void Registration::release(const snapshot::View& view) {
  if (const auto name = names_.find(&view); name != names_.end()) {
    workloads_.disconnected(name->second, clock_.monotonic_ms());
    names_.erase(name);
    unreported_.erase(&view);
  }
  drains_.forget(view);
  views_.release(view);
}

void Registration::running(const snapshot::View& view, snapshot::Type type, const xds::Running& running) {
  if (type != snapshot::Type::kListener) return;
  const auto name = names_.find(&view);
  if (name == names_.end()) return;
  const std::string listener(compile::kInbound);
  if (running.may_have(type, listener)) {
    const auto [waits, is_new] = unreported_.try_emplace(&view, clock_.monotonic_ms() + kReportPatienceMs);
    if (is_new) overdue_.emplace_back(waits->second, &view);
    return;
  }
  unreported_.erase(&view);
  if (running.has(type, listener)) workloads_.set_listening(name->second);
}

void Registration::advance() {
  while (!overdue_.empty() && overdue_.front().first <= clock_.monotonic_ms()) {
    const auto [overdue_ms, view] = overdue_.front();
    overdue_.pop_front();
    const auto waits = unreported_.find(view);
    if (waits == unreported_.end() || waits->second != overdue_ms) continue;
    unreported_.erase(waits);
    workloads_.set_listening(names_.at(view));
  }
}

std::optional<int64_t> Registration::due_ms() const {
  if (overdue_.empty()) return std::nullopt;
  return overdue_.front().first;
}

void Registration::reported(const snapshot::View& view, const v1::ReportRequest& report) {
  const auto name = names_.find(&view);
  if (report.process().draining()) {
    drains_.begin(view, name == names_.end() ? std::nullopt : std::optional(name->second));
  }
  if (name == names_.end()) return;
  if (report.process().draining()) workloads_.set_draining(name->second);
  if (report.workload().health() == v1::WorkloadReport::UNKNOWN) return;
  workloads_.set_health(name->second, report.workload().health() == v1::WorkloadReport::HEALTHY,
                        report.workload().reason());
}

}  // namespace weft::control::server
