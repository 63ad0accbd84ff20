#include "proxy/config/telemetry/metrics_stream.h"

#include <utility>

#include "api/text/cat.h"
#include "proxy/base/log.h"

namespace weft::config::telemetry {
namespace {

constexpr char kPath[] = "/envoy.service.metrics.v3.MetricsService/StreamMetrics";
// How weft-control calls itself (ControlPlane.identifier).
constexpr std::string_view kServerName = "weft-control";
constexpr int64_t kBackoffBaseMs = 500;
constexpr int64_t kBackoffMaxMs = 30'000;
// gRPC's status code.
constexpr int kUnimplemented = 12;
constexpr int64_t kNsPerMs = 1'000'000;

}  // namespace

MetricsStream::MetricsStream(pool::WorkerContext& context, Options options, Read read)
    : context_(context),
      options_(options),
      read_(std::move(read)),
      writer_(options.writer),
      backoff_(kBackoffBaseMs, kBackoffMaxMs),
      retry_timer_(context.loop.timers(), base::bind<&MetricsStream::connect>(this)),
      flush_timer_(context.loop.timers(), base::bind<&MetricsStream::flush>(this)) {}

MetricsStream::~MetricsStream() { stop(); }

void MetricsStream::start(const xds::ControlPlane& server, const envoy::config::core::v3::Node& node) {
  stop();
  server_ = server;
  server_->call.path = kPath;
  node_ = node;
  backoff_.reset();
  connect();
}

void MetricsStream::stop() {
  if (stream_ != nullptr) std::exchange(stream_, nullptr)->cancel();
  retry_timer_.disarm();
  flush_timer_.disarm();
  server_.reset();
}

void MetricsStream::connect() { stream_ = call::GrpcStream::start(context_, server_->cluster, server_->call, *this); }

void MetricsStream::on_grpc_open() {
  first_ = true;
  flush();
}

void MetricsStream::flush() {
  flush_timer_.arm(options_.flush_interval_ms);
  // What is not sent now is in the next flush.
  if (stream_->blocked()) return;
  Metrics metrics = read_();
  std::vector<MetricWriter::Message> messages =
      writer_.write({metrics.families, metrics.hops.get(), metrics.rules}, context_.loop.wall_ns() / kNsPerMs, first_);
  for (MetricWriter::Message& message : messages) {
    if (std::exchange(first_, false)) {
      *message.mutable_identifier()->mutable_node() = node_;
    } else if (message.envoy_metrics().empty()) {
      continue;
    }
    stream_->send(message.SerializeAsString());
  }
}

void MetricsStream::on_grpc_end(const call::GrpcEnd& end) {
  stream_ = nullptr;
  flush_timer_.disarm();
  std::string who = text::cat("metrics: \"", server_->cluster->name(), "\"");
  if (end.status == kUnimplemented) {
    base::log_info(text::cat(who, " takes no metrics: ", end.reason));
    return;
  }
  // A stream that lasted shows that the server is well.
  if (!first_) backoff_.reset();
  int64_t delay_ms = backoff_.next_ms(context_.random);
  base::log_info(text::cat(who, " ended the stream of metrics: ", end.reason, "; again in ", delay_ms, " ms"));
  retry_timer_.arm(delay_ms);
}

MeshMetrics::MeshMetrics(pool::WorkerContext& context, int64_t flush_interval_ms, MetricsStream::Read read)
    : wanted_(flush_interval_ms > 0),
      stream_(context, {.writer = {.hops_only = true}, .flush_interval_ms = flush_interval_ms}, std::move(read)) {}

void MeshMetrics::on_connected(const xds::ControlPlane& control_plane, const envoy::config::core::v3::Node& node,
                               std::string_view server_name) {
  if (server_name != kServerName || !wanted_) return stream_.stop();
  stream_.start(control_plane, node);
}

}  // namespace weft::config::telemetry
