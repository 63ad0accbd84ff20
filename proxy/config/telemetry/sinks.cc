#include "proxy/config/telemetry/sinks.h"

#include "envoy/config/bootstrap/v3/bootstrap.pb.h"
#include "envoy/config/metrics/v3/metrics_service.pb.h"
#include "proxy/base/assert.h"
#include "proxy/config/xds/api_config_source.h"

namespace weft::config::telemetry {
namespace {

namespace metrics_v3 = envoy::config::metrics::v3;

MetricWriter::Options writer_options(const metrics_v3::MetricsServiceConfig& sink) {
  MetricWriter::Options options;
  options.counters_as_deltas = sink.report_counters_as_deltas().value();
  options.tags_as_labels = sink.emit_tags_as_labels();
  options.summaries = sink.histogram_emit_mode() != metrics_v3::HISTOGRAM;
  options.histograms = sink.histogram_emit_mode() != metrics_v3::SUMMARY;
  options.batch_size = sink.batch_size();
  return options;
}

}  // namespace

Sinks::Sinks(pool::WorkerContext& context, const Options& options, const MetricsStream::Read& read) {
  if (options.metrics_services.empty()) return;
  envoy::config::bootstrap::v3::Bootstrap bootstrap;
  WEFT_ASSERT(bootstrap.ParseFromString(options.bootstrap));
  for (const std::string& each : options.metrics_services) {
    metrics_v3::MetricsServiceConfig sink;
    WEFT_ASSERT(sink.ParseFromString(each));
    envoy::config::core::v3::ApiConfigSource source;
    source.set_api_type(envoy::config::core::v3::ApiConfigSource::GRPC);
    *source.add_grpc_services() = sink.grpc_service();
    xds::ApiConfigContext read_context{bootstrap.node(), options.find_cluster, [](std::string_view, std::string_view) {
                                         WEFT_ASSERT(!"refused by the compiler before");
                                       }};
    xds::GrpcSourceOptions server = xds::read_api_config_source(read_context, source, "");
    streams_.push_back(std::make_unique<MetricsStream>(
        context, MetricsStream::Options{writer_options(sink), options.flush_interval_ms}, read));
    streams_.back()->start(server.control_planes.front(), server.conversation.node);
  }
}

}  // namespace weft::config::telemetry
