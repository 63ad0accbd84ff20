#include "proxy/config/compile/routes.h"

#include "absl/strings/ascii.h"
#include "envoy/config/core/v3/base.pb.h"
#include "proxy/config/compile/cors.h"
#include "proxy/config/compile/data_source.h"
#include "proxy/config/compile/per_filter_config.h"
#include "proxy/config/compile/runtime.h"
#include "proxy/observe/format.h"

namespace weft::config {
namespace {

// Of a route's inline or read body; Envoy's default for max_direct_response_body_size_bytes.
constexpr uint32_t kMaxDirectResponseBytes = 4096;

class RoutesCompiler {
 public:
  RoutesCompiler(Context& context, const route_v3::RouteConfiguration& routes, bool validate_clusters)
      : context_(context) {
    validate_clusters_ = WEFT_VALUE_OR(routes, validate_clusters, validate_clusters);
    max_body_bytes_ = WEFT_VALUE_OR(routes, max_direct_response_body_size_bytes, kMaxDirectResponseBytes);
    of_table_ = compile_per_filter_config(context, routes.typed_per_filter_config(), "");
  }

  std::unique_ptr<route::VirtualHost> host(const route_v3::VirtualHost& host, std::string_view path) {
    auto result = std::make_unique<route::VirtualHost>();
    result->name = host.name();
    if (host.name().empty()) context_.error(field_path(path, "name"), "is empty");
    result->domains.assign(host.domains().begin(), host.domains().end());
    result->require_tls = static_cast<route::VirtualHost::RequireTls>(host.require_tls());
    result->request_headers = compile_mutations(context_, host.request_headers_to_add(),
                                                host.request_headers_to_remove(), path, "request_headers");
    result->response_headers = compile_mutations(context_, host.response_headers_to_add(),
                                                 host.response_headers_to_remove(), path, "response_headers");
    PerFilterConfig of_host = compile_per_filter_config(context_, host.typed_per_filter_config(), path);
    if (of_host.cors == nullptr && host.has_cors()) {
      of_host.cors = compile_cors(context_, host.cors(), field_path(path, "cors"));
    }
    of_host.inherit(of_table_);
    result->cors = of_host.cors;
    result->include_request_attempt_count = host.include_request_attempt_count();
    result->include_attempt_count_in_response = host.include_attempt_count_in_response();
    for (int i = 0; i < host.routes_size(); ++i) {
      result->routes.push_back(route(host, of_host, host.routes(i), at(path, "routes", i)));
    }
    return result;
  }

 private:
  route::RouteEntry route(const route_v3::VirtualHost& host, const PerFilterConfig& of_host,
                          const route_v3::Route& route, std::string_view path) {
    route::RouteEntry entry;
    entry.route = std::make_unique<route::Route>();
    route::Route& result = *entry.route;
    result.name = route.name();
    result.where = context_.where(path);
    compile_route_match(context_, route.match(), field_path(path, "match"), entry);
    switch (route.action_case()) {
      case route_v3::Route::kRoute:
        result.forward = forward(host, route.route(), field_path(path, "route"));
        if (entry.path.kind == route::PathMatch::Kind::kConnect) result.forward->allowed_upgrades.push_back("connect");
        break;
      case route_v3::Route::kRedirect:
        result.redirect = redirect(route.redirect(), field_path(path, "redirect"));
        break;
      case route_v3::Route::kDirectResponse:
        result.direct_response = direct_response(route.direct_response(), field_path(path, "direct_response"));
        break;
      default:
        context_.error(path, "expected route, redirect or direct_response");
        result.direct_response = std::make_unique<route::DirectResponse>();
    }
    result.request_headers = compile_mutations(context_, route.request_headers_to_add(),
                                               route.request_headers_to_remove(), path, "request_headers");
    result.response_headers = compile_mutations(context_, route.response_headers_to_add(),
                                                route.response_headers_to_remove(), path, "response_headers");
    PerFilterConfig own = compile_per_filter_config(context_, route.typed_per_filter_config(), path);
    result.cors = own.cors;
    if (result.cors == nullptr && route.route().has_cors()) {
      result.cors = compile_cors(context_, route.route().cors(), field_path(field_path(path, "route"), "cors"));
    }
    own.inherit(of_host);
    result.overrides = std::move(own.overrides);
    if (route.has_per_request_buffer_limit_bytes() || host.has_per_request_buffer_limit_bytes()) {
      result.has_per_request_buffer_limit = true;
      result.per_request_buffer_limit_bytes =
          WEFT_VALUE_OR(route, per_request_buffer_limit_bytes, host.per_request_buffer_limit_bytes().value());
    }
    return entry;
  }

