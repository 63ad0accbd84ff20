#include "proxy/config/compile/stats_sinks.h"

#include "envoy/config/metrics/v3/metrics_service.pb.h"
#include "proxy/config/compile/config_source.h"

namespace weft::config {
namespace {

namespace metrics_v3 = envoy::config::metrics::v3;

constexpr int64_t kDefaultFlushMs = 5'000;
constexpr int64_t kLeastFlushMs = 1;
constexpr int64_t kMostFlushMs = 300'000;

}  // namespace

std::vector<std::string> compile_stats_sinks(Context& context) {
  std::vector<std::string> sinks;
  const auto& protos = context.bootstrap().stats_sinks();
  for (int i = 0; i < protos.size(); ++i) {
    std::string here = index_path("stats_sinks", static_cast<size_t>(i));
    if (!protos[i].has_typed_config()) {
      context.error(here, text::cat("sink \"", protos[i].name(), "\" has no typed_config"));
      continue;
    }
    metrics_v3::MetricsServiceConfig sink;
    // Another type was reported as unsupported before.
    if (!protos[i].typed_config().UnpackTo(&sink)) continue;
    here = field_path(here, "typed_config");
    if (sink.transport_api_version() == core_v3::V2) {
      context.error(field_path(here, "transport_api_version"), "expected V3, the only one there is");
    }
    core_v3::ApiConfigSource source;
    source.set_api_type(core_v3::ApiConfigSource::GRPC);
    *source.add_grpc_services() = sink.grpc_service();
    check_api_config_source(context, source, field_path(here, "grpc_service"));
    sinks.push_back(sink.SerializeAsString());
  }
  return sinks;
}

int64_t compile_stats_flush_interval_ms(Context& context) {
  const bootstrap_v3::Bootstrap& bootstrap = context.bootstrap();
  int64_t interval_ms = WEFT_MS_OR(bootstrap, stats_flush_interval, kDefaultFlushMs);
  if (interval_ms < kLeastFlushMs || interval_ms > kMostFlushMs) {
    context.error("stats_flush_interval", "expected 1 ms to 5 minutes");
    return kDefaultFlushMs;
  }
  return interval_ms;
}

}  // namespace weft::config
