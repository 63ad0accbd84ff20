#include "proxy/config/compile/cluster.h"

#include <set>

#include "envoy/extensions/load_balancing_policies/least_request/v3/least_request.pb.h"
#include "envoy/extensions/load_balancing_policies/random/v3/random.pb.h"
#include "envoy/extensions/load_balancing_policies/round_robin/v3/round_robin.pb.h"
#include "envoy/extensions/upstreams/http/v3/http_protocol_options.pb.h"
#include "proxy/cluster/consistent_hash.h"
#include "proxy/config/compile/cluster_policies.h"
#include "proxy/config/compile/config_source.h"
#include "proxy/config/compile/endpoints.h"
#include "proxy/config/compile/identity.h"
#include "proxy/config/compile/protocol.h"
#include "proxy/config/compile/runtime.h"
#include "proxy/config/compile/tls.h"
#include "proxy/config/compile/transport_matches.h"

namespace weft::config {
namespace {

namespace lb_v3 = envoy::extensions::load_balancing_policies;
namespace upstream_v3 = envoy::extensions::upstreams::http::v3;

constexpr std::string_view kHttpProtocolOptions = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

void compile_common_http(const core_v3::HttpProtocolOptions& options, cluster::ClusterConfig& config) {
  config.idle_timeout_ms = WEFT_MS_OR(options, idle_timeout, config.idle_timeout_ms);
  config.max_connection_duration_ms = to_ms(options.max_connection_duration());
  config.max_requests_per_connection = WEFT_VALUE_OR(options, max_requests_per_connection, 0);
  if (options.has_max_headers_count()) config.codec_limits.max_header_count = options.max_headers_count().value();
  if (options.has_max_response_headers_kb()) {
    config.codec_limits.max_header_bytes = options.max_response_headers_kb().value() * 1024;
  }
}

class ClusterCompiler {
 public:
  ClusterCompiler(Context& context, const cluster_v3::Cluster& proto, std::string_view path)
      : context_(context), proto_(proto), path_(path) {}

