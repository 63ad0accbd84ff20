#include "absl/strings/ascii.h"
#include "envoy/extensions/filters/http/router/v3/router.pb.h"
#include "proxy/config/compile/access_log.h"
#include "proxy/config/compile/config_source.h"
#include "proxy/config/compile/cors.h"
#include "proxy/config/compile/ext_authz.h"
#include "proxy/config/compile/identity.h"
#include "proxy/config/compile/jwt_authn.h"
#include "proxy/config/compile/network_filters.h"
#include "proxy/config/compile/path_rules.h"
#include "proxy/config/compile/protocol.h"
#include "proxy/config/compile/rbac.h"
#include "proxy/config/compile/routes.h"
#include "proxy/filter/cors/cors.h"
#include "proxy/filter/rbac/rbac.h"
#include "weft/v1/hop_metrics.pb.h"

namespace weft::config {
namespace {

namespace router_v3 = envoy::extensions::filters::http::router::v3;

filter::FilterFactoryPtr compile_rbac(Context& context, const hcm_v3::HttpFilter& filter,
                                      const std::string& stat_prefix, std::string_view path) {
  http_rbac_v3::RBAC proto;
  std::string here = field_path(path, "typed_config");
  filter::RbacConfig config;
  if (context.unpack(filter.typed_config(), &proto, here)) config.guard = compile_guard(context, proto, here);
  config.name = filter.name();
  config.stats = guard_stats(context, proto, text::cat("http.", stat_prefix, "."), stat_prefix);
  config.rules_prefix = proto.rules_stat_prefix();
  config.shadow_prefix = proto.shadow_rules_stat_prefix();
  return filter::make_rbac_filter(std::move(config));
}

void compile_filters(Context& context, const hcm_v3::HttpConnectionManager& proto, std::string_view path,
                     snapshot::HttpConnectionManager& result) {
  bool has_router = false;
  for (int i = 0; i < proto.http_filters_size(); ++i) {
    const hcm_v3::HttpFilter& each = proto.http_filters(i);
    std::string here = at(path, "http_filters", i);
    if (each.disabled()) continue;
    if (has_router) context.error(here, "the router must be the last filter");
    if (each.typed_config().Is<router_v3::Router>()) {
      router_v3::Router router;
      if (!context.unpack(each.typed_config(), &router, field_path(here, "typed_config"))) continue;
      has_router = true;
      result.suppress_envoy_headers = router.suppress_envoy_headers();
      if (!WEFT_VALUE_OR(router, dynamic_stats, true)) {
        context.unsupported(field_path(field_path(here, "typed_config"), "dynamic_stats"),
                            "clusters always count what they answered");
      }
      result.respect_expected_rq_timeout = router.respect_expected_rq_timeout();
    } else if (each.typed_config().Is<v1::HopMetrics>()) {
      result.hops = compile_hop_metrics(context, each.typed_config(), field_path(here, "typed_config"));
    } else if (each.typed_config().Is<cors_v3::Cors>()) {
      result.filters.push_back(filter::make_cors_filter());
    } else if (each.typed_config().Is<http_rbac_v3::RBAC>()) {
      result.filters.push_back(compile_rbac(context, each, proto.stat_prefix(), here));
    } else if (each.typed_config().Is<jwt_v3::JwtAuthentication>()) {
      jwt_v3::JwtAuthentication jwt;
      std::string at_config = field_path(here, "typed_config");
      if (!context.unpack(each.typed_config(), &jwt, at_config)) continue;
      result.filters.push_back(compile_jwt_authn(context, jwt, each.name(), proto.stat_prefix(), at_config));
    } else if (each.typed_config().Is<ext_authz_v3::ExtAuthz>()) {
      ext_authz_v3::ExtAuthz authz;
      std::string at_config = field_path(here, "typed_config");
      if (!context.unpack(each.typed_config(), &authz, at_config)) continue;
      result.filters.push_back(compile_ext_authz(context, authz, each.name(), proto, at_config));
    } else if (!each.has_typed_config()) {
      context.error(here, text::cat("filter \"", each.name(), "\" has no typed_config"));
    }
    // Whatever else stands there was reported as unsupported before.
  }
  if (!has_router) {
    context.error(field_path(path, "http_filters"),
                  "the last filter must be envoy.extensions.filters.http.router.v3.Router");
  }
}

void compile_http_options(const core_v3::HttpProtocolOptions& options, snapshot::HttpConnectionManager& result) {
  result.idle_timeout_ms = WEFT_MS_OR(options, idle_timeout, result.idle_timeout_ms);
  result.max_connection_duration_ms = to_ms(options.max_connection_duration());
  result.max_stream_duration_ms = to_ms(options.max_stream_duration());
  result.max_requests_per_connection = WEFT_VALUE_OR(options, max_requests_per_connection, 0);
  if (options.has_max_headers_count()) result.limits.max_header_count = options.max_headers_count().value();
  result.limits.underscores = static_cast<codec::Limits::Underscores>(options.headers_with_underscores_action());
}

void compile_timeouts(const hcm_v3::HttpConnectionManager& proto, snapshot::HttpConnectionManager& result) {
  result.request_headers_timeout_ms = to_ms(proto.request_headers_timeout());
  result.request_timeout_ms = to_ms(proto.request_timeout());
  result.stream_idle_timeout_ms = WEFT_MS_OR(proto, stream_idle_timeout, result.stream_idle_timeout_ms);
  result.drain_timeout_ms = WEFT_MS_OR(proto, drain_timeout, result.drain_timeout_ms);
  result.delayed_close_timeout_ms = WEFT_MS_OR(proto, delayed_close_timeout, result.delayed_close_timeout_ms);
}

// What is said for both versions holds where their own options say nothing.
void compile_stream_error(Context& context, const hcm_v3::HttpConnectionManager& proto, std::string_view path,
                          codec::Limits& limits) {
  if (!proto.has_stream_error_on_invalid_http_message()) return;
  bool stream_alone = proto.stream_error_on_invalid_http_message().value();
  bool http1 = proto.codec_type() != hcm_v3::HttpConnectionManager::HTTP2 &&
               !proto.http_protocol_options().has_override_stream_error_on_invalid_http_message();
  if (stream_alone && http1) refuse_stream_error(context, field_path(path, "stream_error_on_invalid_http_message"));
  if (proto.http2_protocol_options().has_override_stream_error_on_invalid_http_message()) return;
  limits.h2_malformed_ends_connection = !stream_alone;
}

route::RouteSlotPtr compile_rds(Context& context, const hcm_v3::Rds& rds, std::string_view path) {
  if (rds.route_config_name().empty()) context.error(field_path(path, "route_config_name"), "is empty");
  std::string source = compile_config_source(context, rds.config_source(), field_path(path, "config_source"));
  return context.parts().route_slots.slot({std::move(source), rds.route_config_name()});
}

}  // namespace

std::shared_ptr<snapshot::HttpConnectionManager> compile_http_connection_manager(
    Context& context, const hcm_v3::HttpConnectionManager& proto, std::string_view path) {
  auto result = std::make_shared<snapshot::HttpConnectionManager>();
  result->stat_prefix = proto.stat_prefix();
  if (proto.stat_prefix().empty()) context.error(field_path(path, "stat_prefix"), "is empty");
  result->stats = context.parts().family<observe::HttpStats>(text::cat("http.", proto.stat_prefix(), "."),
                                                             "envoy_http_conn_manager_prefix", proto.stat_prefix());
  if (proto.codec_type() == hcm_v3::HttpConnectionManager::HTTP1) result->codec_type = snapshot::CodecType::kHttp1;
  if (proto.codec_type() == hcm_v3::HttpConnectionManager::HTTP2) result->codec_type = snapshot::CodecType::kHttp2;
  result->limits.max_header_bytes = WEFT_VALUE_OR(proto, max_request_headers_kb, 60) * 1024;
  compile_http_options(proto.common_http_protocol_options(), *result);
  compile_http1_options(context, proto.http_protocol_options(), field_path(path, "http_protocol_options"),
                        result->limits);
  PingPolicy ping = compile_http2_options(context, proto.http2_protocol_options(),
                                          field_path(path, "http2_protocol_options"), result->limits);
  compile_stream_error(context, proto, path, result->limits);
  result->h2_ping_interval_ms = ping.interval_ms;
  result->h2_ping_timeout_ms = ping.timeout_ms;
  compile_timeouts(proto, *result);

  if (proto.has_route_config()) {
    result->routes = compile_routes(context, proto.route_config(), true, field_path(path, "route_config"));
  } else if (proto.has_rds()) {
    result->route_slot = compile_rds(context, proto.rds(), field_path(path, "rds"));
  } else if (!proto.has_scoped_routes()) {
    context.error(path, "expected route_config or rds");
  }
  compile_filters(context, proto, path, *result);
  result->access_logs = compile_access_logs(context, proto.access_log(), field_path(path, "access_log"));

  if (!proto.server_name().empty()) result->server_name = proto.server_name();
  result->server_header = static_cast<snapshot::ServerHeader>(proto.server_header_transformation());
  result->use_remote_address = WEFT_VALUE_OR(proto, use_remote_address, false);
  result->xff_trusted_hops = proto.xff_num_trusted_hops();
  result->skip_xff_append = proto.skip_xff_append();
  const auto& internal = proto.internal_address_config();
  result->internal_ranges = compile_ranges(context, internal.cidr_ranges(),
                                           field_path(field_path(path, "internal_address_config"), "cidr_ranges"));
  result->internal_unix_sockets = internal.unix_sockets();
  if (WEFT_VALUE_OR(proto, add_user_agent, false)) {
    result->user_agent = context.bootstrap().node().cluster();
    result->node_name = context.bootstrap().node().id();
  }
  result->generate_request_id = WEFT_VALUE_OR(proto, generate_request_id, true);
  result->preserve_external_request_id = proto.preserve_external_request_id();
  result->always_set_request_id_in_response = proto.always_set_request_id_in_response();
  result->forward_client_cert = static_cast<snapshot::ForwardClientCert>(proto.forward_client_cert_details());
  const auto& details = proto.set_current_client_cert_details();
  result->xfcc_cert = details.cert();
  result->xfcc_chain = details.chain();
  result->xfcc_subject = WEFT_VALUE_OR(details, subject, false);
  result->xfcc_dns = details.dns();
  result->xfcc_uri = details.uri();
  result->via = proto.via();
  const stream::PathRules paths = compile_path_rules(proto);
  result->normalize_path = paths.normalize;
  result->merge_slashes = paths.merge_slashes;
  result->escaped_slashes = paths.escaped_slashes;
  result->strip_matching_host_port = proto.strip_matching_host_port();
  result->strip_any_host_port = proto.strip_any_host_port();
  result->strip_trailing_host_dot = proto.strip_trailing_host_dot();
  result->proxy_100_continue = proto.proxy_100_continue();
  for (const auto& upgrade : proto.upgrade_configs()) {
    if (WEFT_VALUE_OR(upgrade, enabled, true))
      result->upgrades.push_back(absl::AsciiStrToLower(upgrade.upgrade_type()));
  }
  result->scheme_overwrite = proto.scheme_header_transformation().scheme_to_overwrite();
  return result;
}

}  // namespace weft::config
