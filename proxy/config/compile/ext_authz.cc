#include "proxy/config/compile/ext_authz.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "proxy/config/compile/per_filter_config.h"
#include "proxy/config/compile/rbac.h"
#include "proxy/config/compile/routes.h"
#include "proxy/config/compile/runtime.h"
#include "proxy/filter/ext_authz/ext_authz.h"

namespace weft::config {
namespace {

using filter::AuthzConfig;
using filter::AuthzService;
using filter::HeaderNames;

// What Envoy waits where nothing is said.
constexpr int64_t kDefaultTimeoutMs = 200;

HeaderNames compile_names(Context& context, const matcher_v3::ListStringMatcher& list, std::string_view path) {
  HeaderNames names;
  for (int i = 0; i < list.patterns_size(); ++i) {
    names.patterns.push_back(compile_string_matcher(context, list.patterns(i), at(path, "patterns", i)));
  }
  return names;
}

// `path` is that of the list's message.
std::vector<route::HeaderValue> compile_headers(Context& context,
                                                const google::protobuf::RepeatedPtrField<core_v3::HeaderValue>& headers,
                                                std::string_view path, std::string_view field) {
  std::vector<route::HeaderValue> result;
  for (int i = 0; i < headers.size(); ++i) {
    std::string here = at(path, field, i);
    result.push_back(compile_header_value(context, headers[i], here));
    if (result.back().name.starts_with(':') || result.back().name == "host") {
      context.error(field_path(here, "key"), "this header is the request's own");
    }
  }
  return result;
}

void compile_cluster(Context& context, const std::string& name, std::string_view path, AuthzService& service) {
  service.cluster = name;
  // What comes while the proxy runs may come before its cluster: there is no verdict until then.
  context.slot(name, !context.of_resource(), path);
}

void compile_grpc(Context& context, const core_v3::GrpcService& proto, std::string_view path, AuthzService& service) {
  service.kind = AuthzService::Kind::kGrpc;
  std::string here = field_path(path, "envoy_grpc");
  if (!proto.has_envoy_grpc()) {
    context.error(path, "expected envoy_grpc");
    return;
  }
  compile_cluster(context, proto.envoy_grpc().cluster_name(), field_path(here, "cluster_name"), service);
  service.authority = proto.envoy_grpc().authority();
  if (!service.authority.empty() && !http::is_authority(service.authority)) {
    context.error(field_path(here, "authority"),
                  text::cat("expected HOST or HOST:PORT, got \"", service.authority, "\""));
  }
  service.max_message_bytes = WEFT_VALUE_OR(proto.envoy_grpc(), max_receive_message_length, service.max_message_bytes);
  service.timeout_ms = WEFT_MS_OR(proto, timeout, kDefaultTimeoutMs);
  if (service.timeout_ms < 0) context.error(field_path(path, "timeout"), "expected 0s or more");
  service.headers = compile_headers(context, proto.initial_metadata(), path, "initial_metadata");
}

void compile_http(Context& context, const ext_authz_v3::HttpService& proto, std::string_view path,
                  AuthzService& service) {
  service.kind = AuthzService::Kind::kHttp;
  const core_v3::HttpUri& uri = proto.server_uri();
  std::string here = field_path(path, "server_uri");
  if (!proto.has_server_uri()) context.error(here, "is missing");
  if (uri.uri().empty()) context.error(field_path(here, "uri"), "is empty");
  compile_cluster(context, uri.cluster(), field_path(here, "cluster"), service);
  service.timeout_ms = to_ms(uri.timeout());
  if (!uri.has_timeout() || service.timeout_ms < 0) context.error(field_path(here, "timeout"), "expected 0s or more");
  auto path_of = [&](const std::string& text, std::string_view field) {
    bool right = text.empty() || text.starts_with('/');
    for (char c : text) right = right && c > ' ' && c != '\x7f' && c != '#';
    if (!right) context.error(field_path(path, field), "expected a path: /check");
    return text;
  };
  service.path_prefix = path_of(proto.path_prefix(), "path_prefix");
  service.path = path_of(proto.path_override(), "path_override");
  if (!service.path_prefix.empty() && !service.path.empty()) {
    context.error(path, "expected one of path_prefix and path_override");
  }
  here = field_path(path, "authorization_request");
  service.headers = compile_headers(context, proto.authorization_request().headers_to_add(), here, "headers_to_add");
  const ext_authz_v3::AuthorizationResponse& answer = proto.authorization_response();
  here = field_path(path, "authorization_response");
  auto names = [&](const matcher_v3::ListStringMatcher& list, std::string_view field) {
    return compile_names(context, list, field_path(here, field));
  };
  service.to_upstream = names(answer.allowed_upstream_headers(), "allowed_upstream_headers");
  service.to_upstream_appended =
      names(answer.allowed_upstream_headers_to_append(), "allowed_upstream_headers_to_append");
  service.to_client = names(answer.allowed_client_headers(), "allowed_client_headers");
  service.to_client_on_success = names(answer.allowed_client_headers_on_success(), "allowed_client_headers_on_success");
  service.to_metadata = names(answer.dynamic_metadata_from_headers(), "dynamic_metadata_from_headers");
}

void compile_service(Context& context, const ext_authz_v3::ExtAuthz& proto, std::string_view path,
                     AuthzService& service) {
  if (proto.has_http_service()) {
    return compile_http(context, proto.http_service(), field_path(path, "http_service"), service);
  }
  if (!proto.has_grpc_service()) {
    context.error(path, "expected grpc_service or http_service");
    return;
  }
  if (proto.transport_api_version() != core_v3::V3) {
    context.error(field_path(path, "transport_api_version"), "expected V3, the only one there is");
  }
  compile_grpc(context, proto.grpc_service(), field_path(path, "grpc_service"), service);
}

void compile_facts(Context& context, const ext_authz_v3::ExtAuthz& proto, std::string_view path,
                   filter::AuthzFacts& facts) {
  if (proto.has_with_request_body()) {
    facts.body = compile_authz_body(context, proto.with_request_body(), field_path(path, "with_request_body"));
  }
  const ext_authz_v3::AuthorizationRequest& former = proto.http_service().authorization_request();
  if (proto.has_allowed_headers() && former.has_allowed_headers()) {
    context.error(field_path(path, "allowed_headers"),
                  "stands here and in http_service.authorization_request, expected one of them");
  }
  if (proto.has_allowed_headers()) {
    facts.headers = compile_names(context, proto.allowed_headers(), field_path(path, "allowed_headers"));
  } else if (former.has_allowed_headers()) {
    std::string here = field_path(field_path(path, "http_service"), "authorization_request");
    facts.headers = compile_names(context, former.allowed_headers(), field_path(here, "allowed_headers"));
  }
  facts.withheld_headers = compile_names(context, proto.disallowed_headers(), field_path(path, "disallowed_headers"));
  facts.raw_headers = proto.encode_raw_headers();
  facts.metadata.assign(proto.metadata_context_namespaces().begin(), proto.metadata_context_namespaces().end());
  facts.peer_certificate = proto.include_peer_certificate();
  facts.tls_session = proto.include_tls_session();
  const auto& node = context.bootstrap().node().metadata().fields();
  auto labels = node.find(proto.bootstrap_metadata_labels_key());
  if (labels == node.end()) return;
  for (const auto& [key, value] : labels->second.struct_value().fields()) {
    facts.own_labels.emplace_back(key, value.string_value());
  }
}

void compile_which(Context& context, const ext_authz_v3::ExtAuthz& proto, std::string_view path, AuthzConfig& config) {
  if (proto.has_filter_enabled()) {
    Fraction share = runtime_fraction(context.bootstrap(), proto.filter_enabled());
    config.numerator = share.numerator;
    config.denominator = share.denominator;
  }
  if (proto.has_filter_enabled_metadata()) {
    config.only =
        compile_metadata_match(context, proto.filter_enabled_metadata(), field_path(path, "filter_enabled_metadata"));
  }
  config.refuse_others = runtime_flag(context.bootstrap(), proto.deny_at_disable());
}

filter::ChangeRules compile_rules(Context& context,
                                  const envoy::config::common::mutation_rules::v3::HeaderMutationRules& proto,
                                  std::string_view path) {
  filter::ChangeRules rules;
  rules.routing = proto.allow_all_routing().value();
  rules.envoy = proto.allow_envoy().value();
  rules.no_system = proto.disallow_system().value();
  rules.none = proto.disallow_all().value();
  rules.forbidden_is_error = proto.disallow_is_error().value();
  if (proto.has_allow_expression()) {
    rules.allowed = compile_regex(context, proto.allow_expression(), field_path(path, "allow_expression"));
  }
  if (proto.has_disallow_expression()) {
    rules.forbidden = compile_regex(context, proto.disallow_expression(), field_path(path, "disallow_expression"));
  }
  return rules;
}

}  // namespace

filter::FilterFactoryPtr compile_ext_authz(
    Context& context, const ext_authz_v3::ExtAuthz& proto, const std::string& name,
    const envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager& manager,
    std::string_view path) {
  AuthzConfig config;
  config.name = name;
  compile_service(context, proto, path, config.service);
  compile_facts(context, proto, path, config.facts);
  compile_which(context, proto, path, config);
  config.pass_on_failure = proto.failure_mode_allow();
  config.tell_passed_on_failure = proto.failure_mode_allow_header_add();
  int status = static_cast<int>(proto.status_on_error().code());
  if (status != 0 && (status < 200 || status > 599)) {
    context.error(field_path(field_path(path, "status_on_error"), "code"), "expected 200 to 599");
  } else if (status != 0) {
    config.status_on_failure = static_cast<uint16_t>(status);
  }
  config.refresh_route = proto.clear_route_cache();
  for (const std::string& each : proto.clear_route_cache_headers()) {
    config.route_headers.push_back(absl::AsciiStrToLower(each));
  }
  if (proto.has_decoder_header_mutation_rules()) {
    config.rules = compile_rules(context, proto.decoder_header_mutation_rules(),
                                 field_path(path, "decoder_header_mutation_rules"));
  }
  config.limits.max_headers = WEFT_VALUE_OR(manager.common_http_protocol_options(), max_headers_count, 100);
  config.limits.max_header_bytes = size_t{WEFT_VALUE_OR(manager, max_request_headers_kb, 60)} * 1024;
  config.take_metadata = WEFT_VALUE_OR(proto, enable_dynamic_metadata_ingestion, true);
  config.max_denied_body_bytes = proto.max_denied_response_body_bytes();
  config.count_at_cluster = WEFT_VALUE_OR(proto, charge_cluster_response_stats, true);
  std::string stats = text::cat("http.", manager.stat_prefix(), ".ext_authz.");
  if (!proto.stat_prefix().empty()) text::append(&stats, proto.stat_prefix(), ".");
  config.stats =
      context.parts().filter_family<filter::AuthzStats>(stats, "envoy_http_conn_manager_prefix", manager.stat_prefix());
  return filter::make_authz_filter(std::move(config));
}

}  // namespace weft::config
