#include "proxy/config/compile/http_connection_manager.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "envoy/extensions/filters/http/cors/v3/cors.pb.h"
#include "envoy/extensions/filters/http/router/v3/router.pb.h"
#include "proxy/config/compile/access_log.h"
#include "proxy/config/compile/protocol.h"
#include "proxy/config/compile/routes.h"
#include "proxy/filter/cors/cors.h"

namespace weft::config {
namespace {

namespace http_v3 = envoy::extensions::filters::network::http_connection_manager::v3;
namespace cors_v3 = envoy::extensions::filters::http::cors::v3;
namespace router_v3 = envoy::extensions::filters::http::router::v3;
using Manager = snapshot::HttpConnectionManager;
using ManagerProto = http_v3::HttpConnectionManager;

constexpr uint32_t kMostHeaderKilobytes = 8192;

void compile_filters(Context& context, const ManagerProto& manager, std::string_view path, Manager& result) {
  bool has_router = false;
  for (int i = 0; i < manager.http_filters_size(); ++i) {
    const http_v3::HttpFilter& filter = manager.http_filters(i);
    std::string each = at(path, "http_filters", i);
    if (has_router) {
      context.error(each, "stands after the router, which must be the last filter");
      break;
    }
    const google::protobuf::Any& any = filter.typed_config();
    std::string below = field_path(each, "typed_config");
    bool by_name = !filter.has_typed_config();
    if (any.Is<router_v3::Router>() || (by_name && filter.name() == "envoy.filters.http.router")) {
      has_router = true;
      router_v3::Router router;
      if (!by_name && !context.unpack(any, &router, below)) continue;
      result.suppress_envoy_headers = router.suppress_envoy_headers();
      result.respect_expected_rq_timeout = router.respect_expected_rq_timeout();
      if (filter.disabled()) context.error(field_path(each, "disabled"), "the router cannot be disabled");
    } else if (any.Is<cors_v3::Cors>() || (by_name && filter.name() == "envoy.filters.http.cors")) {
      if (!filter.disabled()) result.filters.push_back(filter::make_cors_filter());
    } else if (by_name && !filter.is_optional()) {
      context.error(each, text::cat("there is no HTTP filter \"", filter.name(), "\""));
    }
  }
  if (!has_router) {
    context.error(field_path(path, "http_filters"), "the last filter must be the router (envoy.filters.http.router)");
  }
}

void compile_protocols(Context& context, const ManagerProto& manager, std::string_view path, Manager& result) {
  switch (manager.codec_type()) {
    case ManagerProto::HTTP1:
      result.codec_type = snapshot::CodecType::kHttp1;
      break;
    case ManagerProto::HTTP2:
      result.codec_type = snapshot::CodecType::kHttp2;
      break;
    default:
      result.codec_type = snapshot::CodecType::kAuto;
  }
  if (manager.has_max_request_headers_kb()) {
    uint32_t kilobytes = manager.max_request_headers_kb().value();
    if (kilobytes == 0 || kilobytes > kMostHeaderKilobytes) {
      context.error(field_path(path, "max_request_headers_kb"), "expected 1 to 8192");
    } else {
      result.limits.max_header_bytes = kilobytes * 1024;
      result.limits.max_target_bytes = std::max(result.limits.max_target_bytes, kilobytes * 1024 / 2);
    }
  }
  if (manager.has_common_http_protocol_options()) {
    const core_v3::HttpProtocolOptions& common = manager.common_http_protocol_options();
    result.idle_timeout_ms = WEFT_MS_OR(common, idle_timeout, result.idle_timeout_ms);
    result.max_connection_duration_ms = WEFT_MS_OR(common, max_connection_duration, 0);
    result.max_stream_duration_ms = WEFT_MS_OR(common, max_stream_duration, 0);
    result.limits.max_header_count = WEFT_VALUE_OR(common, max_headers_count, result.limits.max_header_count);
    if (result.limits.max_header_count == 0) {
      context.error(field_path(field_path(path, "common_http_protocol_options"), "max_headers_count"),
                    "must be at least 1");
    }
    result.limits.underscores =
        static_cast<codec::Limits::Underscores>(static_cast<int>(common.headers_with_underscores_action()));
    result.max_requests_per_connection = WEFT_VALUE_OR(common, max_requests_per_connection, 0);
  }
  if (manager.has_http_protocol_options()) {
    compile_http1_options(context, manager.http_protocol_options(), field_path(path, "http_protocol_options"),
                          result.limits);
  }
  if (manager.has_http2_protocol_options()) {
    PingPolicy ping = compile_http2_options(context, manager.http2_protocol_options(),
                                            field_path(path, "http2_protocol_options"), result.limits);
    result.h2_ping_interval_ms = ping.interval_ms;
    result.h2_ping_timeout_ms = ping.timeout_ms;
  }
}

snapshot::ForwardClientCert forward_client_cert(ManagerProto::ForwardClientCertDetails details) {
  switch (details) {
    case ManagerProto::FORWARD_ONLY:
      return snapshot::ForwardClientCert::kForwardOnly;
    case ManagerProto::APPEND_FORWARD:
      return snapshot::ForwardClientCert::kAppendForward;
    case ManagerProto::SANITIZE_SET:
      return snapshot::ForwardClientCert::kSanitizeSet;
    case ManagerProto::ALWAYS_FORWARD_ONLY:
      return snapshot::ForwardClientCert::kAlwaysForwardOnly;
    default:
      return snapshot::ForwardClientCert::kSanitize;
  }
}

snapshot::PathAction path_action(ManagerProto::PathWithEscapedSlashesAction action) {
  switch (action) {
    case ManagerProto::REJECT_REQUEST:
      return snapshot::PathAction::kReject;
    case ManagerProto::UNESCAPE_AND_REDIRECT:
      return snapshot::PathAction::kUnescapeAndRedirect;
    case ManagerProto::UNESCAPE_AND_FORWARD:
      return snapshot::PathAction::kUnescapeAndForward;
    default:
      return snapshot::PathAction::kKeepUnchanged;
  }
}

// What is told to upstreams of the client and of the request.
void compile_forwarded_facts(const ManagerProto& manager, Manager& result) {
  result.use_remote_address = WEFT_VALUE_OR(manager, use_remote_address, false);
  result.xff_trusted_hops = manager.xff_num_trusted_hops();
  result.skip_xff_append = manager.skip_xff_append();
  result.generate_request_id = WEFT_VALUE_OR(manager, generate_request_id, true);
  result.preserve_external_request_id = manager.preserve_external_request_id();
  result.always_set_request_id_in_response = manager.always_set_request_id_in_response();
  result.forward_client_cert = forward_client_cert(manager.forward_client_cert_details());
  const auto& details = manager.set_current_client_cert_details();
  result.xfcc_subject = WEFT_VALUE_OR(details, subject, false);
  result.xfcc_cert = details.cert();
  result.xfcc_chain = details.chain();
  result.xfcc_dns = details.dns();
  result.xfcc_uri = details.uri();
  result.via = manager.via();
  result.proxy_100_continue = manager.proxy_100_continue();
  result.scheme_overwrite = manager.scheme_header_transformation().scheme_to_overwrite();
}

void compile_target_rules(Context& context, const ManagerProto& manager, std::string_view path, Manager& result) {
  result.normalize_path = WEFT_VALUE_OR(manager, normalize_path, false);
  result.merge_slashes = manager.merge_slashes();
  result.escaped_slashes = path_action(manager.path_with_escaped_slashes_action());
  result.strip_matching_host_port = manager.strip_matching_host_port();
  result.strip_any_host_port = manager.strip_any_host_port();
  result.strip_trailing_host_dot = manager.strip_trailing_host_dot();
  if (result.strip_matching_host_port && result.strip_any_host_port) {
    context.error(field_path(path, "strip_matching_host_port"), "cannot be set together with strip_any_host_port");
  }
  const std::string& scheme = result.scheme_overwrite;
  if (!scheme.empty() && scheme != "http" && scheme != "https") {
    context.error(field_path(path, "scheme_header_transformation"),
                  text::cat("expected http or https, got \"", scheme, "\""));
  }
  for (const auto& upgrade : manager.upgrade_configs()) {
    if (!WEFT_VALUE_OR(upgrade, enabled, true)) continue;
    result.upgrades.push_back(absl::AsciiStrToLower(upgrade.upgrade_type()));
  }
}

void compile_times(const ManagerProto& manager, Manager& result) {
  result.request_headers_timeout_ms = WEFT_MS_OR(manager, request_headers_timeout, 0);
  result.request_timeout_ms = WEFT_MS_OR(manager, request_timeout, 0);
  result.stream_idle_timeout_ms = WEFT_MS_OR(manager, stream_idle_timeout, result.stream_idle_timeout_ms);
  result.drain_timeout_ms = WEFT_MS_OR(manager, drain_timeout, result.drain_timeout_ms);
  result.delayed_close_timeout_ms = WEFT_MS_OR(manager, delayed_close_timeout, result.delayed_close_timeout_ms);
}

}  // namespace

std::shared_ptr<const snapshot::HttpConnectionManager> compile_http_connection_manager(Context& context,
                                                                                       const ManagerProto& manager,
                                                                                       std::string_view path) {
  auto result = std::make_shared<Manager>();
  result->stat_prefix = manager.stat_prefix();
  if (manager.stat_prefix().empty()) context.error(field_path(path, "stat_prefix"), "is required");
  compile_protocols(context, manager, path, *result);
  compile_forwarded_facts(manager, *result);
  compile_target_rules(context, manager, path, *result);
  compile_times(manager, *result);

  if (!manager.server_name().empty()) result->server_name = manager.server_name();
  result->server_header = static_cast<snapshot::ServerHeader>(static_cast<int>(manager.server_header_transformation()));
  result->always_send_connection_close_on_error = !WEFT_VALUE_OR(manager, stream_error_on_invalid_http_message, false);

  if (manager.has_route_config()) {
    result->routes = compile_routes(context, manager.route_config(), field_path(path, "route_config"));
  } else if (manager.route_specifier_case() == ManagerProto::ROUTE_SPECIFIER_NOT_SET) {
    context.error(path, "expected route_config");
  }
  compile_filters(context, manager, path, *result);
  result->access_logs = compile_access_logs(context, manager.access_log(), path, "access_log");
  result->stats = context.family<observe::HttpStats>("http." + result->stat_prefix + ".",
                                                     "envoy_http_conn_manager_prefix", result->stat_prefix);
  return result;
}

}  // namespace weft::config