  std::shared_ptr<cluster::Cluster> compile() {
    config_.name = proto_.name();
    config_.stat_name = proto_.alt_stat_name().empty() ? proto_.name() : proto_.alt_stat_name();
    config_.service = compile_service_identity(proto_.metadata());
    if (config_.name.empty()) context_.error(field_path(path_, "name"), "a cluster needs a name");
    config_.discovery = static_cast<cluster::DiscoveryType>(proto_.type());
    config_.wait_for_warm = WEFT_VALUE_OR(proto_, wait_for_warm_on_init, true);
    config_.connect_timeout_ms = WEFT_MS_OR(proto_, connect_timeout, 5'000);
    if (config_.connect_timeout_ms <= 0) {
      context_.error(field_path(path_, "connect_timeout"), "expected more than zero");
    }
    config_.per_connection_buffer_limit_bytes =
        WEFT_VALUE_OR(proto_, per_connection_buffer_limit_bytes, config_.per_connection_buffer_limit_bytes);
    config_.codec_limits.connection_buffer_high_bytes = config_.per_connection_buffer_limit_bytes;
    balancer();
    original_destination();
    hashing();
    dns();
    protocol();
    transport();
    if (proto_.has_circuit_breakers()) {
      compile_breakers(context_, proto_.circuit_breakers(), field_path(path_, "circuit_breakers"), config_.breakers);
    }
    if (proto_.has_outlier_detection()) {
      config_.outlier = compile_outlier(context_, proto_.outlier_detection(), field_path(path_, "outlier_detection"));
    }
    for (int i = 0; i < proto_.health_checks_size(); ++i) {
      config_.health_checks.push_back(
          compile_health_check(context_, proto_.health_checks(i), config_.name, at(path_, "health_checks", i)));
    }
    judge_health_checks();
    HostLists hosts = endpoints();
    bool is_static = config_.discovery == cluster::DiscoveryType::kStatic;
    auto stats = context_.parts().family<observe::ClusterStats>(text::cat("cluster.", config_.stat_name, "."),
                                                                "envoy_cluster_name", config_.stat_name);
    auto result =
        std::make_shared<cluster::Cluster>(std::move(config_), context_.parts().policy(config_), std::move(stats));
    if (is_static) result->set_hosts(std::move(hosts));
    return result;
  }

 private:
  void judge_health_checks() {
    std::set<std::string> names;
    for (int i = 0; i < proto_.health_checks_size(); ++i) {
      const core_v3::HealthCheck& check = proto_.health_checks(i);
      std::string here = at(path_, "health_checks", i);
      bool several = proto_.health_checks_size() > 1;
      if (several && check.name().empty()) context_.error(here, "of several health checks each needs a name");
      if (several && !check.name().empty() && !names.insert(check.name()).second) {
        context_.error(field_path(here, "name"), text::cat("there are two health checks \"", check.name(), "\""));
      }
      if (check.has_grpc_health_check() && config_.protocol == cluster::UpstreamProtocol::kHttp1) {
        context_.error(field_path(here, "grpc_health_check"), "gRPC needs HTTP/2, which this cluster does not speak");
      }
    }
  }

  void slow_start(const cluster_v3::Cluster::SlowStartConfig& proto, std::string_view field) {
    const std::string here = field_path(field_path(path_, field), "slow_start_config");
    cluster::SlowStartPolicy& policy = config_.slow_start;
    policy.window_ms = to_ms(proto.slow_start_window());
    if (policy.window_ms <= 0) context_.error(field_path(here, "slow_start_window"), "expected more than zero");
    if (proto.has_aggression()) {
      policy.aggression = runtime_number(context_.bootstrap(), proto.aggression().runtime_key())
                              .value_or(proto.aggression().default_value());
    }
    if (!(policy.aggression > 0)) context_.error(field_path(here, "aggression"), "expected more than zero");
    policy.min_weight_percent = WEFT_VALUE_OR(proto, min_weight_percent, policy.min_weight_percent);
    if (!(policy.min_weight_percent >= 0 && policy.min_weight_percent <= 100)) {
      context_.error(field_path(here, "min_weight_percent"), "a percentage is from 0 to 100");
    }
  }

  void balancer() {
    using Kind = cluster::BalancerKind;
    config_.balancer = proto_.lb_policy() == cluster_v3::Cluster::LEAST_REQUEST ? Kind::kLeastRequest
                       : proto_.lb_policy() == cluster_v3::Cluster::RANDOM      ? Kind::kRandom
                       : proto_.lb_policy() == cluster_v3::Cluster::RING_HASH   ? Kind::kRingHash
                       : proto_.lb_policy() == cluster_v3::Cluster::MAGLEV      ? Kind::kMaglev
                                                                                : Kind::kRoundRobin;
    if (config_.balancer == Kind::kRoundRobin && proto_.round_robin_lb_config().has_slow_start_config()) {
      slow_start(proto_.round_robin_lb_config().slow_start_config(), "round_robin_lb_config");
    }
    if (config_.balancer == Kind::kLeastRequest && proto_.least_request_lb_config().has_slow_start_config()) {
      slow_start(proto_.least_request_lb_config().slow_start_config(), "least_request_lb_config");
    }
    if (proto_.has_least_request_lb_config()) {
      config_.least_request_choices = WEFT_VALUE_OR(proto_.least_request_lb_config(), choice_count, 2);
      if (config_.least_request_choices < 2) {
        context_.error(field_path(path_, "least_request_lb_config"), "choice_count is at least 2");
      }
    }
    for (const auto& policy : proto_.load_balancing_policy().policies()) {
      // The first that is known counts, as it does where a newer one stands before it.
      const google::protobuf::Any& any = policy.typed_extension_config().typed_config();
      lb_v3::least_request::v3::LeastRequest least_request;
      if (any.UnpackTo(&least_request)) {
        config_.balancer = Kind::kLeastRequest;
        config_.least_request_choices = WEFT_VALUE_OR(least_request, choice_count, 2);
        break;
      }
      bool random = any.Is<lb_v3::random::v3::Random>();
      if (!random && !any.Is<lb_v3::round_robin::v3::RoundRobin>()) continue;
      config_.balancer = random ? Kind::kRandom : Kind::kRoundRobin;
      break;
    }
    if (proto_.common_lb_config().has_healthy_panic_threshold()) {
      double percent = proto_.common_lb_config().healthy_panic_threshold().value();
      if (!(percent >= 0 && percent <= 100)) {
        context_.error(field_path(field_path(path_, "common_lb_config"), "healthy_panic_threshold"),
                       "a percentage is from 0 to 100");
        percent = 0;
      }
      config_.healthy_panic_percent = static_cast<uint32_t>(percent);
    }
  }

  void original_destination() {
    bool is_original = config_.discovery == cluster::DiscoveryType::kOriginalDst;
    bool is_provided = proto_.lb_policy() == cluster_v3::Cluster::CLUSTER_PROVIDED;
    if (is_original != is_provided) {
      context_.error(field_path(path_, "lb_policy"), is_original
                                                         ? "an ORIGINAL_DST cluster's is CLUSTER_PROVIDED"
                                                         : "CLUSTER_PROVIDED is for ORIGINAL_DST clusters alone");
    }
    config_.cleanup_interval_ms = WEFT_MS_OR(proto_, cleanup_interval, config_.cleanup_interval_ms);
    if (config_.cleanup_interval_ms <= 0) {
      context_.error(field_path(path_, "cleanup_interval"), "expected more than zero");
    }
    uint32_t port = proto_.original_dst_lb_config().upstream_port_override().value();
    if (port > 65535) {
      context_.error(field_path(field_path(path_, "original_dst_lb_config"), "upstream_port_override"),
                     "a port is at most 65535");
    }
    config_.original_port_override = static_cast<uint16_t>(port);
    if (!is_original) return;
    if (proto_.has_load_assignment()) {
      context_.error(field_path(path_, "load_assignment"), "an ORIGINAL_DST cluster has no endpoints of its own");
    }
    if (proto_.health_checks_size() > 0) {
      context_.error(field_path(path_, "health_checks"), "an ORIGINAL_DST cluster has no hosts that can be checked");
    }
  }

  void hashing() {
    const auto& ring = proto_.ring_hash_lb_config();
    std::string at_ring = field_path(path_, "ring_hash_lb_config");
    config_.min_ring_points = WEFT_VALUE_OR(ring, minimum_ring_size, config_.min_ring_points);
    config_.max_ring_points = WEFT_VALUE_OR(ring, maximum_ring_size, config_.max_ring_points);
    constexpr uint64_t kMostPoints = 8 * 1024 * 1024;
    if (config_.min_ring_points > kMostPoints || config_.max_ring_points > kMostPoints) {
      context_.error(at_ring, text::cat("a ring has at most ", kMostPoints, " points"));
    } else if (config_.min_ring_points > config_.max_ring_points) {
      context_.error(at_ring, "minimum_ring_size is more than maximum_ring_size");
    }
    config_.maglev_table_size = WEFT_VALUE_OR(proto_.maglev_lb_config(), table_size, config_.maglev_table_size);
    constexpr uint64_t kMostEntries = 5'000'011;
    if (config_.maglev_table_size > kMostEntries || !cluster::is_prime(config_.maglev_table_size)) {
      context_.error(field_path(field_path(path_, "maglev_lb_config"), "table_size"),
                     text::cat("expected a prime number, at most ", kMostEntries));
    }
  }

  void dns() {
    using Family = cluster::DnsFamily;
    static constexpr Family kFamilies[] = {Family::kAuto, Family::kV4Only, Family::kV6Only, Family::kV4Preferred,
                                           Family::kAll};
    config_.dns_family = kFamilies[std::clamp(static_cast<int>(proto_.dns_lookup_family()), 0, 4)];
    config_.dns_refresh_ms = WEFT_MS_OR(proto_, dns_refresh_rate, config_.dns_refresh_ms);
    if (config_.dns_refresh_ms <= 0) context_.error(field_path(path_, "dns_refresh_rate"), "expected more than zero");
    config_.respect_dns_ttl = proto_.respect_dns_ttl();
    if (proto_.has_dns_failure_refresh_rate()) {
      const auto& rate = proto_.dns_failure_refresh_rate();
      config_.dns_failure_refresh_base_ms = to_ms(rate.base_interval());
      config_.dns_failure_refresh_max_ms = WEFT_MS_OR(rate, max_interval, config_.dns_failure_refresh_base_ms * 10);
      if (config_.dns_failure_refresh_base_ms <= 0) {
        context_.error(field_path(path_, "dns_failure_refresh_rate"), "base_interval must be more than zero");
      }
    }
    for (int i = 0; i < proto_.dns_resolvers_size(); ++i) {
      config_.dns_resolvers.push_back(
          compile_address(context_, proto_.dns_resolvers(i), at(path_, "dns_resolvers", i)));
    }
    for (int i = 0; i < proto_.dns_resolution_config().resolvers_size(); ++i) {
      config_.dns_resolvers.push_back(compile_address(context_, proto_.dns_resolution_config().resolvers(i),
                                                      at(field_path(path_, "dns_resolution_config"), "resolvers", i)));
    }
  }

  void http1(const core_v3::Http1ProtocolOptions& options, std::string_view path) {
    compile_http1_options(context_, options, path, config_.codec_limits);
  }
  void http2(const core_v3::Http2ProtocolOptions& options, std::string_view path) {
    PingPolicy ping = compile_http2_options(context_, options, path, config_.codec_limits);
    config_.h2_ping_interval_ms = ping.interval_ms;
    config_.h2_ping_timeout_ms = ping.timeout_ms;
  }

  void protocol() {
    using Protocol = cluster::UpstreamProtocol;
    auto found = proto_.typed_extension_protocol_options().find(std::string(kHttpProtocolOptions));
    if (found == proto_.typed_extension_protocol_options().end()) return former_protocol();
    std::string here = key_path(field_path(path_, "typed_extension_protocol_options"), kHttpProtocolOptions);
    upstream_v3::HttpProtocolOptions options;
    if (!context_.unpack(found->second, &options, here)) return;
    compile_common_http(options.common_http_protocol_options(), config_);
    config_.auto_sni = options.upstream_http_protocol_options().auto_sni();
    config_.auto_san_validation = options.upstream_http_protocol_options().auto_san_validation();
    auto versions = [&](const auto& config, std::string_view field) {
      std::string base = field_path(here, field);
      if (config.has_http_protocol_options()) {
        http1(config.http_protocol_options(), field_path(base, "http_protocol_options"));
      }
      if (config.has_http2_protocol_options()) {
        http2(config.http2_protocol_options(), field_path(base, "http2_protocol_options"));
      }
    };
    switch (options.upstream_protocol_options_case()) {
      case upstream_v3::HttpProtocolOptions::kExplicitHttpConfig:
        versions(options.explicit_http_config(), "explicit_http_config");
        config_.protocol =
            options.explicit_http_config().has_http2_protocol_options() ? Protocol::kHttp2 : Protocol::kHttp1;
        break;
      case upstream_v3::HttpProtocolOptions::kUseDownstreamProtocolConfig:
        versions(options.use_downstream_protocol_config(), "use_downstream_protocol_config");
        config_.protocol = Protocol::kAsDownstream;
        break;
      case upstream_v3::HttpProtocolOptions::kAutoConfig:
        versions(options.auto_config(), "auto_config");
        config_.protocol = Protocol::kAuto;
        break;
      default:
        context_.error(here, "expected explicit_http_config, use_downstream_protocol_config or auto_config");
    }
  }

  // The fields of the cluster itself, which the typed options have replaced.
  void former_protocol() {
    using Protocol = cluster::UpstreamProtocol;
    compile_common_http(proto_.common_http_protocol_options(), config_);
    if (proto_.has_max_requests_per_connection() && config_.max_requests_per_connection == 0) {
      config_.max_requests_per_connection = proto_.max_requests_per_connection().value();
    }
    if (proto_.has_http_protocol_options()) {
      http1(proto_.http_protocol_options(), field_path(path_, "http_protocol_options"));
    }
    if (proto_.has_http2_protocol_options()) {
      config_.protocol = Protocol::kHttp2;
      http2(proto_.http2_protocol_options(), field_path(path_, "http2_protocol_options"));
    }
    if (proto_.protocol_selection() == cluster_v3::Cluster::USE_DOWNSTREAM_PROTOCOL) {
      config_.protocol = Protocol::kAsDownstream;
    }
  }

  void transport() {
    transport::SocketOptions options;
    if (proto_.upstream_connection_options().has_tcp_keepalive()) {
      options.keepalive = compile_keepalive(proto_.upstream_connection_options().tcp_keepalive());
    }
    const core_v3::BindConfig* bind = proto_.has_upstream_bind_config() ? &proto_.upstream_bind_config()
                                      : context_.bootstrap().cluster_manager().has_upstream_bind_config()
                                          ? &context_.bootstrap().cluster_manager().upstream_bind_config()
                                          : nullptr;
    if (bind != nullptr && bind->has_source_address()) {
      options.source =
          compile_socket_address(context_, bind->source_address(), field_path(path_, "upstream_bind_config"));
      options.freebind = WEFT_VALUE_OR((*bind), freebind, false);
    }
    std::vector<std::string> alpn;
    if (config_.protocol == cluster::UpstreamProtocol::kHttp2) alpn = {"h2"};
    if (config_.protocol == cluster::UpstreamProtocol::kAuto) alpn = {"h2", "http/1.1"};
    std::string here = field_path(path_, "transport_socket");
    const core_v3::TransportSocket* socket = proto_.has_transport_socket() ? &proto_.transport_socket() : nullptr;
    const SharedParts& parts = context_.parts();
    bool is_control_plane =
        !context_.of_resource() && !parts.options.own_secret.empty() && parts.can_call_control_plane(proto_.name());
    ClientTransport made = is_control_plane && socket != nullptr
                               ? compile_control_plane_transport(context_, *socket, here, options, alpn)
                               : compile_client_transport(context_, socket, here, options, alpn);
    config_.connector = std::move(made.connector);
    compile_transport_matches(context_, proto_, path_, options, alpn, config_.transport_matches);
    config_.tls = made.tls;
    if (config_.protocol == cluster::UpstreamProtocol::kAuto && !config_.tls) {
      context_.error(path_, "auto_config chooses the protocol by ALPN and needs a TLS transport_socket");
    }
  }

  // Static hosts by priority; fills in config_.dns_endpoints for the DNS kinds.
  HostLists endpoints() {
    std::string base = field_path(path_, "load_assignment");
    using Type = cluster::DiscoveryType;
    if (config_.discovery == Type::kOriginalDst) return {};
    if (config_.discovery == Type::kStatic) return compile_hosts(context_, proto_.load_assignment(), base);
    if (config_.discovery == Type::kEds) {
      discovered_endpoints(base);
      return {};
    }
    each_endpoint(context_, proto_.load_assignment(), base,
                  [this](const auto& each, uint32_t priority, uint32_t weight, std::string_view here) {
                    dns_endpoint(each, priority, weight, field_path(field_path(here, "endpoint"), "address"));
                  });
    size_t count = config_.dns_endpoints.size();
    if (config_.discovery == Type::kLogicalDns && count != 1) {
      context_.error(base, text::cat("a LOGICAL_DNS cluster has one endpoint, got ", count));
    }
    return {};
  }

  void discovered_endpoints(std::string_view at_assignment) {
    std::string here = field_path(path_, "eds_cluster_config");
    if (proto_.has_load_assignment()) {
      context_.error(at_assignment, "an EDS cluster's endpoints come by eds_cluster_config alone");
    }
    if (!proto_.eds_cluster_config().has_eds_config()) {
      context_.error(here, "an EDS cluster needs eds_config");
      return;
    }
    const std::string& service = proto_.eds_cluster_config().service_name();
    config_.eds_service = service.empty() ? config_.name : service;
    config_.eds_source =
        compile_config_source(context_, proto_.eds_cluster_config().eds_config(), field_path(here, "eds_config"));
  }

  void dns_endpoint(const endpoint_v3::LbEndpoint& each, uint32_t priority, uint32_t weight, std::string_view path) {
    const core_v3::SocketAddress& address = each.endpoint().address().socket_address();
    if (address.address().empty() || address.port_value() > 65535) {
      context_.error(path, "expected a socket_address with a name and a port");
      return;
    }
    config_.dns_endpoints.push_back({address.address(), static_cast<uint16_t>(address.port_value()), weight, priority});
  }

  Context& context_;
  const cluster_v3::Cluster& proto_;
  std::string path_;
  cluster::ClusterConfig config_;
};

}  // namespace

std::shared_ptr<cluster::Cluster> compile_cluster(Context& context, const cluster_v3::Cluster& proto,
                                                  std::string_view path) {
  return ClusterCompiler(context, proto, path).compile();
}

}  // namespace weft::config
