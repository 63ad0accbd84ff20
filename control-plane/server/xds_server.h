#pragma once

// What nodes see of the control plane: discovery over gRPC, and the admin port. Everything is decided on a thread of
// its own, which start() begins and stop() ends. set_model() is safe on any thread; the rest is the owner's.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "control-plane/ca/server_certificate.h"
#include "control-plane/registry/model.h"
#include "control-plane/server/admin.h"
#include "control-plane/server/admission.h"
#include "control-plane/server/drains.h"
#include "control-plane/server/identity_service.h"
#include "control-plane/server/loop.h"
#include "control-plane/server/mesh.h"
#include "control-plane/server/mtls_store.h"
#include "control-plane/server/node_secrets.h"
#include "control-plane/server/registration.h"
#include "control-plane/server/workload_keeper.h"
#include "control-plane/server/workload_store.h"
#include "control-plane/xds/grpc_service.h"
#include "control-plane/xds/hub.h"

namespace grpc {
class Server;
class ServerCompletionQueue;
}  // namespace grpc

namespace weft::control::server {

class XdsServer {
 public:
  struct Addresses {
    // "host:port"; port 0 is any free one.
    std::string xds;
    std::string admin;
  };
  // Whom it lets in, and how it shows that it is the one.
  struct Security {
    ca::ServerCertificate certificate;
    ca::Tokens* tokens = nullptr;
    ca::Authority* authority = nullptr;
    // Null: no Kubernetes service accounts.
    ca::ServiceAccounts* accounts = nullptr;
  };

  // What became of workloads that announced themselves; called on a thread of its own, where it may wait.
  using OnWorkloads = WorkloadKeeper::OnWorkloads;

  // What is kept over restarts; from start() on they belong to a thread of XdsServer's.
  struct Stores {
    WorkloadStore& workloads;
    MtlsStore& mtls;
  };

  // The clock, the stores, the tokens and the authority outlive it. Without `security` streams are not encrypted, and
  // all may come in.
  XdsServer(base::Clock& clock, Mesh::Limits limits, int64_t workload_grace_ms, Stores stores,
            std::optional<Security> security);
  ~XdsServer();

  // Each newer model, with what is different from the one before; the first, against an empty one, before start(), so
  // that no node is ever told that there is nothing.
  void set_model(registry::ModelPointer model, registry::ChangeSet changed);

  // Those that the store knows; before start(). Their time of grace begins.
  absl::StatusOr<std::vector<registry::WorkloadChange>> restore_workloads();
  // How services were called when the control plane ended, of those in the first model; before set_model().
  absl::Status restore_calls(const registry::Model& first);
  // Before start().
  void set_on_workloads(OnWorkloads on_workloads) { on_workloads_ = std::move(on_workloads); }
  // What /metrics has beside what is of nodes, in the same form; called on the thread of XdsServer. Before start().
  void set_more_metrics(std::function<std::string()> metrics) { more_metrics_ = std::move(metrics); }

  // Where proxies' metrics go; it outlives the streams. Before start().
  void set_traffic(telemetry::Traffic* traffic) { service_.set_traffic(traffic); }

  // An error says which address could not be had. Afterwards addresses() has the ports.
  absl::Status start(const Addresses& addresses);
  const Addresses& addresses() const { return addresses_; }
  // Ends all streams.
  void stop();

  // Calls `task` on the hub's thread and returns when it has run. Not from that thread, and not after stop().
  void ask(const std::function<void(xds::Hub& hub)>& task);

 private:
  // What is due by now, or all that is new.
  void push(int64_t now_ms, bool hurries = false);
  void keep_calls();
  // What became of workloads has been handed on, and is in the model if it changed anything.
  void on_kept(const std::vector<registry::WorkloadChange>& changes);

  base::Clock& clock_;
  Loop loop_;
  const int64_t endpoints_at_most_ms_;
  Mesh mesh_;
  bool has_model_ = false;
  const int64_t workload_grace_ms_;
  registry::Workloads workloads_;
  const Stores stores_;
  OnWorkloads on_workloads_;
  WorkloadKeeper workload_keeper_;
  Drains drains_;
  Registration registration_;
  std::function<std::string()> more_metrics_;
  const std::optional<Security> security_;
  NodeSecrets secrets_;
  xds::Hub hub_;
  // Both null without security.
  const std::unique_ptr<Admission> admission_;
  const std::unique_ptr<IdentityService> identity_service_;
  xds::GrpcService service_;
  Admin admin_;
  Addresses addresses_;
  // Polled by the loop.
  std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  std::unique_ptr<grpc::Server> server_;
  std::thread thread_;
};

}  // namespace weft::control::server
