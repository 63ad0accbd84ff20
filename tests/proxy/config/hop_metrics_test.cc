#include <catch2/catch.hpp>

#include "proxy/cluster/cluster.h"
#include "proxy/observe/hop_reporter.h"
#include "tests/proxy/config/bootstraps.h"

// The filter that measures hops, and the metadata that names services and endpoints.

namespace weft::config {
namespace {

constexpr std::string_view kNamed = R"(
  - name: cart
    type: STATIC
    metadata: { filter_metadata: { weft: { host: cart.shop.svc.cluster.local, service: cart, namespace: shop } } }
    load_assignment:
      cluster_name: cart
      endpoints:
      - lb_endpoints:
        - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: 8081 } } }
          metadata: { filter_metadata: { weft: { workload: cart-v2, namespace: shop, service: cart, service_account: c } } }
)";

std::string chain_with(const std::string& filter) {
  return "    filter_chains: [ { filters: [ { name: hops, typed_config: { \"@type\": "
         "type.googleapis.com/weft.v1.HopMetrics" +
         filter +
         " } }, { name: tcp, typed_config: { \"@type\": "
         "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: t, cluster: cart } "
         "} "
         "] } ]";
}

TEST_CASE("a TCP proxy after the filter counts its hops, and one without it does not") {
  auto compiled = compile(bootstrap_with(chain_with(", reporter: DESTINATION"), kNamed));
  INFO(compiled.status().ToString());
  REQUIRE(compiled.ok());
  const auto& tcp = compiled->snapshot->listeners[0]->filter_chains[0]->tcp;
  REQUIRE(tcp->hops != nullptr);
  CHECK(tcp->hops->side() == observe::HopSide::kDestination);
  auto plain = compile(bootstrap_with("    filter_chains: [ { filters: FILTERS } ]"));
  REQUIRE(plain.ok());
  CHECK(plain->snapshot->listeners[0]->filter_chains[0]->tcp->hops == nullptr);
}

TEST_CASE("the filter must say for whom it counts") {
  auto compiled = compile(bootstrap_with(chain_with(""), kNamed));
  REQUIRE_FALSE(compiled.ok());
  CHECK(contains(std::string(compiled.status().message()), "reporter: expected SOURCE or DESTINATION"));
}

TEST_CASE("clusters and endpoints have the names that their metadata gives them") {
  auto compiled = compile(bootstrap_with("    filter_chains: [ { filters: FILTERS } ]", kNamed));
  INFO(compiled.status().ToString());
  REQUIRE(compiled.ok());
  const auto& cart = compiled->find_cluster("cart");
  REQUIRE(cart->own().service != nullptr);
  CHECK(cart->own().service->host == "cart.shop.svc.cluster.local");
  CHECK_FALSE(cart->own().service->external);
  const observe::WorkloadIdentity* workload = cart->hosts()->priorities[0][0]->identity();
  REQUIRE(workload != nullptr);
  CHECK(workload->workload == "cart-v2");
  CHECK(workload->service_account == "c");
  const auto& backend = compiled->find_cluster("backend");
  CHECK(backend->own().service == nullptr);
  CHECK(backend->hosts()->priorities[0][0]->identity()->workload.empty());
}

}  // namespace
}  // namespace weft::config
