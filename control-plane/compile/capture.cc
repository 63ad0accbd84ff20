#include "control-plane/compile/capture.h"

#include <optional>
#include <string_view>

#include "control-plane/compile/authorization.h"
#include "control-plane/compile/capture_parts.h"
#include "control-plane/compile/names.h"
#include "control-plane/compile/stream.h"
#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/config/listener/v3/listener.pb.h"

namespace weft::control::compile {

namespace {

using envoy::config::cluster::v3::Cluster;
using envoy::config::core::v3::BindConfig;
using envoy::config::listener::v3::FilterChain;
using envoy::config::listener::v3::Listener;
using snapshot::ResourcePointer;
using snapshot::Type;

constexpr char kInboundSourceIpv4[] = "127.0.0.6";
constexpr char kInboundSourceIpv6[] = "::6";

// The filter that was added last looks at first bytes on these ports alone.
void enable_on(const std::vector<uint16_t>& ports, Listener& listener) {
  auto& filter = *listener.mutable_listener_filters(listener.listener_filters_size() - 1);
  auto* any_of = filter.mutable_filter_disabled()->mutable_not_match()->mutable_or_match();
  // Sets of rules have at least two.
  any_of->add_rules()->mutable_not_match()->set_any_match(true);
  for (const uint16_t port : ports) {
    auto* range = any_of->add_rules()->mutable_destination_port_range();
    range->set_start(port);
    range->set_end(port + 1);
  }
}

ResourcePointer compile_any(std::string_view name, bool ipv6) {
  Cluster cluster;
  cluster.set_name(std::string(name));
  set_original_destination(cluster);
  set_inbound_source(ipv6, *cluster.mutable_upstream_bind_config());
  return snapshot::make_resource(Type::kCluster, cluster.name(), cluster);
}

}  // namespace

void set_inbound_source(bool ipv6, BindConfig& bind) {
  bind.mutable_source_address()->set_address(ipv6 ? kInboundSourceIpv6 : kInboundSourceIpv4);
  bind.mutable_source_address()->set_port_value(0);
}

void capture_inbound(const Inbound& inbound, const Inspected& inspected, bool refuses_rest,
                     const registry::Authorizations& authorizations, Listener& listener) {
  set_address(kAnyIpv4, inbound.port, *listener.mutable_address());
  if (inbound.ipv6) set_address(kAnyIpv6, inbound.port, *listener.add_additional_addresses()->mutable_address());
  if (inbound.transparent) listener.mutable_transparent()->set_value(true);
  if (!inspected.for_tls.empty()) {
    inspect_tls(listener);
    enable_on(inspected.for_tls, listener);
    set_detection(listener);
  }
  if (!inspected.for_http.empty()) {
    inspect_http(listener);
    enable_on(inspected.for_http, listener);
  }
  restore_destination(listener);

  // Made to the proxy itself: passed on, it would come back for ever.
  FilterChain* own = listener.add_filter_chains();
  own->set_name("loop");
  own->mutable_filter_chain_match()->mutable_destination_port()->set_value(inbound.port);
  set_tcp(kNowhere, *own);
  if (inbound.ipv6) {
    FilterChain* any = listener.add_filter_chains();
    any->set_name("any6");
    match_range(kAnyIpv6, 0, *any);
    add_connection_authorization({authorizations, std::nullopt}, any);
    set_tcp(refuses_rest ? kNowhere : kInboundAnyIpv6, *any);
  }
  FilterChain* any = listener.mutable_default_filter_chain();
  any->set_name("any");
  add_connection_authorization({authorizations, std::nullopt}, any);
  set_tcp(refuses_rest ? kNowhere : kInboundAny, *any);
}

std::vector<ResourcePointer> capture_clusters(const Inbound& inbound) {
  std::vector<ResourcePointer> clusters = {compile_any(kInboundAny, false)};
  if (inbound.ipv6) clusters.push_back(compile_any(kInboundAnyIpv6, true));
  return clusters;
}

}  // namespace weft::control::compile
