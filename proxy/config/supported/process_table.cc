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
    BOOT "Bootstrap.admin",
    BOOT "Bootstrap.cluster_manager",
    BOOT "Bootstrap.layered_runtime",
    BOOT "Bootstrap.stats_config",
    BOOT "Bootstrap.stats_flush_interval",
    BOOT "Bootstrap.deferred_stat_options",
    BOOT "Bootstrap.DeferredStatOptions.*",
    BOOT "Bootstrap.StaticResources.*",
    BOOT "Admin.access_log",
    BOOT "Admin.access_log_path",
    BOOT "Admin.address",
    BOOT "Admin.profile_path",
    BOOT "Admin.ignore_global_conn_limit",
    BOOT "ClusterManager.enable_deferred_cluster_creation",
    BOOT "ClusterManager.local_cluster_name",
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
    "envoy.config.accesslog.v3.StatusCodeFilter.*",
    "envoy.config.accesslog.v3.ComparisonFilter.*",
    "envoy.config.accesslog.v3.ComparisonFilter.Op.GE",
    "envoy.extensions.access_loggers.file.v3.FileAccessLog.*",
    "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog.*",
    "envoy.extensions.access_loggers.stream.v3.StderrAccessLog.*",
};

constexpr std::string_view kRefused[] = {
    "**.validation_context.watched_directory",
    "static_resources.clusters[*].common_http_protocol_options.headers_with_underscores_action",
};

}  // namespace

std::span<const std::string_view> supported_process_fields() { return kEntries; }
std::span<const std::string_view> refused_paths() { return kRefused; }

}  // namespace weft::config
