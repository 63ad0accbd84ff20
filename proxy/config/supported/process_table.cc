#include "proxy/config/supported/tables.h"

// The bootstrap itself, and what every part uses: addresses, data sources, matchers, access logs.

#define BOOT "envoy.config.bootstrap.v3."
#define CORE "envoy.config.core.v3."
#define TYPE "envoy.type."

namespace weft::config {
namespace {

constexpr std::string_view kEntries[] = {
    BOOT "Bootstrap.node",
    BOOT "Bootstrap.static_resources",
    BOOT "Bootstrap.dynamic_resources",
    BOOT "Bootstrap.DynamicResources.cds_config",
    BOOT "Bootstrap.DynamicResources.lds_config",
    BOOT "Bootstrap.DynamicResources.ads_config",
    // What of it is not supported config/xds refuses itself.
    CORE "ApiConfigSource.*",
    CORE "GrpcService.envoy_grpc",
    CORE "GrpcService.initial_metadata",
    CORE "GrpcService.EnvoyGrpc.cluster_name",
    CORE "GrpcService.EnvoyGrpc.authority",
    CORE "GrpcService.EnvoyGrpc.retry_policy",
    CORE "GrpcService.EnvoyGrpc.max_receive_message_length",
    CORE "RetryPolicy.retry_back_off",
    CORE "BackoffStrategy.*",
    CORE "RateLimitSettings.*",
    CORE "ConfigSource.ads",
    CORE "ConfigSource.api_config_source",
    CORE "AggregatedConfigSource.*",
    BOOT "Bootstrap.admin",
    BOOT "Bootstrap.cluster_manager",
    BOOT "Bootstrap.layered_runtime",
    BOOT "Bootstrap.stats_config",
    // How often sinks are told; sinks are refused, and /stats is always of the moment.
    BOOT "Bootstrap.stats_flush_interval",
    // When Envoy makes metrics and clusters; ours cost nothing until they are used.
    BOOT "Bootstrap.deferred_stat_options",
    BOOT "Bootstrap.DeferredStatOptions.*",
    BOOT "Bootstrap.StaticResources.*",
    // Makes listeners without a socket possible; their addresses are refused where they stand.
    BOOT "Bootstrap.bootstrap_extensions",
    "envoy.extensions.bootstrap.internal_listener.v3.InternalListener.*",
    BOOT "Admin.access_log",
    BOOT "Admin.access_log_path",
    BOOT "Admin.address",
    // Where a profile that is asked for goes; the admin page that would make one does not exist here.
    BOOT "Admin.profile_path",
    // The admin page's connections are never counted.
    BOOT "Admin.ignore_global_conn_limit",
    BOOT "ClusterManager.enable_deferred_cluster_creation",
    BOOT "ClusterManager.upstream_bind_config",
    BOOT "LayeredRuntime.*",
    BOOT "RuntimeLayer.name",
    BOOT "RuntimeLayer.static_layer",
    BOOT "RuntimeLayer.admin_layer",
    BOOT "RuntimeLayer.AdminLayer.*",
    "envoy.config.metrics.v3.StatsConfig.stats_tags",
    "envoy.config.metrics.v3.StatsConfig.use_all_default_tags",
    "envoy.config.metrics.v3.StatsConfig.stats_matcher",
    "envoy.config.metrics.v3.TagSpecifier.*",
    "envoy.config.metrics.v3.StatsMatcher.*",
    CORE "ConfigSource.path",
    CORE "ConfigSource.path_config_source",
    CORE "ConfigSource.initial_fetch_timeout",
    CORE "ConfigSource.resource_api_version",
    CORE "ApiVersion.AUTO",
    CORE "ApiVersion.V3",
    CORE "PathConfigSource.path",
    CORE "PathConfigSource.watched_directory",
    CORE "WatchedDirectory.*",
    CORE "Node.**",
    CORE "Metadata.**",
    CORE "Locality.*",
    CORE "Address.socket_address",
    CORE "Address.pipe",
    CORE "Pipe.*",
    CORE "SocketAddress.protocol",
    CORE "SocketAddress.Protocol.TCP",
    CORE "SocketAddress.address",
    CORE "SocketAddress.port_value",
    CORE "SocketAddress.ipv4_compat",
    CORE "TcpKeepalive.*",
    CORE "CidrRange.*",
    CORE "DataSource.filename",
    CORE "DataSource.inline_bytes",
    CORE "DataSource.inline_string",
    CORE "DataSource.environment_variable",
    CORE "TypedExtensionConfig.*",
    CORE "TransportSocket.*",
    CORE "RuntimeFractionalPercent.*",
    CORE "RuntimeUInt32.*",
    CORE "HeaderValueOption.*",
    CORE "HeaderValue.*",
    CORE "SubstitutionFormatString.text_format",
    CORE "SubstitutionFormatString.text_format_source",
    CORE "SubstitutionFormatString.json_format",
    CORE "SubstitutionFormatString.omit_empty_values",
    CORE "SubstitutionFormatString.content_type",
    CORE "SubstitutionFormatString.json_format_options",
    CORE "JsonFormatOptions.*",
    TYPE "v3.Percent.*",
    TYPE "v3.FractionalPercent.*",
    TYPE "v3.Int64Range.*",
    TYPE "matcher.v3.StringMatcher.exact",
    TYPE "matcher.v3.StringMatcher.prefix",
    TYPE "matcher.v3.StringMatcher.suffix",
    TYPE "matcher.v3.StringMatcher.safe_regex",
    TYPE "matcher.v3.StringMatcher.contains",
    TYPE "matcher.v3.StringMatcher.ignore_case",
    TYPE "matcher.v3.ListStringMatcher.*",
    TYPE "matcher.v3.RegexMatcher.*",
    TYPE "matcher.v3.RegexMatcher.GoogleRE2.*",
    TYPE "matcher.v3.RegexMatchAndSubstitute.*",
    "envoy.config.accesslog.v3.AccessLog.*",
    "envoy.config.accesslog.v3.AccessLogFilter.status_code_filter",
    "envoy.config.accesslog.v3.AccessLogFilter.duration_filter",
    "envoy.config.accesslog.v3.AccessLogFilter.not_health_check_filter",
    "envoy.config.accesslog.v3.AccessLogFilter.runtime_filter",
    "envoy.config.accesslog.v3.AccessLogFilter.and_filter",
    "envoy.config.accesslog.v3.AccessLogFilter.or_filter",
    "envoy.config.accesslog.v3.AccessLogFilter.header_filter",
    "envoy.config.accesslog.v3.AccessLogFilter.response_flag_filter",
    "envoy.config.accesslog.v3.AccessLogFilter.grpc_status_filter",
    "envoy.config.accesslog.v3.StatusCodeFilter.*",
    "envoy.config.accesslog.v3.ComparisonFilter.*",
    "envoy.config.accesslog.v3.DurationFilter.*",
    "envoy.config.accesslog.v3.RuntimeFilter.*",
    "envoy.config.accesslog.v3.AndFilter.*",
    "envoy.config.accesslog.v3.OrFilter.*",
    "envoy.config.accesslog.v3.HeaderFilter.*",
    "envoy.config.accesslog.v3.ResponseFlagFilter.*",
    "envoy.config.accesslog.v3.GrpcStatusFilter.*",
    "envoy.extensions.access_loggers.file.v3.FileAccessLog.*",
    "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog.*",
    "envoy.extensions.access_loggers.stream.v3.StderrAccessLog.*",
};

constexpr std::string_view kRefused[] = {
    // Of a downstream connection only; in the bootstrap, and in a cluster that came by itself.
    "static_resources.clusters[*].common_http_protocol_options.headers_with_underscores_action",
    "static_resources.clusters[*].typed_extension_protocol_options[*].common_http_protocol_options.headers_with_"
    "underscores_action",
    "static_resources.clusters[*].common_http_protocol_options.max_stream_duration",
    "common_http_protocol_options.headers_with_underscores_action",
    "typed_extension_protocol_options[*].common_http_protocol_options.headers_with_underscores_action",
    "common_http_protocol_options.max_stream_duration",
    "typed_extension_protocol_options[*].common_http_protocol_options.max_stream_duration",
    "static_resources.clusters[*].typed_extension_protocol_options[*].common_http_protocol_options.max_stream_duration",
};

}  // namespace

std::span<const std::string_view> supported_process_fields() { return kEntries; }
std::span<const std::string_view> refused_paths() { return kRefused; }

}  // namespace weft::config
