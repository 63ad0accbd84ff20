#include "control-plane/server/xds_server.h"

#include <grpcpp/server_builder.h>

#include <algorithm>
#include <future>
#include <utility>

#include "api/text/cat.h"
#include "control-plane/ca/origin.h"
#include "control-plane/server/status_pages.h"

namespace weft::control::server {

namespace {

constexpr int kKeepaliveMs = 30'000;
constexpr int kKeepaliveTimeoutMs = 10'000;
constexpr int kLeastPingMs = 5'000;

std::shared_ptr<grpc::ServerCredentials> credentials_of(const std::optional<XdsServer::Security>& security) {
  if (!security.has_value()) return grpc::InsecureServerCredentials();
  // Asked for and not demanded: who has none yet comes by a token. Whose it is, the admission judges for each stream;
  // that the caller has its key, the handshake has shown.
  grpc::SslServerCredentialsOptions options(GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_BUT_DONT_VERIFY);
  options.pem_key_cert_pairs.push_back({security->certificate.key_pem, security->certificate.certificate_pem});
  return grpc::SslServerCredentials(options);
}

constexpr int kMaxStreamsOfConnection = 100;
// Of one TLS record. A connection keeps several buffers that grow to its largest: so each is one page.
constexpr int kTlsRecordBytes = 3'072;

// With thousands of connections that mostly rest, what gRPC does for each of them beside the work is what they cost.
void set_limits(grpc::ServerBuilder& builder) {
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxStreamsOfConnection);
  // Requests are small: windows need not grow, and no ping is sent after what was read to find out by how much.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  // Statistics that nobody reads here; ours are on the admin port.
  builder.AddChannelArgument(GRPC_ARG_ENABLE_CHANNELZ, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CHANNEL_TRACE_EVENT_MEMORY_PER_NODE, 0);
  builder.AddChannelArgument(GRPC_ARG_TSI_MAX_FRAME_SIZE, kTlsRecordBytes);
  // Responses go as they were encoded, once for all.
  builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, 0);
}

std::optional<int64_t> earlier(std::optional<int64_t> a, std::optional<int64_t> b) {
  if (!a.has_value() || !b.has_value()) return a.has_value() ? a : b;
  return std::min(*a, *b);
}

}  // namespace

XdsServer::XdsServer(base::Clock& clock, Mesh::Limits limits, int64_t workload_grace_ms, Stores stores,
                     std::optional<Security> security)
    : clock_(clock),
      loop_(clock),
      endpoints_at_most_ms_(limits.endpoints.at_most_ms),
      mesh_(std::make_shared<registry::Model>(), limits),
      workload_grace_ms_(workload_grace_ms),
      workloads_(workload_grace_ms),
      stores_(stores),
      workload_keeper_(stores.workloads),
      registration_(mesh_, workloads_, drains_, clock),
      security_(std::move(security)),
      secrets_(registration_, mesh_, security_.has_value() ? security_->authority : nullptr, clock),
      hub_(secrets_, clock),
      admission_(security_.has_value() ? std::make_unique<Admission>(*security_->tokens, *security_->authority,
                                                                     security_->accounts, clock)
                                       : nullptr),
      identity_service_(security_.has_value() ? std::make_unique<IdentityService>(*admission_, *security_->authority)
                                              : nullptr),
      service_(
          hub_, [this](std::function<void()> task) { loop_.post(std::move(task)); }, admission_.get()),
      admin_([this](const std::string& path, Admin::Answer answer) {
        loop_.post([this, path, answer = std::move(answer)] {
          const ca::Authority* authority = security_.has_value() ? security_->authority : nullptr;
          std::optional<Page> page = status_page(path, hub_, mesh_, admission_.get(), authority);
          if (path == "/metrics" && page.has_value() && more_metrics_) page->body += more_metrics_();
          answer(std::move(page));
        });
      }) {
  if (!security_.has_value()) return;
  secrets_.set_roots(security_->authority->roots_pem());
  security_->authority->set_on_roots(
      [this](const std::string& roots_pem) { loop_.post([this, roots_pem] { secrets_.set_roots(roots_pem); }); });
  security_->tokens->set_on_revoked([this](const std::string& id) {
    service_.end_streams_of(ca::token_origin(id),
                            absl::UnauthenticatedError(text::cat("the join token ", id, " was revoked")));
  });
}

XdsServer::~XdsServer() { stop(); }

void XdsServer::set_model(registry::ModelPointer model, registry::ChangeSet changed) {
  if (admission_ != nullptr) admission_->set_model(model);
  const int64_t now_ms = loop_.now_ms();
  // Endpoints go along with those that wait already, if any do.
  const int64_t latest_ms = changed.has_rest() ? 0 : now_ms + endpoints_at_most_ms_;
  auto take = [this, model = std::move(model), changed = std::move(changed), committed_ms = now_ms]() mutable {
    hub_.rollouts().on_commit(model->revision, committed_ms);
    // What has waited here counts as waiting.
    mesh_.set(std::move(model), changed, committed_ms);
    if (std::exchange(has_model_, true)) return;
    // Nobody calls where no workload was.
    if (!workloads_.all().empty()) mesh_.await_returns(loop_.now_ms() + workload_grace_ms_);
    push(loop_.now_ms(), true);
  };
  loop_.post(std::move(take), latest_ms);
}

