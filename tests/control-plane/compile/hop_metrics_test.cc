#include "control-plane/compile/hop_metrics.h"

#include <catch2/catch.hpp>

#include "control-plane/compile/cache.h"
#include "control-plane/compile/inbound.h"
#include "control-plane/compile/listener.h"
#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/config/endpoint/v3/endpoint_components.pb.h"
#include "envoy/config/listener/v3/listener.pb.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"

namespace weft::control::compile {
namespace {

using envoy::config::cluster::v3::Cluster;
using envoy::config::core::v3::Metadata;
using envoy::config::listener::v3::FilterChain;
using envoy::config::listener::v3::Listener;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;

std::string text_of(const Metadata& metadata, const char* field) {
  const auto found = metadata.filter_metadata().find("weft");
  if (found == metadata.filter_metadata().end()) return "";
  const auto value = found->second.fields().find(field);
  return value == found->second.fields().end() ? "" : value->second.string_value();
}

// How often the chain counts: in its HTTP filters first, or before its TCP proxy.
int measures(const FilterChain& chain, v1::HopMetrics::Reporter reporter) {
  int count = 0;
  const auto look = [&](const google::protobuf::Any& any) {
    v1::HopMetrics config;
    if (!any.UnpackTo(&config)) return;
    CHECK(config.reporter() == reporter);
    ++count;
  };
  for (const auto& filter : chain.filters()) {
    look(filter.typed_config());
    HttpConnectionManager manager;
    if (!filter.typed_config().UnpackTo(&manager)) continue;
    CHECK(manager.http_filters(0).name() == "weft.filters.http.hop_metrics");
    CHECK(manager.http_filters(manager.http_filters_size() - 1).name() == "envoy.filters.http.router");
    for (const auto& each : manager.http_filters()) look(each.typed_config());
  }
  return count;
}

Listener listener_of(const std::vector<snapshot::ResourcePointer>& resources) {
  Listener listener;
  for (const auto& resource : resources) {
    google::protobuf::Any any;
    if (resource->type != snapshot::Type::kListener) continue;
    REQUIRE(any.ParseFromString(resource->any));
    REQUIRE(any.UnpackTo(&listener));
  }
  return listener;
}

TEST_CASE(
    "our own proxies count what comes in, in HTTP and in what is not, and other proxies are given no such filter") {
  Inbound inbound{.address = "10.0.0.1", .port = 15006, .app_port = 8080, .health = {}};
  inbound.service = {.namespace_name = "shop", .name = "cart"};
  inbound.is_weft = true;
  Listener listener = listener_of(compile_inbound(inbound, {{"inbound", inbound.app_port}}, {}, {}));
  CHECK(measures(listener.filter_chains(0), v1::HopMetrics::DESTINATION) == 1);
  CHECK(measures(listener.filter_chains(1), v1::HopMetrics::DESTINATION) == 1);
  CHECK(listener.filter_chains(1).filters(1).name() == "envoy.filters.network.tcp_proxy");
  inbound.is_weft = false;
  listener = listener_of(compile_inbound(inbound, {{"inbound", inbound.app_port}}, {}, {}));
  CHECK(listener.filter_chains(0).filters_size() == 1);
  CHECK(listener.filter_chains(1).filters_size() == 1);
}

TEST_CASE("what goes out is counted as the caller's") {
  const registry::Model model;
  Cache cache;
  Audience audience{.namespace_name = "shop", .outbound_port = 15001};
  audience.is_weft = true;
  Listener listener = listener_of(compile_outbound_listener({model, audience}, cache));
  CHECK(measures(listener.filter_chains(0), v1::HopMetrics::SOURCE) == 1);
}

TEST_CASE("clusters and endpoints are named after their service, external ones by the first of their hosts") {
  registry::Service service;
  service.name = {.namespace_name = "shop", .name = "cart"};
  service.hosts = {"cart", "cart.shop", "cart.shop.svc", "cart.shop.svc.cluster.local"};
  Cluster cluster;
  name_cluster(service, cluster);
  CHECK(text_of(cluster.metadata(), "host") == "cart.shop.svc.cluster.local");
  CHECK(text_of(cluster.metadata(), "service") == "cart");
  CHECK(text_of(cluster.metadata(), "namespace") == "shop");
  CHECK(cluster.metadata().filter_metadata().at("weft").fields().count("external") == 0);
  envoy::config::endpoint::v3::LbEndpoint endpoint;
  registry::Endpoint of_slice, announced;
  announced.labels = {"cart-v2", "carts"};
  name_endpoint(service, of_slice, endpoint);
  // What it has from its cluster is not said for each.
  CHECK_FALSE(endpoint.has_metadata());
  name_endpoint(service, announced, endpoint);
  CHECK(text_of(endpoint.metadata(), "workload") == "cart-v2");
  CHECK(text_of(endpoint.metadata(), "service_account") == "carts");

  service.name.external = true;
  service.hosts = {"pay.example", "pay2.example"};
  Cluster outside;
  name_cluster(service, outside);
  CHECK(text_of(outside.metadata(), "host") == "pay.example");
  CHECK(outside.metadata().filter_metadata().at("weft").fields().at("external").bool_value());
  envoy::config::endpoint::v3::LbEndpoint foreign;
  name_endpoint(service, of_slice, foreign);
  CHECK_FALSE(foreign.has_metadata());
}

}  // namespace
}  // namespace weft::control::compile
