#pragma once

#include <memory>
#include <string>

#include "proxy/server/admin_server.h"
#include "proxy/server/app_probes.h"

// The port at which a sidecar's platform asks how it and its application are: `/healthz/ready`, and the application's
// probes below /app-health/. It answers from the first moment of the start. Unlike the admin port it is reached from
// other hosts, and tells nothing else. Main thread.

namespace weft::server {

class Server;

class HealthPort {
 public:
  // `probes` may be nullptr. Both outlive it.
  HealthPort(event::LibeventLoop& loop, const Server& server, AppProbes* probes);
  // On all addresses of the host. The error names the address.
  absl::Status start(uint16_t port, bool ipv6);

 private:
  void answer(const AdminRequest& request, AdminReply reply);

  const Server& server_;
  AppProbes* probes_;
  AdminServer http_;
};

}  // namespace weft::server
