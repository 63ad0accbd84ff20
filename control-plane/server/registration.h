#pragma once

// Notes which workloads come and go as their proxies' streams do: stands before the views, and hands each node on to
// them. One thread, the hub's.

#include <cstdint>
#include <deque>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "control-plane/base/clock.h"
#include "control-plane/compile/node.h"
#include "control-plane/registry/workloads.h"
#include "control-plane/server/drains.h"
#include "control-plane/xds/hub.h"

namespace weft::control::server {

class Registration : public xds::Views {
 public:
  // All outlive it.
  Registration(xds::Views& views, registry::Workloads& workloads, Drains& drains, base::Clock& clock)
      : views_(views), workloads_(workloads), drains_(drains), clock_(clock) {}

  absl::StatusOr<const snapshot::View*> acquire(const envoy::config::core::v3::Node& node) override;
  void release(const snapshot::View& view) override;
  // A workload is ready for others when its proxy runs the listener for them: one that it has only acknowledged may
  // refuse their connections still. That must do where a report is announced and does not come.
  void running(const snapshot::View& view, snapshot::Type type, const xds::Running& running) override;
  void reported(const snapshot::View& view, const v1::ReportRequest& report) override;

  // Waits no longer for reports that are overdue. When there is something to do, by the monotonic clock.
  void advance();
  std::optional<int64_t> due_ms() const;

 private:
  xds::Views& views_;
  registry::Workloads& workloads_;
  Drains& drains_;
  base::Clock& clock_;
  // By the view that is a node's own.
  absl::flat_hash_map<const snapshot::View*, registry::WorkloadName> names_;
  // Those that have acknowledged their listener and are yet to report, with when that is overdue; and the same in that
  // order, with some that no longer are.
  absl::flat_hash_map<const snapshot::View*, int64_t> unreported_;
  std::deque<std::pair<int64_t, const snapshot::View*>> overdue_;
};

// Nothing for a node that has no application.
std::optional<registry::WorkloadName> workload_name_of(const compile::NodeClaims& claims);

}  // namespace weft::control::server