absl::StatusOr<std::vector<registry::WorkloadChange>> XdsServer::restore_workloads() {
  const absl::StatusOr<std::vector<registry::Workload>> known = stores_.workloads.load();
  if (!known.ok()) return known.status();
  workloads_.restore(*known, loop_.now_ms());
  return workloads_.take_changes();
}

absl::Status XdsServer::restore_calls(const registry::Model& first) {
  absl::StatusOr<CallStates> known = restore(stores_.mtls, first);
  if (!known.ok()) return known.status();
  mesh_.restore_calls(*std::move(known));
  return absl::OkStatus();
}

void XdsServer::keep_calls() {
  std::optional<MtlsSteps::ToKeep> calls = mesh_.take_calls_to_keep();
  if (!calls.has_value()) return;
  workload_keeper_.post([this, calls = *std::move(calls)] {
    keep(stores_.mtls, calls.changes);
    loop_.post([this, ticket = calls.ticket] { mesh_.calls_kept(ticket); });
  });
}

void XdsServer::push(int64_t now_ms, bool hurries) {
  const auto go_out = [this](std::optional<xds::Brought> brought) {
    const std::vector<const snapshot::View*> changed = mesh_.take_changed();
    if (!brought.has_value() && changed.empty()) return false;
    // Secrets are of no commit.
    hub_.push(brought.value_or(xds::Brought()), &changed);
    mesh_.pushed(hub_.rollouts().epoch());
    return true;
  };
  go_out(mesh_.advance(now_ms, hurries));
  // A step that concerns nobody is over at once.
  while (go_out(mesh_.advance_mtls(loop_.now_ms(), hub_.rollouts()))) {
  }
  keep_calls();
}

void XdsServer::on_kept(const std::vector<registry::WorkloadChange>& changes) {
  std::vector<registry::WorkloadName> draining;
  for (const registry::WorkloadChange& change : changes) {
    if (change.workload.has_value() && change.workload->draining) draining.push_back(change.name);
  }
  // After the model, which was posted first.
  if (!draining.empty()) loop_.post([this, draining = std::move(draining)] { drains_.on_model(draining); });
}

void XdsServer::ask(const std::function<void(xds::Hub& hub)>& task) {
  std::promise<void> done;
  loop_.post([&] {
    task(hub_);
    done.set_value();
  });
  done.get_future().wait();
}

absl::Status XdsServer::start(const Addresses& addresses) {
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(addresses.xds, credentials_of(security_), &port);
  // A proxy whose machine vanished without a word is missed.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  // Clients may look for us as often.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, kLeastPingMs);
  // Answered on threads of gRPC's own, none of which polls: the server has a queue that is polled already.
  if (identity_service_ != nullptr) builder.RegisterService(identity_service_.get());
  builder.RegisterAsyncGenericService(&service_.generic());
  set_limits(builder);
  queue_ = builder.AddCompletionQueue();
  workload_keeper_.start([this](const std::vector<registry::WorkloadChange>& changes) {
    if (on_workloads_) on_workloads_(changes);
    on_kept(changes);
  });
  server_ = builder.BuildAndStart();
  // The loop runs in any case: it serves whoever asks until stop(), and empties the queue.
  thread_ = std::thread([this, serves = server_ != nullptr] {
    if (serves) service_.start(*queue_);
    loop_.run(
        *queue_,
        [this](int64_t now_ms) {
          registration_.advance();
          workloads_.advance(now_ms);
          workload_keeper_.put(workloads_.take_changes());
          secrets_.advance();
          push(now_ms);
          for (const snapshot::View* view : drains_.take_over(mesh_, hub_.rollouts())) hub_.tell_drained(*view);
          hub_.rollouts().tell();
          const int64_t wall_ms = clock_.wall_ms();
          std::optional<int64_t> ends_ms = service_.end_streams_by(wall_ms);
          if (ends_ms.has_value()) ends_ms = now_ms + *ends_ms - wall_ms;
          for (const std::optional<int64_t> due_ms :
               {secrets_.due_ms(), mesh_.due_ms(), workloads_.due_ms(), registration_.due_ms()}) {
            ends_ms = earlier(ends_ms, due_ms);
          }
          return ends_ms;
        },
        [this] { return service_.is_idle(); });
  });
  if (server_ == nullptr) return absl::UnavailableError(text::cat("cannot listen on ", addresses.xds));
  if (absl::Status status = admin_.start(addresses.admin); !status.ok()) return status;
  addresses_ = {text::cat(addresses.xds.substr(0, addresses.xds.rfind(':')), ":", port), admin_.address()};
  return absl::OkStatus();
}

void XdsServer::stop() {
  if (security_.has_value()) {
    security_->tokens->set_on_revoked(nullptr);
    security_->authority->set_on_roots(nullptr);
  }
  if (server_ != nullptr) server_->Shutdown(gpr_time_0(GPR_CLOCK_REALTIME));
  admin_.stop();
  if (!thread_.joinable()) return;
  // Streams end on the loop's thread, which therefore ends last.
  loop_.stop();
  thread_.join();
  server_.reset();
  workload_keeper_.stop();
}

}  // namespace weft::control::server
