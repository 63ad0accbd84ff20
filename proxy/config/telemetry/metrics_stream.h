#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "proxy/config/telemetry/metric_writer.h"
#include "proxy/config/xds/grpc_source.h"

// Streams the proxy's metrics to a server that speaks Envoy's metrics service, a flush every so often; comes back by
// backoff after whatever ended the stream. Nothing waits for it: a server that does not take what was sent is sent
// nothing more until it does. Main thread.

namespace weft::config::telemetry {

class MetricsStream : private call::GrpcStream::Events {
 public:
  struct Options {
    MetricWriter::Options writer;
    int64_t flush_interval_ms = 5'000;
  };
  // What is to be told of, as it is when it is told.
  struct Metrics {
    std::vector<const observe::FamilyBase*> families;
    std::shared_ptr<const observe::HopMetrics> hops;
    const observe::StatsRules* rules = nullptr;
  };
  using Read = std::function<Metrics()>;

  // `context` outlives it; `context.worker` is the main thread's.
  MetricsStream(pool::WorkerContext& context, Options options, Read read);
  ~MetricsStream();

  // Calls this server, in the name of this node, from now on.
  void start(const xds::ControlPlane& server, const envoy::config::core::v3::Node& node);
  void stop();

 private:
  void connect();
  void flush();
  void on_grpc_open() override;
  void on_grpc_message(std::string_view) override {}
  void on_grpc_end(const call::GrpcEnd& end) override;

  pool::WorkerContext& context_;
  const Options options_;
  const Read read_;
  MetricWriter writer_;
  xds::Backoff backoff_;
  event::Timer retry_timer_;
  event::Timer flush_timer_;
  std::optional<xds::ControlPlane> server_;
  envoy::config::core::v3::Node node_;
  call::GrpcStream* stream_ = nullptr;
  bool first_ = false;  // Nothing was sent on this stream yet.
};

// Streams to the mesh's own control plane, beside the discovery stream and for as long, what rates and quantiles of
// hops are made of.
class MeshMetrics final : public xds::ConnectionWatcher {
 public:
  // An interval of 0: nothing is told.
  MeshMetrics(pool::WorkerContext& context, int64_t flush_interval_ms, MetricsStream::Read read);
  // A control plane that is not weft-control is not called.
  void on_connected(const xds::ControlPlane& control_plane, const envoy::config::core::v3::Node& node,
                    std::string_view server_name) override;
  void on_disconnected() override { stream_.stop(); }

 private:
  const bool wanted_;
  MetricsStream stream_;
};

}  // namespace weft::config::telemetry
