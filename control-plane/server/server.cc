#include "control-plane/server/server.h"

#include <grpcpp/grpcpp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>

#include "api/text/cat.h"
#include "control-plane/base/clock.h"
#include "control-plane/base/log.h"
#include "control-plane/server/control.h"
#include "control-plane/server/control_service.h"
#include "control-plane/server/xds_server.h"
#include "control-plane/source/sqlite/sqlite_store.h"

namespace weft::control::server {

using text::cat;

namespace {

constexpr int kMaxRequestBytes = 64 << 20;
constexpr char kDatabase[] = "/weft.db";
constexpr char kWorkloads[] = "/workloads.db";

absl::StatusOr<std::unique_ptr<Control>> open(const Options& options) {
  std::error_code error;
  std::filesystem::create_directories(options.data_dir, error);
  if (error) return absl::UnavailableError(cat("cannot make ", options.data_dir, ": ", error.message()));
  auto store = source::sqlite::SqliteStore::open(options.data_dir + kDatabase);
  if (!store.ok()) return store.status();
  return Control::create(*std::move(store), &base::system_clock());
}

absl::StatusOr<std::unique_ptr<grpc::Server>> serve(const std::string& socket, grpc::Service* service) {
  constexpr size_t kMaxPath = sizeof(sockaddr_un::sun_path) - 1;
  if (socket.size() > kMaxPath) {
    return absl::InvalidArgumentError(cat("the socket's path has ", socket.size(), " bytes, at most ", kMaxPath,
                                          " are possible: ", socket, "; name a shorter one by --control-socket"));
  }
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + socket, grpc::InsecureServerCredentials());
  builder.SetMaxReceiveMessageSize(kMaxRequestBytes);
  builder.RegisterService(service);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return absl::UnavailableError(cat("cannot listen on ", socket));
  return server;
}

int fail(const absl::Status& status) {
  base::log_error(std::string(status.message()));
  return 1;
}

}  // namespace

int run(const Options& options) {
  // The database, the socket and whatever else is made here is for the owner only.
  umask(0077);
  // Before any thread is, so that only sigwait takes them.
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);

  absl::StatusOr<std::unique_ptr<Control>> control = open(options);
  if (!control.ok()) return fail(control.status());
  const auto workload_store = WorkloadStore::open(options.data_dir + kWorkloads);
  if (!workload_store.ok()) return fail(workload_store.status());
  XdsServer xds(base::system_clock(), options.limits, options.workload_grace_ms, **workload_store);
  // Before the first model goes out, so that it has those that were known.
  const auto known = xds.restore_workloads();
  if (!known.ok()) return fail(known.status());
  (*control)->apply_workloads(*known);
  (*control)->set_on_model([&xds](const registry::ModelPointer& model, const registry::ChangeSet& changed) {
    xds.set_model(model, changed);
  });
  xds.set_on_workloads(
      [&control](const std::vector<registry::WorkloadChange>& changes) { (*control)->apply_workloads(changes); });
  ControlService service(control->get(), version());
  const auto server = serve(options.control_socket, &service);
  if (!server.ok()) return fail(server.status());
  const absl::Status started = xds.start({options.xds_address, options.admin_address});
  if (!started.ok()) return fail(started);
  base::log_info(cat("xds listening on ", xds.addresses().xds, ", admin listening on ", xds.addresses().admin));
  base::log_info(cat("weft-control ", version(), " serves weftctl on ", options.control_socket, " at revision ",
                     (*control)->revision()));
  int signal = 0;
  sigwait(&ends, &signal);
  base::log_info(cat("ends on ", strsignal(signal)));
  (*server)->Shutdown();
  return 0;
}

}  // namespace weft::control::server
