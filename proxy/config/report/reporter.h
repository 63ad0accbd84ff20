#pragma once

#include <string>

#include "proxy/base/callback.h"
#include "proxy/config/report/conversation.h"
#include "proxy/config/xds/grpc_source.h"
#include "proxy/event/rounds.h"

// Tells a control plane of ours what the proxy runs, on a stream beside the discovery stream: to the same control
// plane, and as long as that one lasts. What changes in a turn is told together, once all workers have it. Main thread.

namespace weft::config::report {

class Reporter final : public ResourceWatcher,
                       public xds::ConnectionWatcher,
                       private call::GrpcStream::Events,
                       private event::TurnEndTask {
 public:
  // All of them outlive it; `context.worker` is the main thread's. `workers`: the loops that something must have
  // reached to be in force.
  Reporter(pool::WorkerContext& context, const Inventory& inventory, Conversation::Process process,
           std::vector<event::Loop*> workers);
  ~Reporter();

  void on_resource_changed(const ResourceKey& key) override;
  // A control plane that is not weft-control is never called.
  void on_connected(const xds::ControlPlane& control_plane, const envoy::config::core::v3::Node& node,
                    std::string_view server_name) override;
  void on_disconnected() override;
  // The workers run.
  void set_serving();
  // A control plane listens to what is told.
  bool connected() const { return open_; }
  // The process is about to end. `on_drained` is called, at most once, when those who called this workload know it; not
  // at all if the control plane does not tell.
  void set_draining(base::Callback<void()> on_drained);
  // How the application beside the proxy is, where somebody checks it.
  void set_workload(v1::WorkloadReport::Health health, std::string reason);

 private:
  void connect();
  void disconnect();
  void send_soon() { context_.loop.at_turn_end(*this); }
  void on_grpc_open() override;
  void on_grpc_message(std::string_view message) override;
  void on_grpc_end(const call::GrpcEnd& end) override;
  void on_turn_end() override;
  void on_round_ended();
  void ended(int status, std::string_view reason);

  pool::WorkerContext& context_;
  Conversation conversation_;
  event::Rounds rounds_;
  xds::Backoff backoff_;
  event::Timer retry_timer_;
  std::optional<xds::ControlPlane> control_plane_;  // While the discovery stream is there.
  envoy::config::core::v3::Node node_;
  call::GrpcStream* stream_ = nullptr;
  bool open_ = false;
  base::Callback<void()> on_drained_;
};

}  // namespace weft::config::report
