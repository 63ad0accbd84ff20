#include "proxy/config/compile/context.h"

namespace weft::config {

void Context::error(std::string_view path, std::string_view what) {
  errors_.push_back(text::cat(positions_.locate(path), ": ", what));
}

std::shared_ptr<transport::Connector> Context::plain_connector(const transport::SocketOptions& options) {
  for (const auto& [known, connector] : parts_.plain_connectors) {
    if (known == options) return connector;
  }
  return parts_.plain_connectors.emplace_back(options, transport::make_plain_connector(options)).second;
}

void Context::unsupported(std::string_view path, std::string_view what) {
  refused_.push_back(text::cat(positions_.locate(path), ": ", what));
}

cluster::ClusterSlotPtr Context::slot(const std::string& name, bool must_exist, std::string_view path) {
  if (must_exist && has_cluster && !has_cluster(name)) {
    error(path, text::cat("there is no cluster \"", name, of_resource_ ? "\"" : "\" in static_resources.clusters"));
  }
  return parts_.slots.slot(name);
}

transport::Address compile_socket_address(Context& context, const core_v3::SocketAddress& address,
                                          std::string_view path) {
  if (address.port_value() > 65535) {
    context.error(field_path(path, "port_value"), text::cat("a port is at most 65535, got ", address.port_value()));
  }
  transport::Address result =
      transport::Address::parse_ip(address.address(), static_cast<uint16_t>(address.port_value()));
  if (result.family == transport::Address::Family::kNone) {
    context.error(field_path(path, "address"), text::cat("expected an IP address, got \"", address.address(), "\""));
  }
  return result;
}

transport::Address compile_address(Context& context, const core_v3::Address& address, std::string_view path) {
  if (address.has_pipe()) {
    if (address.pipe().path().empty()) context.error(field_path(path, "pipe"), "path is empty");
    return transport::Address::unix_path(address.pipe().path());
  }
  if (address.has_socket_address()) {
    return compile_socket_address(context, address.socket_address(), field_path(path, "socket_address"));
  }
  context.error(path, "expected socket_address or pipe");
  return {};
}

std::vector<snapshot::Cidr> compile_ranges(Context& context,
                                           const google::protobuf::RepeatedPtrField<core_v3::CidrRange>& ranges,
                                           std::string_view path) {
  std::vector<snapshot::Cidr> result;
  for (int i = 0; i < ranges.size(); ++i) {
    snapshot::Cidr cidr;
    cidr.address = transport::Address::parse_ip(ranges[i].address_prefix(), 0);
    uint32_t most = cidr.address.family == transport::Address::Family::kIpv4 ? 32 : 128;
    uint32_t bits = ranges[i].prefix_len().value();
    if (cidr.address.family == transport::Address::Family::kNone || bits > most) {
      context.error(index_path(path, static_cast<size_t>(i)),
                    "expected an IP address and a length of prefix that it can have");
      continue;
    }
    cidr.prefix_bits = static_cast<uint8_t>(bits);
    result.push_back(cidr);
  }
  return result;
}

transport::TcpKeepalive compile_keepalive(const core_v3::TcpKeepalive& keepalive) {
  transport::TcpKeepalive result;
  result.probes = WEFT_VALUE_OR(keepalive, keepalive_probes, 0);
  result.time_s = WEFT_VALUE_OR(keepalive, keepalive_time, 0);
  result.interval_s = WEFT_VALUE_OR(keepalive, keepalive_interval, 0);
  return result;
}

std::shared_ptr<const route::Regex> compile_regex(Context& context, const matcher_v3::RegexMatcher& matcher,
                                                  std::string_view path) {
  auto regex = route::Regex::compile(matcher.regex());
  if (regex.ok()) return *std::move(regex);
  context.error(field_path(path, "regex"), std::string(regex.status().message()));
  return nullptr;
}

route::StringMatcher compile_string_matcher(Context& context, const matcher_v3::StringMatcher& matcher,
                                            std::string_view path) {
  using Kind = route::StringMatcher::Kind;
  route::StringMatcher result;
  result.ignore_case = matcher.ignore_case();
  switch (matcher.match_pattern_case()) {
    case matcher_v3::StringMatcher::kExact:
      result.kind = Kind::kExact;
      result.value = matcher.exact();
      break;
    case matcher_v3::StringMatcher::kPrefix:
      result.kind = Kind::kPrefix;
      result.value = matcher.prefix();
      break;
    case matcher_v3::StringMatcher::kSuffix:
      result.kind = Kind::kSuffix;
      result.value = matcher.suffix();
      break;
    case matcher_v3::StringMatcher::kContains:
      result.kind = Kind::kContains;
      result.value = matcher.contains();
      break;
    case matcher_v3::StringMatcher::kSafeRegex:
      result.kind = Kind::kRegex;
      result.regex = compile_regex(context, matcher.safe_regex(), field_path(path, "safe_regex"));
      break;
    default:
      context.error(path, "expected exact, prefix, suffix, contains or safe_regex");
  }
  return result;
}

}  // namespace weft::config
