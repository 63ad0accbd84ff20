#include "proxy/config/compile/listener.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "api/text/canonical_bytes.h"
#include "envoy/extensions/filters/listener/http_inspector/v3/http_inspector.pb.h"
#include "envoy/extensions/filters/listener/original_dst/v3/original_dst.pb.h"
#include "envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol.pb.h"
#include "envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector.pb.h"
#include "proxy/base/hash.h"
#include "proxy/config/compile/access_log.h"
#include "proxy/config/compile/identity.h"
#include "proxy/config/compile/network_filters.h"
#include "proxy/config/compile/rbac.h"
#include "proxy/config/compile/runtime.h"
#include "proxy/config/compile/tls.h"
#include "weft/v1/hop_metrics.pb.h"

namespace weft::config {
namespace {

namespace listener_filters = envoy::extensions::filters::listener;

snapshot::FilterChainMatch compile_match(Context& context, const listener_v3::FilterChainMatch& proto,
                                         std::string_view path) {
  snapshot::FilterChainMatch result;
  result.has_destination_port = proto.has_destination_port();
  result.destination_port = static_cast<uint16_t>(proto.destination_port().value());
  if (proto.destination_port().value() > 65535) {
    context.error(field_path(path, "destination_port"), "a port is at most 65535");
  }
  result.destination_ranges = compile_ranges(context, proto.prefix_ranges(), field_path(path, "prefix_ranges"));
  result.source_ranges =
      compile_ranges(context, proto.source_prefix_ranges(), field_path(path, "source_prefix_ranges"));
  result.direct_source_ranges =
      compile_ranges(context, proto.direct_source_prefix_ranges(), field_path(path, "direct_source_prefix_ranges"));
  result.source_type = static_cast<snapshot::FilterChainMatch::SourceType>(proto.source_type());
  for (int i = 0; i < proto.source_ports_size(); ++i) {
    if (proto.source_ports(i) > 65535) context.error(at(path, "source_ports", i), "a port is at most 65535");
    result.source_ports.push_back(static_cast<uint16_t>(proto.source_ports(i)));
  }
  for (int i = 0; i < proto.server_names_size(); ++i) {
    std::string name = absl::AsciiStrToLower(proto.server_names(i));
    bool wildcard = name.size() > 2 && name[0] == '*' && name[1] == '.';
    if (wildcard) name.erase(0, 1);
    if (name.find('*') != std::string::npos) {
      context.error(at(path, "server_names", i), "expected a name, or one that begins with \"*.\"");
    }
    result.server_names.push_back(std::move(name));
  }
  result.transport_protocol = proto.transport_protocol();
  result.application_protocols.assign(proto.application_protocols().begin(), proto.application_protocols().end());
  return result;
}

// The buffer limit is all that a chain has of its listener.
uint64_t chain_hash(const listener_v3::FilterChain& proto, uint32_t buffer_limit_bytes) {
  return base::xxhash64(text::canonical_bytes(proto), buffer_limit_bytes);
}

std::shared_ptr<const snapshot::FilterChain> compile_chain(Context& context, const listener_v3::FilterChain& proto,
                                                           uint32_t buffer_limit_bytes, const KnownChains& known,
                                                           std::string_view path) {
  uint64_t hash = chain_hash(proto, buffer_limit_bytes);
  if (auto found = known.find(hash); found != known.end()) return found->second;
  auto result = std::make_shared<snapshot::FilterChain>();
  result->content_hash = hash;
  result->name = proto.name();
  result->match = compile_match(context, proto.filter_chain_match(), field_path(path, "filter_chain_match"));
  if (proto.has_transport_socket()) {
    result->tls = compile_server_tls(context, proto.transport_socket(), field_path(path, "transport_socket"));
  }
  result->transport_connect_timeout_ms =
      WEFT_MS_OR(proto, transport_socket_connect_timeout, result->transport_connect_timeout_ms);
  result->proxy_protocol = proto.use_proxy_proto().value();
  std::shared_ptr<const observe::HopReporter> hops;  // For the TCP proxy that follows.
  for (int i = 0; i < proto.filters_size(); ++i) {
    const listener_v3::Filter& filter = proto.filters(i);
    std::string here = at(path, "filters", i);
    std::string at_config = field_path(here, "typed_config");
    hcm_v3::HttpConnectionManager http;
    tcp_v3::TcpProxy tcp;
    network_rbac_v3::RBAC rbac;
    if (result->http != nullptr || result->tcp != nullptr) {
      context.error(here, "nothing can follow the filter before, which takes the whole connection");
    } else if (filter.typed_config().UnpackTo(&http)) {
      auto manager = compile_http_connection_manager(context, http, at_config);
      manager->limits.connection_buffer_high_bytes = buffer_limit_bytes;
      manager->limits.stream_buffer_high_bytes = std::min(manager->limits.stream_buffer_high_bytes, buffer_limit_bytes);
      result->http = std::move(manager);
    } else if (filter.typed_config().Is<v1::HopMetrics>()) {
      hops = compile_hop_metrics(context, filter.typed_config(), at_config);
    } else if (filter.typed_config().UnpackTo(&tcp)) {
      auto proxy = compile_tcp_proxy(context, tcp, at_config);
      proxy->hops = hops;
      result->tcp = std::move(proxy);
    } else if (filter.typed_config().UnpackTo(&rbac)) {
      result->guards.push_back(compile_connection_guard(context, rbac, at_config));
    } else if (!filter.has_typed_config()) {
      context.error(here, text::cat("filter \"", filter.name(), "\" has no typed_config"));
    }
    // Another type was reported as unsupported before.
  }
  if (proto.filters_size() == 0) context.error(path, "a filter chain needs a filter");
  if (!result->guards.empty() && result->http == nullptr && result->tcp == nullptr) {
    context.error(path, "the last filter must be an HttpConnectionManager or a TcpProxy");
  }
  return result;
}

// Whether the predicate holds for a connection to `port`, which is all that one can ask for here.
bool matches(const listener_v3::ListenerFilterChainMatchPredicate& predicate, int32_t port) {
  auto holds = [port](const auto& rule) { return matches(rule, port); };
  switch (predicate.rule_case()) {
    case listener_v3::ListenerFilterChainMatchPredicate::kOrMatch:
      return std::any_of(predicate.or_match().rules().begin(), predicate.or_match().rules().end(), holds);
    case listener_v3::ListenerFilterChainMatchPredicate::kAndMatch:
      return std::all_of(predicate.and_match().rules().begin(), predicate.and_match().rules().end(), holds);
    case listener_v3::ListenerFilterChainMatchPredicate::kNotMatch:
      return !holds(predicate.not_match());
    case listener_v3::ListenerFilterChainMatchPredicate::kAnyMatch:
      return predicate.any_match();
    case listener_v3::ListenerFilterChainMatchPredicate::kDestinationPortRange:
      return port >= predicate.destination_port_range().start() && port < predicate.destination_port_range().end();
    case listener_v3::ListenerFilterChainMatchPredicate::RULE_NOT_SET:
      return false;
  }
  return false;
}

std::shared_ptr<const snapshot::PortSet> compile_disabled(Context& context, const listener_v3::ListenerFilter& filter,
                                                          std::string_view path) {
  if (!filter.has_filter_disabled()) return nullptr;
  constexpr size_t kMostRulesBytes = 16 * 1024;
  if (filter.filter_disabled().ByteSizeLong() > kMostRulesBytes) {
    context.error(field_path(path, "filter_disabled"), text::cat("is larger than ", kMostRulesBytes, " bytes"));
    return nullptr;
  }
  auto ports = std::make_shared<snapshot::PortSet>();
  for (int32_t port = 0; port < static_cast<int32_t>(ports->size()); ++port) {
    if (matches(filter.filter_disabled(), port)) ports->set(static_cast<size_t>(port));
  }
  return ports;
}

void compile_listener_filters(Context& context, const listener_v3::Listener& proto, std::string_view path,
                              snapshot::Listener& result) {
  for (int i = 0; i < proto.listener_filters_size(); ++i) {
    const listener_v3::ListenerFilter& filter = proto.listener_filters(i);
    const google::protobuf::Any& config = filter.typed_config();
    std::string here = at(path, "listener_filters", i);
    bool inspects_tls = config.Is<listener_filters::tls_inspector::v3::TlsInspector>();
    bool inspects_http = config.Is<listener_filters::http_inspector::v3::HttpInspector>();
    if (filter.has_filter_disabled() && !inspects_tls && !inspects_http) {
      context.error(field_path(here, "filter_disabled"), "is supported for tls_inspector and http_inspector");
    }
    if (inspects_tls) {
      result.inspect_tls = true;
      result.tls_uninspected_ports = compile_disabled(context, filter, here);
    } else if (inspects_http) {
      result.inspect_http = true;
      result.http_uninspected_ports = compile_disabled(context, filter, here);
    } else if (config.Is<listener_filters::original_dst::v3::OriginalDst>()) {
      result.use_original_destination = true;
    } else if (config.Is<listener_filters::proxy_protocol::v3::ProxyProtocol>()) {
      result.proxy_protocol = true;
    } else if (!filter.has_typed_config()) {
      context.error(here, text::cat("filter \"", filter.name(), "\" has no typed_config"));
    }
  }
}

// Envoy's stat names have no colons.
std::string stat_name(const transport::Address& address) {
  std::string name = address.to_string();
  for (char& c : name) {
    if (c == ':') c = '_';
  }
  return name;
}

}  // namespace

std::shared_ptr<const snapshot::Listener> compile_listener(Context& context, const listener_v3::Listener& proto,
                                                           const KnownChains& known, std::string_view path) {
  auto result = std::make_shared<snapshot::Listener>();
  result->addresses.push_back(compile_address(context, proto.address(), field_path(path, "address")));
  result->ipv4_compat = proto.address().socket_address().ipv4_compat();
  result->unix_mode = static_cast<int>(proto.address().pipe().mode());
  for (int i = 0; i < proto.additional_addresses_size(); ++i) {
    std::string here = field_path(at(path, "additional_addresses", i), "address");
    result->addresses.push_back(compile_address(context, proto.additional_addresses(i).address(), here));
  }
  result->name = proto.name().empty() ? result->addresses[0].to_string() : proto.name();
  compile_listener_filters(context, proto, path, *result);
  result->hands_off = proto.use_original_dst().value();
  result->use_original_destination |= result->hands_off;
  result->bind_to_port = WEFT_VALUE_OR(proto, bind_to_port, WEFT_VALUE_OR(proto.deprecated_v1(), bind_to_port, true));
  result->listener_filters_timeout_ms =
      WEFT_MS_OR(proto, listener_filters_timeout, result->listener_filters_timeout_ms);
  result->continue_on_listener_filters_timeout = proto.continue_on_listener_filters_timeout();
  if (proto.has_tcp_keepalive()) result->keepalive = compile_keepalive(proto.tcp_keepalive());
  result->reuse_port = WEFT_VALUE_OR(proto, enable_reuse_port, true);
  result->backlog = WEFT_VALUE_OR(proto, tcp_backlog_size, result->backlog);
  result->max_connections_per_event =
      WEFT_VALUE_OR(proto, max_connections_to_accept_per_socket_event, result->max_connections_per_event);
  result->per_connection_buffer_limit_bytes =
      WEFT_VALUE_OR(proto, per_connection_buffer_limit_bytes, result->per_connection_buffer_limit_bytes);
  result->counts_globally = !proto.ignore_global_conn_limit();
  result->transparent = WEFT_VALUE_OR(proto, transparent, false);
  result->freebind = WEFT_VALUE_OR(proto, freebind, false);
  auto limit = runtime_number(context.bootstrap(),
                              text::cat("envoy.resource_limits.listener.", proto.name(), ".connection_limit"));
  if (limit && *limit >= 0 && *limit < UINT32_MAX) result->max_connections = static_cast<uint32_t>(*limit);

  uint32_t buffer_limit = result->per_connection_buffer_limit_bytes;
  for (int i = 0; i < proto.filter_chains_size(); ++i) {
    result->filter_chains.push_back(
        compile_chain(context, proto.filter_chains(i), buffer_limit, known, at(path, "filter_chains", i)));
  }
  if (proto.has_default_filter_chain()) {
    result->default_filter_chain = compile_chain(context, proto.default_filter_chain(), buffer_limit, known,
                                                 field_path(path, "default_filter_chain"));
  }
  if (proto.filter_chains_size() == 0 && !proto.has_default_filter_chain()) {
    context.error(path, "a listener needs filter_chains");
  }
  for (const auto& chain : result->filter_chains) {
    // What only the ClientHello tells must be read, whether or not tls_inspector is named.
    const snapshot::FilterChainMatch& match = chain->match;
    bool asks = !match.server_names.empty() || !match.application_protocols.empty();
    result->inspect_tls |= match.transport_protocol == "tls" || (match.transport_protocol.empty() && asks);
    result->proxy_protocol |= chain->proxy_protocol;
  }
  result->access_logs = compile_access_logs(context, proto.access_log(), field_path(path, "access_log"));
  std::string name = proto.stat_prefix().empty() ? stat_name(result->addresses[0]) : proto.stat_prefix();
  result->stats =
      context.parts().family<observe::ListenerStats>(text::cat("listener.", name, "."), "envoy_listener_address", name);
  return result;
}

}  // namespace weft::config
