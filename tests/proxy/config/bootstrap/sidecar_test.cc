#include "proxy/config/bootstrap/sidecar.h"

#include <catch2/catch.hpp>

#include "api/text/parse.h"
#include "envoy/config/bootstrap/v3/bootstrap.pb.h"
#include "envoy/extensions/transport_sockets/tls/v3/tls.pb.h"

namespace weft::config {
namespace {

envoy::config::bootstrap::v3::Bootstrap made_of(const SidecarOptions& options) {
  envoy::config::bootstrap::v3::Bootstrap bootstrap;
  absl::Status status = text::parse(sidecar_bootstrap(options), "sidecar", &bootstrap);
  INFO(status.message());
  REQUIRE(status.ok());
  return bootstrap;
}

constexpr char kToken[] =
    "weft1_0123456789abcdef_000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f_"
    "fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0efeeedecebeae9e8e7e6e5e4e3e2e1e0";

SidecarOptions cart() {
  SidecarOptions options;
  options.access.token = kToken;
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
  options.service_account = "till";
  options.health = {HealthProbe::Kind::kGrpc, "", 2'000};
  options.access_log = "/var/log/cart";
  auto node = made_of(options).node();
  const auto& fields = node.metadata().fields();
  CHECK(node.id() == "shop/cart/10.0.0.5:15006");
  CHECK(fields.at("namespace").string_value() == "shop");
  CHECK(fields.at("service").string_value() == "cart");
  CHECK(fields.at("service_account").string_value() == "till");
  CHECK(fields.at("access_log").string_value() == "/var/log/cart");
  CHECK(fields.at("mtls").bool_value());
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

TEST_CASE("a sidecar to which connections are brought says by which ports, and listens for no calls beside") {
  SidecarOptions options = cart();
  options.interception.on = true;
  options.inbound_port = 15016;
  auto node = made_of(options).node();
  const auto& fields = node.metadata().fields();
  const auto& interception = fields.at("interception").struct_value().fields();
  CHECK(interception.at("outbound_port").number_value() == 15001);
  CHECK(interception.at("inbound_port").number_value() == 15016);
  CHECK(interception.size() == 2);
  CHECK(fields.at("inbound_address").string_value() == "10.0.0.5");
  CHECK_FALSE(fields.contains("outbound_port"));
  CHECK_FALSE(fields.contains("inbound_port"));
  options.interception.tproxy = true;
  options.interception.ipv6 = false;
  node = made_of(options).node();
  CHECK(node.metadata().fields().at("interception").struct_value().fields().at("mode").string_value() == "TPROXY");
  CHECK_FALSE(node.metadata().fields().at("interception").struct_value().fields().at("ipv6").bool_value());
  CHECK_FALSE(node.metadata().fields().contains("dns"));
  options.interception.dns = true;
  CHECK(made_of(options).node().metadata().fields().at("dns").bool_value());
}

TEST_CASE("who only calls others says nothing of an application") {
  SidecarOptions options = cart();
  options.service.clear();
  options.app_port = 0;
  options.outbound_port = 0;
  auto node = made_of(options).node();
  CHECK(node.cluster() == "shop/-");
  CHECK(node.metadata().fields().size() == 1);
  options.service_account = "front";
  CHECK(made_of(options).node().metadata().fields().at("mtls").bool_value());
  options.access.insecure = true;
  CHECK_FALSE(made_of(options).node().metadata().fields().contains("mtls"));
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

envoy::extensions::transport_sockets::tls::v3::UpstreamTlsContext tls_of(
    const envoy::config::cluster::v3::Cluster& cluster) {
  envoy::extensions::transport_sockets::tls::v3::UpstreamTlsContext tls;
  REQUIRE(cluster.transport_socket().typed_config().UnpackTo(&tls));
  return tls;
}

TEST_CASE("the control plane is known by the fingerprint in the token, which is shown to it and not to people") {
  auto bootstrap = made_of(cart());
  auto tls = tls_of(bootstrap.static_resources().clusters(0));
  const auto& validation = tls.common_tls_context().validation_context();
  REQUIRE(validation.verify_certificate_hash_size() == 1);
  CHECK(validation.verify_certificate_hash(0) == std::string(kToken).substr(88));
  CHECK_FALSE(validation.has_trusted_ca());
  const auto& metadata = bootstrap.dynamic_resources().ads_config().grpc_services(0).initial_metadata();
  REQUIRE(metadata.size() == 1);
  CHECK(metadata[0].key() == "authorization");
  CHECK(metadata[0].value() == std::string("Bearer ") + kToken);
  std::string shown = sidecar_bootstrap(cart(), true);
  CHECK(shown.find("[redacted]") != std::string::npos);
  CHECK(shown.find("000102030405") == std::string::npos);
}

TEST_CASE("with a CA the control plane must be who it is called") {
  SidecarOptions options = cart();
  options.access.ca_file = "ca.pem";
  options.control_planes = {{"127.0.0.1", 15010}, {"control.mesh", 15011}};
  auto bootstrap = made_of(options);
  for (const auto& [index, name] : {std::pair(0, "127.0.0.1"), {1, "control.mesh"}}) {
    auto tls = tls_of(bootstrap.static_resources().clusters(index));
    const auto& validation = tls.common_tls_context().validation_context();
    CHECK(validation.trusted_ca().filename() == "ca.pem");
    CHECK(validation.match_typed_subject_alt_names(0).matcher().exact() == name);
    CHECK(validation.verify_certificate_hash().empty());
    CHECK(tls.sni() == (index == 0 ? "" : name));
  }
}

TEST_CASE("a control plane on the same machine may do without TLS and token") {
  SidecarOptions options = cart();
  options.access = {};
  options.access.insecure = true;
  auto bootstrap = made_of(options);
  CHECK_FALSE(bootstrap.static_resources().clusters(0).has_transport_socket());
  CHECK(bootstrap.dynamic_resources().ads_config().grpc_services(0).initial_metadata().empty());
}

}  // namespace weft::config
