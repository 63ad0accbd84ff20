#pragma once

#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "proxy/call/grpc_stream.h"
#include "proxy/cluster/cluster.h"
#include "proxy/config/xds/conversation.h"
#include "proxy/config/xds/credentials.h"
#include "proxy/config/xds/duration.h"
#include "proxy/config/xds/pace.h"
#include "proxy/config/xds/subscription.h"
#include "proxy/observe/stats.h"
#include "proxy/pool/worker_context.h"

// Configuration from control planes over gRPC: one aggregated stream for all types, or one for each type. Connects with
// the first subscription, comes back by exponential backoff after whatever ended the stream, at the next control plane
// if there are several. Main thread.

namespace weft::config::xds {

struct ControlPlane {
  cluster::ClusterPtr cluster;
  call::GrpcCall call;                 // But for its path; start() is given call_to() of it.
  Credentials* credentials = nullptr;  // Outlives it; nullptr: the call's metadata say who calls, if anything does.
};

// The call as it is to be made now.
call::GrpcCall call_to(const ControlPlane& control_plane, std::string_view path);

// Of the requests on one stream; RateLimitSettings.
struct RateLimit {
  uint32_t max_tokens = 100;
  double per_second = 10;
};

// Who wants to know to which control plane the aggregated stream is connected. `control_plane` lives on only in copies.
class ConnectionWatcher {
 public:
  // The control plane has answered for the first time, and called itself `server_name` (ControlPlane.identifier) if at
  // all.
  virtual void on_connected(const ControlPlane& control_plane, const envoy::config::core::v3::Node& node,
                            std::string_view server_name) = 0;
  // After on_connected().
  virtual void on_disconnected() = 0;

 protected:
  ~ConnectionWatcher() = default;
};

struct GrpcSourceOptions {
  std::vector<ControlPlane> control_planes;  // At least one.
  bool delta = false;
  bool aggregated = true;
  ConversationOptions conversation;
  int64_t initial_fetch_timeout_ms = kInitialFetchTimeoutMs;
  int64_t backoff_base_ms = 500;
  int64_t backoff_max_ms = 30'000;
  std::optional<RateLimit> rate_limit;
  ConnectionWatcher* watcher = nullptr;  // Outlives the source. Only where it is aggregated.
};

// Counts the streams to control planes, those of all sources together: "connected" are they while each one is open.
class StreamStates {
 public:
  explicit StreamStates(observe::ControlPlaneStats& stats) : stats_(stats) {}
  observe::ControlPlaneStats& stats() { return stats_; }
  void change(int streams, int open) {
    streams_ += streams;
    open_ += open;
    stats_.connected_state.set(streams_ > 0 && open_ == streams_);
  }

 private:
  observe::ControlPlaneStats& stats_;
  int streams_ = 0;
  int open_ = 0;
};

class GrpcSource final : public Source {
 public:
  // `context`, `consumer` and `states` outlive it; `context.worker` is the main thread's.
  GrpcSource(pool::WorkerContext& context, Consumer& consumer, GrpcSourceOptions options, StreamStates& states);
  ~GrpcSource() override;

  void subscribe(Type type, std::vector<std::string> names) override {
    subscribe_within(type, std::move(names), options_.initial_fetch_timeout_ms);
  }
  // The same with a timeout of its own for what is new among the names; milliseconds, 0: none.
  void subscribe_within(Type type, std::vector<std::string> names, int64_t initial_fetch_timeout_ms);
  // Nothing of the type is wanted any more. A stream of its own ends; on the aggregated one names are given up, but
  // for listeners and clusters, where no names would mean all.
  void unsubscribe(Type type);
  bool connected() const override;

 private:
  class Channel;

  pool::WorkerContext& context_;
  Consumer& consumer_;
  GrpcSourceOptions options_;
  StreamStates& states_;
  std::array<std::unique_ptr<Channel>, kTypes> channels_;  // Aggregated: the first for all.
};

}  // namespace weft::config::xds