  void destinations(const route_v3::RouteAction& action, std::string_view path, route::ClusterAction& result) {
    if (action.cluster_specifier_case() == route_v3::RouteAction::kClusterHeader) {
      result.cluster_header = absl::AsciiStrToLower(action.cluster_header());
      if (result.cluster_header.empty()) context_.error(field_path(path, "cluster_header"), "is empty");
      result.clusters.emplace_back();
      return;
    }
    if (action.cluster_specifier_case() == route_v3::RouteAction::kCluster) {
      route::WeightedCluster only;
      only.name = action.cluster();
      if (only.name.empty()) context_.error(field_path(path, "cluster"), "is empty");
      only.slot = context_.slot(only.name, validate_clusters_, field_path(path, "cluster"));
      only.weight = 1;
      result.clusters.push_back(std::move(only));
      result.total_weight = 1;
      return;
    }
    if (!action.has_weighted_clusters()) {
      context_.error(path, "expected cluster, cluster_header or weighted_clusters");
      return;
    }
    std::string base = field_path(path, "weighted_clusters");
    uint64_t total = 0;
    for (int i = 0; i < action.weighted_clusters().clusters_size(); ++i) {
      const auto& each = action.weighted_clusters().clusters(i);
      std::string here = at(base, "clusters", i);
      route::WeightedCluster weighted;
      weighted.name = each.name();
      if (weighted.name.empty()) context_.error(field_path(here, "name"), "is empty");
      weighted.slot = context_.slot(each.name(), validate_clusters_, field_path(here, "name"));
      weighted.weight = each.weight().value();
      const std::string& prefix = action.weighted_clusters().runtime_key_prefix();
      auto set =
          prefix.empty() ? std::nullopt : runtime_number(context_.bootstrap(), text::cat(prefix, ".", each.name()));
      if (set && *set >= 0 && *set <= UINT32_MAX) weighted.weight = static_cast<uint32_t>(*set);
      weighted.host_rewrite = each.host_rewrite_literal();
      weighted.request_headers = compile_mutations(context_, each.request_headers_to_add(),
                                                   each.request_headers_to_remove(), here, "request_headers");
      weighted.response_headers = compile_mutations(context_, each.response_headers_to_add(),
                                                    each.response_headers_to_remove(), here, "response_headers");
      total += weighted.weight;
      result.clusters.push_back(std::move(weighted));
    }
    if (total == 0 || total > UINT32_MAX) context_.error(base, "the weights' sum must be between 1 and 4294967295");
    result.total_weight = static_cast<uint32_t>(total);
    if (action.weighted_clusters().has_total_weight() && action.weighted_clusters().total_weight().value() != total) {
      context_.error(field_path(base, "total_weight"), text::cat("the weights' sum is ", total));
    }
  }

  std::unique_ptr<route::ClusterAction> forward(const route_v3::VirtualHost& host, const route_v3::RouteAction& action,
                                                std::string_view path);
  std::unique_ptr<route::Redirect> redirect(const route_v3::RedirectAction& action, std::string_view path);
  std::unique_ptr<route::DirectResponse> direct_response(const route_v3::DirectResponseAction& action,
                                                         std::string_view path);

