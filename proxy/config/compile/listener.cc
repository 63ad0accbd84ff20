#include "proxy/config/compile/listener.h"

#include "absl/container/flat_hash_set.h"
#include "envoy/extensions/filters/listener/http_inspector/v3/http_inspector.pb.h"
#include "envoy/extensions/filters/listener/original_dst/v3/original_dst.pb.h"
#include "envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol.pb.h"
#include "envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector.pb.h"
#include "proxy/config/compile/access_log.h"

namespace weft::config {
namespace {

namespace filter_v3 = envoy::extensions::filters::listener;

constexpr int64_t kFilterTimeoutMs = 15'000;
constexpr uint32_t kBufferBytes = 1024 * 1024;
constexpr uint32_t kLargestBufferBytes = 1u << 30;

void compile_listener_filter(const listener_v3::ListenerFilter& filter, std::string_view path, Context& context,
                             snapshot::Listener& result) {
  const google::protobuf::Any& any = filter.typed_config();
  if (any.Is<filter_v3::tls_inspector::v3::TlsInspector>()) {
    result.inspect_tls = true;
  } else if (any.Is<filter_v3::http_inspector::v3::HttpInspector>()) {
    result.inspect_http = true;
  } else if (any.Is<filter_v3::original_dst::v3::OriginalDst>()) {
    result.use_original_destination = true;
  } else if (any.Is<filter_v3::proxy_protocol::v3::ProxyProtocol>()) {
    result.proxy_protocol = true;
  } else if (!filter.has_typed_config()) {
    // The name alone chose the filter in old configurations.
    if (filter.name() == "envoy.filters.listener.tls_inspector") {
      result.inspect_tls = true;
    } else if (filter.name() == "envoy.filters.listener.http_inspector") {
      result.inspect_http = true;
    } else if (filter.name() == "envoy.filters.listener.original_dst") {
      result.use_original_destination = true;
    } else if (filter.name() == "envoy.filters.listener.proxy_protocol") {
      result.proxy_protocol = true;
    } else {
      context.error(path, text::cat("there is no listener filter \"", filter.name(), "\""));
    }
  }
}

// True when some chain can only be chosen by what a ClientHello says.
bool needs_client_hello(const listener_v3::Listener& listener) {
  for (const auto& chain : listener.filter_chains()) {
    const auto& match = chain.filter_chain_match();
    if (!match.server_names().empty() || !match.application_protocols().empty() ||
        !match.transport_protocol().empty()) {
      return true;
    }
  }
  return false;
}

void compile_addresses(Context& context, const listener_v3::Listener& listener, std::string_view path,
                       snapshot::Listener& result) {
  auto add = [&](const core_v3::Address& address, std::string_view where) {
    transport::Address compiled = compile_address(context, address, where);
    for (const transport::Address& other : result.addresses) {
      if (other == compiled && compiled.port != 0) context.error(where, "the listener has this address twice");
    }
    result.addresses.push_back(std::move(compiled));
    if (address.has_pipe() && address.pipe().mode() != 0) {
      if (address.pipe().mode() > 0777) context.error(field_path(where, "pipe"), "mode is at most 0777");
      result.unix_mode = static_cast<int>(address.pipe().mode());
    }
    if (address.socket_address().ipv4_compat()) result.ipv4_compat = true;
  };
  if (!listener.has_address()) {
    context.error(field_path(path, "address"), "is required");
  } else {
    add(listener.address(), field_path(path, "address"));
  }
  for (int i = 0; i < listener.additional_addresses_size(); ++i) {
    add(listener.additional_addresses(i).address(), field_path(at(path, "additional_addresses", i), "address"));
  }
}

void compile_chains(Context& context, const listener_v3::Listener& listener, std::string_view path,
                    snapshot::Listener& result) {
  absl::flat_hash_set<std::string> matches;
  for (int i = 0; i < listener.filter_chains_size(); ++i) {
    std::string each = at(path, "filter_chains", i);
    if (auto chain = compile_filter_chain(context, listener.filter_chains(i), each)) {
      result.filter_chains.push_back(std::move(chain));
    }
    if (!matches.insert(listener.filter_chains(i).filter_chain_match().SerializeAsString()).second) {
      context.error(each, "another filter chain of this listener has the same filter_chain_match");
    }
  }
  if (listener.has_default_filter_chain()) {
    result.default_filter_chain =
        compile_filter_chain(context, listener.default_filter_chain(), field_path(path, "default_filter_chain"));
  }
  if (listener.filter_chains().empty() && !listener.has_default_filter_chain()) {
    context.error(path, "has no filter chain");
  }
}

}  // namespace

std::shared_ptr<const snapshot::Listener> compile_listener(Context& context, const listener_v3::Listener& listener,
                                                           std::string_view path) {
  auto result = std::make_shared<snapshot::Listener>();
  compile_addresses(context, listener, path, *result);
  std::string address_text = result->addresses.empty() ? "" : result->addresses[0].to_string();
  result->name = listener.name().empty() ? address_text : listener.name();
  for (int i = 0; i < listener.listener_filters_size(); ++i) {
    compile_listener_filter(listener.listener_filters(i), at(path, "listener_filters", i), context, *result);
  }
  // Envoy does the same: such chains could never match without the inspector.
  if (needs_client_hello(listener)) result->inspect_tls = true;

  result->listener_filters_timeout_ms = WEFT_MS_OR(listener, listener_filters_timeout, kFilterTimeoutMs);
  result->continue_on_listener_filters_timeout = listener.continue_on_listener_filters_timeout();
  if (listener.has_tcp_keepalive()) result->keepalive = compile_keepalive(listener.tcp_keepalive());
  result->reuse_port = WEFT_VALUE_OR(listener, enable_reuse_port, true);
  if (result->reuse_port && !result->addresses.empty() &&
      result->addresses[0].family == transport::Address::Family::kUnix) {
    result->reuse_port = false;
  }
  result->backlog = WEFT_VALUE_OR(listener, tcp_backlog_size, 4096);
  result->max_connections_per_event = WEFT_VALUE_OR(listener, max_connections_to_accept_per_socket_event, 64);
  if (result->max_connections_per_event == 0) {
    context.error(field_path(path, "max_connections_to_accept_per_socket_event"), "must be at least 1");
  }
  result->per_connection_buffer_limit_bytes =
      std::min(WEFT_VALUE_OR(listener, per_connection_buffer_limit_bytes, kBufferBytes), kLargestBufferBytes);
  result->transparent = WEFT_VALUE_OR(listener, transparent, false);
  result->freebind = WEFT_VALUE_OR(listener, freebind, false);
  compile_chains(context, listener, path, *result);
  result->access_logs = compile_access_logs(context, listener.access_log(), path, "access_log");

  std::string stat = listener.stat_prefix().empty() ? address_text : listener.stat_prefix();
  std::replace(stat.begin(), stat.end(), ':', '_');
  result->stats = context.family<observe::ListenerStats>("listener." + stat + ".", "envoy_listener_address", stat);
  return result;
}

}  // namespace weft::config
