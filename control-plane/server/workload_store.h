#pragma once

// The workloads that were last known, so that a control plane that starts anew waits for them before it takes them
// away. A file of its own: they are no objects that people write, and have no revisions. Belongs to one thread.

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "control-plane/registry/workload.h"
#include "control-plane/source/sqlite/database.h"

namespace weft::control::server {

class WorkloadStore {
 public:
  // Creates the file if there is none; ":memory:" keeps nothing. Errors are Database's.
  static absl::StatusOr<std::unique_ptr<WorkloadStore>> open(const std::string& path);

  absl::StatusOr<std::vector<registry::Workload>> load();
  // All or none. Survives the process being killed; the machine may forget the last ones, which come again.
  absl::Status save(const std::vector<registry::WorkloadChange>& changes);

 private:
  explicit WorkloadStore(std::unique_ptr<source::sqlite::Database> database) : database_(std::move(database)) {}
  absl::Status write(const std::vector<registry::WorkloadChange>& changes);

  std::unique_ptr<source::sqlite::Database> database_;
};

}  // namespace weft::control::server
