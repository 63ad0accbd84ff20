#include "control-plane/server/proxies_service.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "control-plane/server/client_status.h"
#include "control-plane/server/proxy_messages.h"
#include "control-plane/xds/grpc_status.h"

namespace weft::control::server {

using xds::to_grpc;

namespace {

constexpr int64_t kDefaultTimeoutMs = 30'000;
constexpr int64_t kMaxTimeoutMs = 24 * 3'600'000;
// How often a call that waits looks whether its caller is still there.
constexpr std::chrono::milliseconds kLook{200};

// The newest progress of a commit, from the hub's thread to the call's.
struct Mailbox {
  void put(v1::RolloutProgress progress) {
    const std::lock_guard lock(mutex);
    newest = std::move(progress);
    arrived.notify_one();
  }
  std::optional<v1::RolloutProgress> take() {
    std::unique_lock lock(mutex);
    arrived.wait_for(lock, kLook, [this] { return newest.has_value(); });
    return std::exchange(newest, std::nullopt);
  }

  std::mutex mutex;
  std::condition_variable arrived;
  std::optional<v1::RolloutProgress> newest;
};

}  // namespace

grpc::Status ProxiesService::Status(grpc::ServerContext*, const v1::ProxyStatusRequest* request,
                                    v1::ProxyStatusResponse* response) {
  xds_.ask([&](xds::Hub& hub) { *response = proxy_status(hub, request->proxy()); });
  return grpc::Status::OK;
}

grpc::Status ProxiesService::Config(grpc::ServerContext*, const v1::ProxyConfigRequest* request,
                                    v1::ProxyConfigResponse* response) {
  absl::StatusOr<v1::ProxyConfigResponse> config;
  xds_.ask([&](xds::Hub& hub) { config = proxy_config(hub, *request); });
  if (!config.ok()) return to_grpc(config.status());
  *response = *std::move(config);
  return grpc::Status::OK;
}

grpc::Status ProxiesService::Await(grpc::ServerContext* context, const v1::AwaitRequest* request,
                                   grpc::ServerWriter<v1::RolloutProgress>* writer) {
  const int64_t asked_ms = request->has_timeout()
                               ? google::protobuf::util::TimeUtil::DurationToMilliseconds(request->timeout())
                               : kDefaultTimeoutMs;
  const int64_t deadline_ms = clock_.monotonic_ms() + std::clamp(asked_ms, int64_t{0}, kMaxTimeoutMs);
  const auto mailbox = std::make_shared<Mailbox>();
  uint64_t watch = 0;
  xds_.ask([&](xds::Hub& hub) {
    const auto tell = [mailbox, &hub, revision = request->revision()] {
      mailbox->put(rollout_progress(hub, revision));
    };
    watch = hub.rollouts().watch(request->revision(), tell);
    tell();
  });
  v1::RolloutProgress last;
  bool is_heard = true;
  while (is_heard && !context->IsCancelled() && last.state() == v1::RolloutProgress::RUNNING) {
    std::optional<v1::RolloutProgress> newest = mailbox->take();
    if (newest.has_value()) {
      last = *std::move(newest);
    } else if (clock_.monotonic_ms() < deadline_ms) {
      continue;
    }
    const bool is_over = clock_.monotonic_ms() >= deadline_ms;
    if (is_over && last.state() == v1::RolloutProgress::RUNNING) {
      // Those who are left may have come further since a number changed.
      xds_.ask([&](xds::Hub& hub) { last = rollout_progress(hub, request->revision()); });
      if (last.state() == v1::RolloutProgress::RUNNING) last.set_state(v1::RolloutProgress::TIMED_OUT);
    }
    is_heard = writer->Write(last);
  }
  xds_.ask([&](xds::Hub& hub) { hub.rollouts().unwatch(watch); });
  return grpc::Status::OK;
}

grpc::Status ClientStatusService::FetchClientStatus(grpc::ServerContext*, const Request* request, Response* response) {
  absl::StatusOr<Response> made;
  xds_.ask([&](xds::Hub& hub) { made = client_status(hub, *request); });
  if (!made.ok()) return to_grpc(made.status());
  *response = *std::move(made);
  return grpc::Status::OK;
}

grpc::Status ClientStatusService::StreamClientStatus(grpc::ServerContext* context,
                                                     grpc::ServerReaderWriter<Response, Request>* stream) {
  Request request;
  while (stream->Read(&request)) {
    Response response;
    if (grpc::Status status = FetchClientStatus(context, &request, &response); !status.ok()) return status;
    if (!stream->Write(response)) break;
  }
  return grpc::Status::OK;
}

}  // namespace weft::control::server
