#pragma once

// `weftctl get workloads`: who announced itself to the control plane, and whether calls go there. Main thread.

#include <string>

#include "weft/v1/control.grpc.pb.h"

namespace weft::weftctl {

struct WorkloadQuery {
  bool all_namespaces = false;
  // "default" if empty.
  std::string namespace_name;
  // "json", "yaml", or empty for a table.
  std::string output;
};

// Returns the process's exit code (client.h).
int get_workloads(const WorkloadQuery& query, v1::Control::Stub* stub, const std::string& socket);

}  // namespace weft::weftctl
