#include "api/text/former_names.h"

namespace weft::text {

namespace {

struct FormerName {
  // Empty: in any message.
  std::string_view type;
  std::string_view field;
  std::string_view successor;
};

constexpr FormerName kFormerNames[] = {
    {"", "config", "write typed_config, with \"@type\""},
    {"", "per_filter_config", "write typed_per_filter_config"},
    {"envoy.config.cluster.v3.Cluster", "hosts", "write load_assignment"},
    {"envoy.config.cluster.v3.Cluster", "tls_context",
     "write transport_socket with an envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"},
    {"envoy.config.cluster.v3.Cluster", "extension_protocol_options", "write typed_extension_protocol_options"},
    {"envoy.config.listener.v3.FilterChain", "tls_context",
     "write transport_socket with an envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"},
    {"envoy.config.route.v3.RouteMatch", "regex", "write safe_regex"},
    {"envoy.config.route.v3.HeaderMatcher", "regex_match", "write string_match with safe_regex"},
    {"envoy.config.route.v3.RouteAction", "host_rewrite", "write host_rewrite_literal"},
    {"envoy.config.route.v3.RouteAction", "auto_host_rewrite_header", "write host_rewrite_header"},
    {"envoy.config.route.v3.QueryParameterMatcher", "value", "write string_match with exact"},
    {"envoy.config.bootstrap.v3.Bootstrap", "runtime", "write layered_runtime"},
    {"envoy.extensions.filters.http.cors.v3.CorsPolicy", "enabled", "write filter_enabled"},
    {"envoy.extensions.filters.http.cors.v3.CorsPolicy", "allow_origin", "write allow_origin_string_match"},
    {"envoy.config.route.v3.CorsPolicy", "enabled", "write filter_enabled"},
    {"envoy.config.route.v3.CorsPolicy", "allow_origin", "write allow_origin_string_match"},
    {"envoy.config.route.v3.CorsPolicy", "allow_origin_regex", "write allow_origin_string_match with safe_regex"},
    {"envoy.config.core.v3.HealthCheck.HttpHealthCheck", "use_http2", "write codec_client_type: HTTP2"},
    {"envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", "idle_timeout",
     "write common_http_protocol_options with idle_timeout"},
    {"envoy.extensions.access_loggers.file.v3.FileAccessLog", "access_log_format", "write log_format"},
};

}  // namespace

std::string_view successor_of(std::string_view type, std::string_view field) {
  for (const FormerName& former : kFormerNames) {
    if (former.field == field && (former.type.empty() || former.type == type)) return former.successor;
  }
  return {};
}

}  // namespace weft::text
