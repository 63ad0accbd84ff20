#include "proxy/config/bootstrap/sidecar.h"

#include <catch2/catch.hpp>

#include "api/text/parse.h"
#include "envoy/config/bootstrap/v3/bootstrap.pb.h"

namespace weft::config {
namespace {

envoy::config::bootstrap::v3::Bootstrap made_of(const SidecarOptions& options) {
  envoy::config::bootstrap::v3::Bootstrap bootstrap;
  absl::Status status = text::parse(sidecar_bootstrap(options), "sidecar", &bootstrap);
  INFO(status.message());
  REQUIRE(status.ok());
  return bootstrap;
}

SidecarOptions cart() {
  SidecarOptions options;
  options.control_planes = {{"127.0.0.1", 15010}};
  options.namespace_name = "shop";
  options.service = "cart";
  options.app_port = 8080;
  options.inbound_address = "10.0.0.5";
  options.node_id = "shop/cart/10.0.0.5:15006";
  return options;
}

}  // namespace

TEST_CASE("a host and a port are read, an IPv6 address in brackets") {
  HostPort at;
  CHECK((parse_host_port("control.mesh:15010", &at) && at == HostPort{"control.mesh", 15010}));
  CHECK((parse_host_port("127.0.0.1:0", &at) && at == HostPort{"127.0.0.1", 0}));
  CHECK((parse_host_port("[::1]:80", &at) && at == HostPort{"::1", 80}));
  for (const char* text : {"", ":", "host", "host:", ":80", "::1:80", "[::1]", "[]:80", "[host]:80", "host:65536",
                           "host:-1", "host:8x", "host: 80"}) {
    INFO(text);
    CHECK_FALSE(parse_host_port(text, &at));
  }
}

TEST_CASE("a sidecar says by its node's metadata where it stands and what it wants") {
  SidecarOptions options = cart();
  options.scope = {"orders", "pay/cards"};
  options.health = {HealthProbe::Kind::kGrpc, "", 2'000};
  auto node = made_of(options).node();
  const auto& fields = node.metadata().fields();
  CHECK(node.id() == "shop/cart/10.0.0.5:15006");
  CHECK(fields.at("namespace").string_value() == "shop");
  CHECK(fields.at("service").string_value() == "cart");
  CHECK(fields.at("app_port").number_value() == 8080);
  CHECK(fields.at("inbound_address").string_value() == "10.0.0.5");
  CHECK(fields.at("inbound_port").number_value() == 15006);
  CHECK(fields.at("outbound_port").number_value() == 15001);
  CHECK(fields.at("scope").list_value().values(1).string_value() == "pay/cards");
  const auto& health = fields.at("health").struct_value().fields();
  CHECK(health.at("grpc").string_value().empty());
  CHECK(health.at("interval_ms").number_value() == 2'000);
  CHECK(health.size() == 2);
}

TEST_CASE("who only calls others says nothing of an application") {
  SidecarOptions options = cart();
  options.service.clear();
  options.app_port = 0;
  options.outbound_port = 0;
  auto node = made_of(options).node();
  CHECK(node.cluster() == "shop/-");
  CHECK(node.metadata().fields().size() == 1);
}

TEST_CASE("each control plane is a cluster, resolved when it is a name, and all are named in their order") {
  SidecarOptions options = cart();
  options.control_planes = {{"127.0.0.1", 15010}, {"control.mesh", 15011}};
  auto bootstrap = made_of(options);
  using Cluster = envoy::config::cluster::v3::Cluster;
  const auto& clusters = bootstrap.static_resources().clusters();
  REQUIRE(clusters.size() == 2);
  CHECK(clusters[0].type() == Cluster::STATIC);
  CHECK(clusters[1].type() == Cluster::STRICT_DNS);
  const auto& ads = bootstrap.dynamic_resources().ads_config();
  REQUIRE(ads.grpc_services_size() == 2);
  CHECK(ads.grpc_services(0).envoy_grpc().cluster_name() == clusters[0].name());
  CHECK(ads.grpc_services(1).envoy_grpc().cluster_name() == clusters[1].name());
  CHECK(bootstrap.dynamic_resources().has_cds_config());
  CHECK(bootstrap.dynamic_resources().has_lds_config());
}

}  // namespace weft::config
