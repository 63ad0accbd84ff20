#include "control-plane/server/server.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>

#include "absl/synchronization/mutex.h"
#include "api/text/cat.h"
#include "control-plane/base/clock.h"
#include "control-plane/base/log.h"
#include "control-plane/base/random.h"
#include "control-plane/ca/authority.h"
#include "control-plane/ca/fetch.h"
#include "control-plane/ca/files.h"
#include "control-plane/ca/server_certificate.h"
#include "control-plane/ca/service_accounts.h"
#include "control-plane/ca/tokens.h"
#include "control-plane/server/authority_service.h"
#include "control-plane/server/config_directory.h"
#include "control-plane/server/control.h"
#include "control-plane/server/control_service.h"
#include "control-plane/server/control_socket.h"
#include "control-plane/server/proxies_service.h"
#include "control-plane/server/traffic_service.h"
#include "control-plane/server/webhook.h"
#include "control-plane/server/xds_server.h"
#include "control-plane/source/sqlite/sqlite_store.h"

namespace weft::control::server {

using text::cat;

namespace {

constexpr char kDatabase[] = "/weft.db";
constexpr char kAddresses[] = "/addresses.db";
constexpr char kWorkloads[] = "/workloads.db";
constexpr char kMtls[] = "/mtls.db";
constexpr char kTokens[] = "/tokens.db";
constexpr char kAuthority[] = "/ca.db";
constexpr char kAuthorityFolder[] = "/ca";

absl::StatusOr<std::unique_ptr<Control>> open(const Options& options) {
  std::error_code error;
  std::filesystem::create_directories(options.data_dir, error);
  if (error) return absl::UnavailableError(cat("cannot make ", options.data_dir, ": ", error.message()));
  auto store = source::sqlite::SqliteStore::open(options.data_dir + kDatabase);
  if (!store.ok()) return store.status();
  auto addresses = AddressStore::open(options.data_dir + kAddresses);
  if (!addresses.ok()) return addresses.status();
  return Control::create(*std::move(store), &base::system_clock(), *std::move(addresses));
}

absl::StatusOr<std::unique_ptr<ca::Tokens>> open_tokens(const Options& options) {
  auto store = ca::TokenStore::open(options.data_dir + kTokens);
  if (!store.ok()) return store.status();
  return ca::Tokens::create(*std::move(store), base::system_clock(), base::system_random());
}

absl::StatusOr<std::unique_ptr<ca::Authority>> open_authority(const Options& options) {
  auto store = ca::AuthorityStore::open(options.data_dir + kAuthority);
  if (!store.ok()) return store.status();
  return ca::Authority::open({.folder = options.data_dir + kAuthorityFolder,
                              .trust_domain = options.trust_domain,
                              .ttl_ms = options.certificate_ttl_ms,
                              .certificate_path = options.ca_certificate,
                              .key_path = options.ca_key,
                              .root_path = options.ca_root},
                             *std::move(store), base::system_clock(), base::system_random());
}

absl::StatusOr<std::unique_ptr<ca::ServiceAccounts>> open_service_accounts(const Options& options) {
  const std::string& where = options.kubernetes.jwks;
  if (where.empty()) return nullptr;
  ca::ServiceAccounts::Fetch read = [where] { return ca::read_file(where); };
  const bool is_url = where.find("://") != std::string::npos;
  if (is_url) {
    if (absl::Status status = ca::check_url(where); !status.ok()) return status;
    const ca::FetchOptions how{.root_path = options.kubernetes.jwks_root,
                               .token_path = options.kubernetes.jwks_token,
                               .max_bytes = ca::kMaxJwksBytes};
    read = [where, how] { return ca::fetch(where, how); };
  }
  auto accounts = std::make_unique<ca::ServiceAccounts>(options.kubernetes.issuer, options.kubernetes.audience, where,
                                                        std::move(read), base::system_clock());
  const absl::Status loaded = accounts->load();
  if (loaded.ok()) return accounts;
  // A server may come later than we; a file that is wrong stays so.
  if (!is_url) return loaded;
  base::log_warning(cat("service accounts are not known yet: ", loaded.message()));
  return accounts;
}

// By which clients may call this machine: the address's host, and the machine's own name.
std::vector<std::string> own_names(const std::string& address) {
  std::string host = address.substr(0, address.rfind(':'));
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  char name[HOST_NAME_MAX + 1] = "";
  gethostname(name, sizeof(name) - 1);
  return {host, name};
}

absl::StatusOr<ca::ServerCertificate> open_certificate(const Options& options) {
  if (!options.tls_certificate.empty()) return ca::load_certificate(options.tls_certificate, options.tls_key);
  return ca::load_or_make_certificate(options.data_dir, own_names(options.xds_address), base::system_clock().wall_ms());
}

// The directory's files in force, and its watcher; null without a directory, whose objects are then no more.
absl::StatusOr<std::unique_ptr<ConfigDirectory>> open_directory(const Options& options, Control* control) {
  if (options.config_dir.empty()) {
    if (absl::Status status = control->take_files({}); !status.ok()) return status;
    return nullptr;
  }
  auto directory = std::make_unique<ConfigDirectory>(options.config_dir, control, &base::system_clock());
  if (absl::Status status = directory->start(); !status.ok()) return status;
  return directory;
}

std::string directory_metrics(const DirectoryStatus& status) {
  return cat(
      "# HELP weft_control_directory_files Files of the watched directory.\n"
      "# TYPE weft_control_directory_files gauge\nweft_control_directory_files ",
      status.files,
      "\n# HELP weft_control_directory_files_refused Those that are not in force as they stand.\n"
      "# TYPE weft_control_directory_files_refused gauge\nweft_control_directory_files_refused ",
      status.refusals.size(),
      "\n# HELP weft_control_directory_refusals_total How often a file was refused.\n"
      "# TYPE weft_control_directory_refusals_total counter\nweft_control_directory_refusals_total ",
      status.refusals_total, "\n");
}

std::string traffic_metrics(const telemetry::Traffic::Now& now) {
  return cat(
      "# HELP weft_control_metrics_proxies Proxies that stream their metrics.\n"
      "# TYPE weft_control_metrics_proxies gauge\nweft_control_metrics_proxies ",
      now.proxies,
      "\n# HELP weft_control_metrics_edges Edges between services that are known of.\n"
      "# TYPE weft_control_metrics_edges gauge\nweft_control_metrics_edges ",
      now.edges.size(),
      "\n# HELP weft_control_metrics_dropped_series_total Sets of labels that there was no room for.\n"
      "# TYPE weft_control_metrics_dropped_series_total counter\nweft_control_metrics_dropped_series_total ",
      now.dropped_series, "\n");
}

int fail(const absl::Status& status) {
  base::log_error(std::string(status.message()));
  return 1;
}

}  // namespace

int run(const Options& options) {
  // The database, the socket and whatever else is made here is for the owner only.
  umask(0077);
  ControlSocket::choose_polling();
  // As the distribution builds it, each lock of gRPC's looks for cycles of locks: three per cent of all work
  // (tools/bench control, endpoint changes at 1,000 proxies).
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
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
  const auto mtls_store = MtlsStore::open(options.data_dir + kMtls);
  if (!mtls_store.ok()) return fail(mtls_store.status());
  const auto tokens = open_tokens(options);
  if (!tokens.ok()) return fail(tokens.status());
  std::optional<XdsServer::Security> security;
  std::unique_ptr<ca::Authority> authority;
  std::unique_ptr<ca::ServiceAccounts> accounts;
  if (!options.xds_insecure) {
    absl::StatusOr<std::unique_ptr<ca::Authority>> opened = open_authority(options);
    if (!opened.ok()) return fail(opened.status());
    authority = *std::move(opened);
    absl::StatusOr<std::unique_ptr<ca::ServiceAccounts>> known = open_service_accounts(options);
    if (!known.ok()) return fail(known.status());
    accounts = *std::move(known);
    absl::StatusOr<ca::ServerCertificate> certificate = open_certificate(options);
    if (!certificate.ok()) return fail(certificate.status());
    security = XdsServer::Security{*std::move(certificate), tokens->get(), authority.get(), accounts.get()};
  }
  const std::optional<ca::Digest> fingerprint =
      security.has_value() ? std::optional(security->certificate.fingerprint) : std::nullopt;
  telemetry::Traffic traffic(base::system_clock());
  Mesh::Limits limits = options.limits;
  limits.trust_domain = options.trust_domain;
  XdsServer xds(base::system_clock(), std::move(limits), options.workload_grace_ms, {**workload_store, **mtls_store},
                std::move(security));
  // Before the first model goes out, so that it has those that were known.
  const auto known = xds.restore_workloads();
  if (!known.ok()) return fail(known.status());
  (*control)->apply_workloads(*known);
  const auto webhook = start_webhook(options, [&options] { return open_certificate(options); });
  if (!webhook.ok()) return fail(webhook.status());
  // Goes before the one whom its changes reach.
  const auto directory = open_directory(options, control->get());
  if (!directory.ok()) return fail(directory.status());
  xds.set_more_metrics([&control, &traffic, &webhook] {
    return cat(directory_metrics((*control)->directory_status()), traffic_metrics(traffic.now(0)),
               *webhook == nullptr ? "" : (*webhook)->metrics());
  });
  const absl::Status restored = xds.restore_calls(*(*control)->model());
  if (!restored.ok()) return fail(restored);
  (*control)->set_on_model([&xds](const registry::ModelPointer& model, const registry::ChangeSet& changed) {
    xds.set_model(model, changed);
  });
  xds.set_on_workloads(
      [&control](const std::vector<registry::WorkloadChange>& changes) { (*control)->apply_workloads(changes); });
  ControlService service(control->get(), {tokens->get(), fingerprint}, version());
  ProxiesService proxies(xds, base::system_clock());
  ClientStatusService client_status(xds);
  AuthorityService authority_service(authority.get(), xds, base::system_clock());
  TrafficService traffic_service(traffic);
  xds.set_traffic(&traffic);
  const auto socket = ControlSocket::serve(options.control_socket,
                                           {&service, &proxies, &client_status, &authority_service, &traffic_service});
  if (!socket.ok()) return fail(socket.status());
  const absl::Status started = xds.start({options.xds_address, options.admin_address});
  if (!started.ok()) return fail(started);
  base::log_info(cat("xds listening on ", xds.addresses().xds, ", admin listening on ", xds.addresses().admin));
  if (*webhook != nullptr) base::log_info(cat("webhook listening on ", (*webhook)->address()));
  base::log_info(fingerprint.has_value() ? cat("streams are by TLS, with a join token or a certificate of ",
                                               options.trust_domain, "; the server certificate's SHA-256 is ",
                                               ca::to_hex(fingerprint->data(), fingerprint->size()))
                                         : "streams are neither encrypted nor asked for a token (--xds-insecure)");
  base::log_info(cat("weft-control ", version(), " serves weftctl on ", options.control_socket, " at revision ",
                     (*control)->revision()));
  int signal = 0;
  sigwait(&ends, &signal);
  base::log_info(cat("ends on ", strsignal(signal)));
  // Who waits for a commit to be applied waits no more.
  (*socket)->stop();
  return 0;
}

}  // namespace weft::control::server