  Context& context_;
  bool validate_clusters_ = true;
  uint32_t max_body_bytes_ = 0;
  PerFilterConfig of_table_;
};

std::unique_ptr<route::ClusterAction> RoutesCompiler::forward(const route_v3::VirtualHost& host,
                                                              const route_v3::RouteAction& action,
                                                              std::string_view path) {
  static constexpr uint16_t kNotFoundStatus[] = {503, 404, 500};
  auto result = std::make_unique<route::ClusterAction>();
  destinations(action, path, *result);
  result->cluster_not_found_status =
      kNotFoundStatus[std::clamp(static_cast<int>(action.cluster_not_found_response_code()), 0, 2)];
  result->prefix_rewrite = action.prefix_rewrite();
  result->has_prefix_rewrite = !action.prefix_rewrite().empty();
  if (action.has_regex_rewrite()) {
    std::string here = field_path(path, "regex_rewrite");
    auto rewrite = std::make_shared<route::RegexRewrite>();
    rewrite->regex = compile_regex(context_, action.regex_rewrite().pattern(), field_path(here, "pattern"));
    rewrite->substitution = action.regex_rewrite().substitution();
    if (rewrite->regex != nullptr) result->regex_rewrite = std::move(rewrite);
    if (result->has_prefix_rewrite) context_.error(here, "prefix_rewrite and regex_rewrite exclude each other");
  }
  result->host_rewrite_literal = action.host_rewrite_literal();
  result->host_rewrite_header = absl::AsciiStrToLower(action.host_rewrite_header());
  result->auto_host_rewrite = WEFT_VALUE_OR(action, auto_host_rewrite, false);
  result->append_x_forwarded_host = action.append_x_forwarded_host();
  if (action.has_timeout()) result->timeout_ms = to_ms(action.timeout());
  if (action.has_idle_timeout()) result->idle_timeout_ms = to_ms(action.idle_timeout());
  if (action.has_max_grpc_timeout()) result->grpc_timeout_header_max_ms = to_ms(action.max_grpc_timeout());
  result->grpc_timeout_header_offset_ms = to_ms(action.grpc_timeout_offset());
  if (action.has_max_stream_duration()) {
    const auto& duration = action.max_stream_duration();
    if (duration.has_max_stream_duration()) result->max_stream_duration_ms = to_ms(duration.max_stream_duration());
    if (duration.has_grpc_timeout_header_max()) {
      result->grpc_timeout_header_max_ms = to_ms(duration.grpc_timeout_header_max());
    }
    if (duration.has_grpc_timeout_header_offset()) {
      result->grpc_timeout_header_offset_ms = to_ms(duration.grpc_timeout_header_offset());
    }
  }
  if (action.has_retry_policy()) {
    result->retry = compile_retry_policy(context_, action.retry_policy(), field_path(path, "retry_policy"));
  } else if (host.has_retry_policy()) {
    result->retry = compile_retry_policy(context_, host.retry_policy(), field_path(path, "retry_policy"));
  }
  result->priority = action.priority() == core_v3::HIGH ? route::PriorityClass::kHigh : route::PriorityClass::kDefault;
  result->hash_policies = compile_hash_policies(context_, action.hash_policy(), field_path(path, "hash_policy"));
  result->mirrors = compile_mirrors(context_, action.request_mirror_policies(), validate_clusters_,
                                    field_path(path, "request_mirror_policies"));
  for (int i = 0; i < action.upgrade_configs_size(); ++i) {
    const auto& upgrade = action.upgrade_configs(i);
    bool enabled = WEFT_VALUE_OR(upgrade, enabled, true);
    auto& list = enabled ? result->allowed_upgrades : result->refused_upgrades;
    list.push_back(absl::AsciiStrToLower(upgrade.upgrade_type()));
    if (!upgrade.has_connect_config()) continue;
    if (list.back() != "connect") {
      context_.error(field_path(at(path, "upgrade_configs", i), "connect_config"),
                     "goes only with upgrade_type CONNECT, not " + upgrade.upgrade_type());
    }
    result->ends_connect = result->ends_connect || enabled;
  }
  return result;
}

std::unique_ptr<route::Redirect> RoutesCompiler::redirect(const route_v3::RedirectAction& action,
                                                          std::string_view path) {
  static constexpr uint16_t kStatus[] = {301, 302, 303, 307, 308};
  auto result = std::make_unique<route::Redirect>();
  result->status = kStatus[std::clamp(static_cast<int>(action.response_code()), 0, 4)];
  result->https_redirect = action.https_redirect();
  result->scheme = absl::AsciiStrToLower(action.scheme_redirect());
  result->host = action.host_redirect();
  result->port = action.port_redirect();
  result->path = action.path_redirect();
  result->has_prefix_rewrite = action.path_rewrite_specifier_case() == route_v3::RedirectAction::kPrefixRewrite;
  result->prefix_rewrite = action.prefix_rewrite();
  if (action.has_regex_rewrite()) {
    result->regex = compile_regex(context_, action.regex_rewrite().pattern(),
                                  field_path(field_path(path, "regex_rewrite"), "pattern"));
    result->regex_substitution = action.regex_rewrite().substitution();
  }
  result->strip_query = action.strip_query();
  return result;
}

std::unique_ptr<route::DirectResponse> RoutesCompiler::direct_response(const route_v3::DirectResponseAction& action,
                                                                       std::string_view path) {
  auto result = std::make_unique<route::DirectResponse>();
  if (action.status() < 200 || action.status() > 599) {
    context_.error(field_path(path, "status"), text::cat("expected a status from 200 to 599, got ", action.status()));
  }
  result->status = static_cast<uint16_t>(action.status());
  if (action.has_body()) {
    std::string here = field_path(path, "body");
    result->body = read_data_source(context_, action.body(), here);
    if (result->body.size() > max_body_bytes_) {
      context_.error(here, text::cat("the body has ", result->body.size(), " bytes, more than ", max_body_bytes_,
                                     " (max_direct_response_body_size_bytes)"));
    }
  }
  return result;
}

}  // namespace

route::HeaderValue compile_header_value(Context& context, const core_v3::HeaderValue& header, std::string_view path) {
  route::HeaderValue value;
  value.name = absl::AsciiStrToLower(header.key());
  std::string text = header.raw_value().empty() ? header.value() : header.raw_value();
  if (value.name.empty()) context.error(field_path(path, "key"), "a header needs a name");
  if (text.find('%') == std::string::npos) {
    value.value = std::move(text);
  } else if (auto format = observe::Format::compile(text); format.ok()) {
    value.format = std::make_shared<const observe::Format>(*std::move(format));
  } else {
    context.error(field_path(path, "value"), std::string(format.status().message()));
  }
  return value;
}

route::HeaderMutations compile_mutations(Context& context,
                                         const google::protobuf::RepeatedPtrField<core_v3::HeaderValueOption>& add,
                                         const google::protobuf::RepeatedPtrField<std::string>& remove,
                                         std::string_view path, std::string_view field) {
  using Action = route::HeaderValue::Action;
  route::HeaderMutations result;
  for (int i = 0; i < remove.size(); ++i) {
    result.remove.push_back(absl::AsciiStrToLower(remove[i]));
    if (!remove[i].empty() && (remove[i][0] == ':' || result.remove.back() == "host")) {
      context.error(at(path, text::cat(field, "_to_remove"), i), "this header cannot be removed");
    }
  }
  for (int i = 0; i < add.size(); ++i) {
    const core_v3::HeaderValueOption& option = add[i];
    std::string here = field_path(at(path, text::cat(field, "_to_add"), i), "header");
    route::HeaderValue value = compile_header_value(context, option.header(), here);
    value.keep_empty = option.keep_empty_value();
    value.action = static_cast<Action>(option.append_action());
    // The former spelling: a boolean.
    if (option.has_append() && !option.append().value()) value.action = Action::kOverwrite;
    result.add.push_back(std::move(value));
  }
  return result;
}

std::shared_ptr<const route::RouteTable> compile_routes(Context& context, const route_v3::RouteConfiguration& routes,
                                                        bool validate_clusters, std::string_view path) {
  RoutesCompiler compiler(context, routes, validate_clusters);
  std::vector<std::unique_ptr<route::VirtualHost>> hosts;
  for (int i = 0; i < routes.virtual_hosts_size(); ++i) {
    std::string here = at(path, "virtual_hosts", i);
    hosts.push_back(compiler.host(routes.virtual_hosts(i), here));
    if (routes.virtual_hosts(i).domains_size() != 0) continue;
    context.error(field_path(here, "domains"), "expected at least one");
    hosts.pop_back();
  }
  route::RouteTable::Options options;
  options.ignore_port_in_host = routes.ignore_port_in_host_matching();
  options.most_specific_header_mutations_wins = routes.most_specific_header_mutations_wins();
  options.request_headers = compile_mutations(context, routes.request_headers_to_add(),
                                              routes.request_headers_to_remove(), path, "request_headers");
  options.response_headers = compile_mutations(context, routes.response_headers_to_add(),
                                               routes.response_headers_to_remove(), path, "response_headers");
  auto table = route::RouteTable::build(routes.name(), std::move(hosts), std::move(options));
  if (table.ok()) return *std::move(table);
  context.error(path, std::string(table.status().message()));
  return nullptr;
}

}  // namespace weft::config
