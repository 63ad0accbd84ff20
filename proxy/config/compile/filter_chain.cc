#include "envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.pb.h"
#include "proxy/config/compile/http_connection_manager.h"
#include "proxy/config/compile/listener.h"
#include "proxy/config/compile/tcp_proxy.h"
#include "proxy/config/compile/tls.h"

namespace weft::config {
namespace {

namespace http_v3 = envoy::extensions::filters::network::http_connection_manager::v3;
namespace tcp_v3 = envoy::extensions::filters::network::tcp_proxy::v3;

constexpr int64_t kHandshakeTimeoutMs = 15'000;

std::vector<snapshot::FilterChainMatch::Cidr> compile_ranges(
    Context& context, const google::protobuf::RepeatedPtrField<core_v3::CidrRange>& ranges, std::string_view path,
    std::string_view field) {
  std::vector<snapshot::FilterChainMatch::Cidr> result;
  for (int i = 0; i < ranges.size(); ++i) {
    std::string each = at(path, field, i);
    snapshot::FilterChainMatch::Cidr cidr;
    cidr.address = transport::Address::parse_ip(ranges[i].address_prefix(), 0);
    if (cidr.address.family == transport::Address::Family::kNone) {
      context.error(field_path(each, "address_prefix"),
                    text::cat("expected an IP address, got \"", ranges[i].address_prefix(), "\""));
    }
    uint32_t most = cidr.address.family == transport::Address::Family::kIpv6 ? 128 : 32;
    uint32_t bits = WEFT_VALUE_OR(ranges[i], prefix_len, 0);
    if (bits > most) context.error(field_path(each, "prefix_len"), text::cat("is at most ", most, ", got ", bits));
    cidr.prefix_bits = static_cast<uint8_t>(std::min(bits, most));
    result.push_back(std::move(cidr));
  }
  return result;
}

std::string compile_server_name(Context& context, const std::string& name, std::string_view path) {
  std::string lower = name;
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  if (lower.starts_with("*.")) lower.erase(0, 1);
  if (lower.find('*') != std::string::npos || lower.empty()) {
    context.error(path, text::cat("expected a host name or \"*.\" and a domain, got \"", name, "\""));
  }
  return lower;
}

snapshot::FilterChainMatch compile_match(Context& context, const listener_v3::FilterChainMatch& match,
                                         std::string_view path) {
  using Match = snapshot::FilterChainMatch;
  Match result;
  if (match.has_destination_port()) {
    uint32_t port = match.destination_port().value();
    if (port == 0 || port > 65535) context.error(field_path(path, "destination_port"), "expected 1 to 65535");
    result.has_destination_port = true;
    result.destination_port = static_cast<uint16_t>(port);
  }
  result.destination_ranges = compile_ranges(context, match.prefix_ranges(), path, "prefix_ranges");
  result.source_ranges = compile_ranges(context, match.source_prefix_ranges(), path, "source_prefix_ranges");
  result.direct_source_ranges =
      compile_ranges(context, match.direct_source_prefix_ranges(), path, "direct_source_prefix_ranges");
  result.source_type = static_cast<Match::SourceType>(match.source_type());
  for (int i = 0; i < match.source_ports_size(); ++i) {
    if (match.source_ports(i) == 0 || match.source_ports(i) > 65535) {
      context.error(at(path, "source_ports", i), "expected 1 to 65535");
    }
    result.source_ports.push_back(static_cast<uint16_t>(match.source_ports(i)));
  }
  for (int i = 0; i < match.server_names_size(); ++i) {
    // "*" alone says nothing.
    if (match.server_names(i) == "*") continue;
    result.server_names.push_back(compile_server_name(context, match.server_names(i), at(path, "server_names", i)));
  }
  result.transport_protocol = match.transport_protocol();
  if (!result.transport_protocol.empty() && result.transport_protocol != "tls" &&
      result.transport_protocol != "raw_buffer") {
    context.error(field_path(path, "transport_protocol"),
                  text::cat("expected tls or raw_buffer, got \"", result.transport_protocol, "\""));
  }
  result.application_protocols.assign(match.application_protocols().begin(), match.application_protocols().end());
  return result;
}

void compile_filter(Context& context, const listener_v3::Filter& filter, std::string_view path,
                    snapshot::FilterChain& result) {
  const google::protobuf::Any& any = filter.typed_config();
  std::string below = field_path(path, "typed_config");
  if (!filter.has_typed_config()) return context.error(path, "expected typed_config");
  if (any.Is<http_v3::HttpConnectionManager>()) {
    http_v3::HttpConnectionManager manager;
    if (context.unpack(any, &manager, below)) {
      result.http = compile_http_connection_manager(context, manager, below);
    }
  } else if (any.Is<tcp_v3::TcpProxy>()) {
    tcp_v3::TcpProxy proxy;
    if (context.unpack(any, &proxy, below)) result.tcp = compile_tcp_proxy(context, proxy, below);
  }
}

}  // namespace

std::shared_ptr<const snapshot::FilterChain> compile_filter_chain(Context& context,
                                                                  const listener_v3::FilterChain& chain,
                                                                  std::string_view path) {
  auto result = std::make_shared<snapshot::FilterChain>();
  result->name = chain.name();
  result->match = compile_match(context, chain.filter_chain_match(), field_path(path, "filter_chain_match"));
  if (chain.has_transport_socket()) {
    result->tls = compile_server_tls(context, chain.transport_socket(), field_path(path, "transport_socket"));
  }
  result->transport_connect_timeout_ms = WEFT_MS_OR(chain, transport_socket_connect_timeout, kHandshakeTimeoutMs);
  result->proxy_protocol = WEFT_VALUE_OR(chain, use_proxy_proto, false);

  if (chain.filters().empty()) context.error(path, "has no filters");
  for (int i = 0; i < chain.filters_size(); ++i) {
    if (result->http != nullptr || result->tcp != nullptr) {
      context.error(at(path, "filters", i), "stands after a filter that ends the chain");
      break;
    }
    compile_filter(context, chain.filters(i), at(path, "filters", i), *result);
  }
  if (result->http == nullptr && result->tcp == nullptr) {
    context.error(path, "has no filter that ends it: an HTTP connection manager or a TCP proxy");
  }
  return result;
}

}  // namespace weft::config
