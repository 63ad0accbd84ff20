#pragma once

#include <string>

#include "proxy/config/dynamic/clusters.h"
#include "proxy/config/report/reporter.h"

// Tells the control plane how the application beside the proxy is, when it changes: the verdict of the active health
// checks of the cluster "inbound", which is how weft-control calls the one for it. Without a certificate nobody who
// means to call it by mutual TLS can, and so it is not well either. Main thread.

namespace weft::server {

class AppHealth {
 public:
  // Both outlive it.
  AppHealth(const config::Clusters& clusters, config::report::Reporter& reporter)
      : clusters_(clusters), reporter_(reporter) {}

  // Every half second or so. `reachable`: the proxy has a certificate, or is to have none.
  void tick(bool reachable);

 private:
  void tell(v1::WorkloadReport::Health health, std::string reason);

  const config::Clusters& clusters_;
  config::report::Reporter& reporter_;
  v1::WorkloadReport::Health told_ = v1::WorkloadReport::UNKNOWN;
  std::string reason_;
};

}  // namespace weft::server
