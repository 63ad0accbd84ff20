#pragma once

#include <list>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "proxy/base/random.h"
#include "proxy/cluster/health_check.h"
#include "proxy/server/admin_server.h"

// The application's probes, which its platform asks the proxy for, because the application itself takes nothing but
// what the mesh lets in: each path stands for one check, made when it is asked for. Main thread.

namespace weft::server {

struct AppProbe {
  cluster::HealthCheckPolicy policy;
  transport::Address address;
  bool tls = false;  // Whose certificate is not verified, as a kubelet does not.
};

// By path. `json` as control-plane/inject/README.md has it for WEFT_APP_PROBES; `own` is where an application listens
// that has no other host. Errors name the path and the field.
absl::StatusOr<std::map<std::string, AppProbe>> parse_app_probes(const std::string& json,
                                                                 const transport::Address& own);

class AppProbes {
 public:
  // `own_source`: connections to the host's own addresses come from where interception lets them pass.
  AppProbes(event::LibeventLoop& loop, base::Random& random, std::map<std::string, AppProbe> probes, bool own_source);
  ~AppProbes();
  // 200 if the application answered well in time, 503 if not, 404 if there is no such probe.
  void check(const std::string& path, AdminReply reply);

 private:
  struct Running {
    cluster::ClusterPtr cluster;
    std::unique_ptr<cluster::HealthChecker> checker;
    AdminReply reply;
  };
  void conclude(std::list<Running>::iterator running);

  event::LibeventLoop& loop_;
  base::Random& random_;
  const std::map<std::string, AppProbe> probes_;
  const bool own_source_;
  std::list<Running> running_;
};

}  // namespace weft::server
