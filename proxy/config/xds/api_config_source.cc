#include "proxy/config/xds/api_config_source.h"

#include "api/text/cat.h"
#include "api/text/position.h"
#include "proxy/config/xds/duration.h"

namespace weft::config::xds {
namespace {

namespace core_v3 = envoy::config::core::v3;
using text::field_path;

void read_type(const ApiConfigContext& context, const core_v3::ApiConfigSource& source, std::string_view path,
               GrpcSourceOptions& options) {
  switch (source.api_type()) {
    case core_v3::ApiConfigSource::GRPC:
      break;
    case core_v3::ApiConfigSource::DELTA_GRPC:
      options.delta = true;
      break;
    case core_v3::ApiConfigSource::AGGREGATED_GRPC:
    case core_v3::ApiConfigSource::AGGREGATED_DELTA_GRPC:
      // For resources named by xdstp:// alone; Envoy refuses them in these places, too.
      context.error(field_path(path, "api_type"),
                    text::cat(core_v3::ApiConfigSource::ApiType_Name(source.api_type()),
                              " is not supported; a resource of the aggregated stream says `ads: {}`"));
      break;
    default:
      context.error(field_path(path, "api_type"), text::cat(core_v3::ApiConfigSource::ApiType_Name(source.api_type()),
                                                            " is not supported, expected GRPC or DELTA_GRPC"));
  }
  if (source.transport_api_version() == core_v3::V2) {
    context.error(field_path(path, "transport_api_version"), "expected V3, the only one there is");
  }
}

void read_backoff(const ApiConfigContext& context, const core_v3::GrpcService::EnvoyGrpc& grpc, std::string_view path,
                  GrpcSourceOptions& options) {
  if (!grpc.has_retry_policy()) return;
  std::string here = field_path(path, "retry_policy");
  core_v3::RetryPolicy rest = grpc.retry_policy();
  rest.clear_retry_back_off();
  if (rest.ByteSizeLong() != 0) context.error(here, "of its fields only retry_back_off is supported");
  if (!grpc.retry_policy().has_retry_back_off()) return;
  const core_v3::BackoffStrategy& strategy = grpc.retry_policy().retry_back_off();
  here = field_path(here, "retry_back_off");
  options.backoff_base_ms = to_ms(strategy.base_interval());
  options.backoff_max_ms = strategy.has_max_interval() ? to_ms(strategy.max_interval()) : options.backoff_base_ms * 10;
  if (options.backoff_base_ms <= 0) context.error(field_path(here, "base_interval"), "must be at least 1 ms");
  if (options.backoff_max_ms < options.backoff_base_ms) {
    context.error(field_path(here, "max_interval"), "must not be below base_interval");
  }
}

void read_service(const ApiConfigContext& context, const core_v3::GrpcService& service, std::string_view path,
                  GrpcSourceOptions& options) {
  if (!service.has_envoy_grpc()) {
    return context.error(path, "expected envoy_grpc: the proxy calls its control plane through a cluster of its own");
  }
  if (service.has_timeout()) context.error(field_path(path, "timeout"), "a stream of configuration has no end");
  if (service.has_retry_policy()) {
    context.error(field_path(path, "retry_policy"), "is not supported; envoy_grpc.retry_policy is");
  }
  const core_v3::GrpcService::EnvoyGrpc& grpc = service.envoy_grpc();
  std::string here = field_path(path, "envoy_grpc");
  ControlPlane plane;
  absl::StatusOr<cluster::ClusterPtr> cluster = context.find_cluster(grpc.cluster_name());
  if (cluster.ok()) {
    plane.cluster = *std::move(cluster);
  } else {
    context.error(field_path(here, "cluster_name"), std::string(cluster.status().message()));
  }
  plane.call.authority = grpc.authority();
  if (grpc.has_max_receive_message_length()) {
    plane.call.max_message_bytes = grpc.max_receive_message_length().value();
  }
  for (const auto& header : service.initial_metadata()) {
    plane.call.metadata.emplace_back(header.key(), header.raw_value().empty() ? header.value() : header.raw_value());
  }
  read_backoff(context, grpc, here, options);
  options.control_planes.push_back(std::move(plane));
}

// What the server may count on when it answers (Envoy's "Well Known Client Features", and one of ours, for
// api/weft/v1/report.proto).
core_v3::Node node_of(const core_v3::Node& given) {
  core_v3::Node node = given;
  if (node.user_agent_name().empty()) node.set_user_agent_name("weft-proxy");
  for (const char* feature : {"xds.config.supports-resource-ttl", "xds.config.resource-in-sotw", "weft.reports"}) {
    node.add_client_features(feature);
  }
  return node;
}

}  // namespace

GrpcSourceOptions read_api_config_source(const ApiConfigContext& context, const core_v3::ApiConfigSource& source,
                                         std::string_view path) {
  GrpcSourceOptions options;
  read_type(context, source, path, options);
  if (source.cluster_names_size() != 0) {
    context.error(field_path(path, "cluster_names"), "is for REST; name the cluster in grpc_services");
  }
  if (source.has_refresh_delay()) context.error(field_path(path, "refresh_delay"), "is for REST");
  if (source.has_request_timeout()) context.error(field_path(path, "request_timeout"), "is for REST");
  if (source.config_validators_size() != 0) {
    context.error(field_path(path, "config_validators"), "is not supported");
  }
  if (source.grpc_services_size() == 0) {
    context.error(field_path(path, "grpc_services"), "expected at least one control plane");
  }
  for (int i = 0; i < source.grpc_services_size(); ++i) {
    read_service(context, source.grpc_services(i),
                 text::index_path(field_path(path, "grpc_services"), static_cast<size_t>(i)), options);
  }
  if (source.has_rate_limit_settings()) {
    const core_v3::RateLimitSettings& limit = source.rate_limit_settings();
    options.rate_limit.emplace();
    if (limit.has_max_tokens()) options.rate_limit->max_tokens = limit.max_tokens().value();
    if (limit.has_fill_rate()) options.rate_limit->per_second = limit.fill_rate().value();
    if (options.rate_limit->max_tokens == 0 || !(options.rate_limit->per_second > 0)) {
      context.error(field_path(path, "rate_limit_settings"), "max_tokens and fill_rate must be above 0");
    }
  }
  options.conversation.node = node_of(context.node);
  options.conversation.node_on_first_only = source.set_node_on_first_message_only();
  return options;
}

}  // namespace weft::config::xds
