#include "control-plane/compile/capture_parts.h"

#include <string>

#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/config/listener/v3/listener.pb.h"
#include "envoy/extensions/filters/listener/http_inspector/v3/http_inspector.pb.h"
#include "envoy/extensions/filters/listener/original_dst/v3/original_dst.pb.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"
#include "envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.pb.h"
#include "envoy/extensions/upstreams/http/v3/http_protocol_options.pb.h"

namespace weft::control::compile {

namespace {

using envoy::config::cluster::v3::Cluster;
using envoy::config::listener::v3::FilterChain;
using envoy::config::listener::v3::Listener;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
using envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;

// How long a server that speaks first is kept waiting by proxies that do not connect to it meanwhile.
constexpr int32_t kDetectionNanos = 200'000'000;
constexpr int64_t kConnectTimeoutS = 5;

}  // namespace

void set_address(std::string_view address, uint16_t port, envoy::config::core::v3::Address& out) {
  out.mutable_socket_address()->set_address(std::string(address));
  out.mutable_socket_address()->set_port_value(port);
}

void set_tcp(std::string_view cluster, FilterChain& chain) {
  TcpProxy proxy;
  proxy.set_stat_prefix(std::string(cluster));
  proxy.set_cluster(std::string(cluster));
  auto* filter = chain.add_filters();
  filter->set_name("envoy.filters.network.tcp_proxy");
  filter->mutable_typed_config()->PackFrom(proxy);
}

void set_http(const HttpConnectionManager& manager, FilterChain& chain) {
  auto* filter = chain.add_filters();
  filter->set_name("envoy.filters.network.http_connection_manager");
  filter->mutable_typed_config()->PackFrom(manager);
}

void match_plain(FilterChain& chain) { chain.mutable_filter_chain_match()->set_transport_protocol("raw_buffer"); }

void match_http(FilterChain& chain) {
  match_plain(chain);
  for (const char* protocol : {"http/1.0", "http/1.1", "h2c"}) {
    chain.mutable_filter_chain_match()->add_application_protocols(protocol);
  }
}

void match_range(std::string_view address, uint32_t prefix_bits, FilterChain& chain) {
  auto* range = chain.mutable_filter_chain_match()->add_prefix_ranges();
  range->set_address_prefix(std::string(address));
  range->mutable_prefix_len()->set_value(prefix_bits);
}

void inspect_http(Listener& listener) {
  auto* inspector = listener.add_listener_filters();
  inspector->set_name("envoy.filters.listener.http_inspector");
  inspector->mutable_typed_config()->PackFrom(
      envoy::extensions::filters::listener::http_inspector::v3::HttpInspector());
  set_detection(listener);
}

void set_detection(Listener& listener) {
  listener.mutable_listener_filters_timeout()->set_nanos(kDetectionNanos);
  listener.set_continue_on_listener_filters_timeout(true);
}

void restore_destination(Listener& listener) {
  Listener others;
  others.mutable_listener_filters()->Swap(listener.mutable_listener_filters());
  auto* original = listener.add_listener_filters();
  original->set_name("envoy.filters.listener.original_dst");
  original->mutable_typed_config()->PackFrom(envoy::extensions::filters::listener::original_dst::v3::OriginalDst());
  listener.mutable_listener_filters()->MergeFrom(others.listener_filters());
}

void follow_protocol(Cluster& cluster) {
  envoy::extensions::upstreams::http::v3::HttpProtocolOptions options;
  options.mutable_use_downstream_protocol_config()->mutable_http_protocol_options();
  options.mutable_use_downstream_protocol_config()->mutable_http2_protocol_options();
  (*cluster.mutable_typed_extension_protocol_options())["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]
      .PackFrom(options);
}

void set_original_destination(Cluster& cluster) {
  cluster.set_type(Cluster::ORIGINAL_DST);
  cluster.set_lb_policy(Cluster::CLUSTER_PROVIDED);
  cluster.mutable_connect_timeout()->set_seconds(kConnectTimeoutS);
  // The wire's own defaults are limits; without the proxy there would be none.
  auto* thresholds = cluster.mutable_circuit_breakers()->add_thresholds();
  thresholds->mutable_max_connections()->set_value(UINT32_MAX);
  thresholds->mutable_max_pending_requests()->set_value(UINT32_MAX);
  thresholds->mutable_max_requests()->set_value(UINT32_MAX);
}

}  // namespace weft::control::compile
