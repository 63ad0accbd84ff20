#include "control-plane/compile/mtls.h"

#include <catch2/catch.hpp>

#include "control-plane/compile/cluster.h"
#include "control-plane/compile/inbound.h"
#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/config/endpoint/v3/endpoint.pb.h"
#include "envoy/config/listener/v3/listener.pb.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"
#include "envoy/extensions/transport_sockets/tls/v3/tls.pb.h"

namespace weft::control::compile {
namespace {

using envoy::config::cluster::v3::Cluster;
using envoy::config::endpoint::v3::ClusterLoadAssignment;
using envoy::config::listener::v3::FilterChain;
using envoy::config::listener::v3::Listener;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
using registry::AppProtocol;
using registry::MtlsMode;
using snapshot::ResourcePointer;
using snapshot::Type;
namespace tls_v3 = envoy::extensions::transport_sockets::tls::v3;

template <typename Message>
Message unpacked(const google::protobuf::Any& any) {
  Message message;
  REQUIRE(any.UnpackTo(&message));
  return message;
}

template <typename Message>
Message content(const ResourcePointer& resource) {
  google::protobuf::Any any;
  REQUIRE(any.ParseFromString(resource->any));
  return unpacked<Message>(any);
}

Listener inbound(MtlsMode mode, AppProtocol protocol, bool has_identity = true) {
  const Inbound cart = {.address = "10.0.0.1", .port = 15006, .app_port = 8080, .health = {}, .mtls = has_identity};
  for (const ResourcePointer& each : compile_inbound(cart, {{"inbound", cart.app_port, protocol, mode}},
                                                     {.mode = mode, .trust_domain = "mesh.example"}, {})) {
    if (each->type == Type::kListener) return content<Listener>(each);
  }
  FAIL("no listener");
  return {};
}

// "http by mTLS tls weft; tcp"
std::string chains(const Listener& listener) {
  std::string text;
  const auto add = [&](const FilterChain& chain) {
    if (!text.empty()) text += "; ";
    text += chain.filters(0).name().ends_with("tcp_proxy") ? "tcp" : "http";
    if (chain.has_transport_socket()) text += " by mTLS";
    const auto& match = chain.filter_chain_match();
    if (!match.transport_protocol().empty()) text += " " + match.transport_protocol();
    for (const std::string& each : match.application_protocols()) text += " " + each;
  };
  for (const FilterChain& chain : listener.filter_chains()) add(chain);
  return text;
}

registry::Service cart() {
  registry::Service service;
  service.name = {.namespace_name = "shop", .name = "cart"};
  service.ports = {{"web", 80, AppProtocol::kHttp, 8080}};
  service.service_accounts = {"cart", "cart-canary"};
  return service;
}

Cluster cluster_of(const registry::Service& service, AppProtocol protocol, const std::string& trust_domain) {
  Audience audience;
  audience.trust_domain = trust_domain;
  return content<Cluster>(compile_cluster(service, {"web", 80, protocol, 8080}, {}, nullptr, audience));
}

}  // namespace

TEST_CASE("STRICT takes mutual TLS and nothing else, also of a proxy that has no certificate") {
  CHECK(chains(inbound(MtlsMode::kStrict, AppProtocol::kHttp)) == "http by mTLS tls");
  CHECK(chains(inbound(MtlsMode::kStrict, AppProtocol::kTcp)) == "tcp by mTLS tls");
  CHECK(chains(inbound(MtlsMode::kStrict, AppProtocol::kDetect)) == "tcp by mTLS tls weft-tcp; http by mTLS tls");
  CHECK(chains(inbound(MtlsMode::kStrict, AppProtocol::kHttp, false)) == "http by mTLS tls");
  const Listener detected = inbound(MtlsMode::kStrict, AppProtocol::kDetect);
  REQUIRE(detected.listener_filters_size() == 1);
  CHECK(detected.listener_filters(0).name() == "envoy.filters.listener.tls_inspector");
  CHECK_FALSE(detected.continue_on_listener_filters_timeout());
}

TEST_CASE("PERMISSIVE takes mutual TLS by its mark, and everything else as it was") {
  CHECK(chains(inbound(MtlsMode::kPermissive, AppProtocol::kHttp)) == "http; http by mTLS tls weft weft-tcp; http tls");
  CHECK(chains(inbound(MtlsMode::kPermissive, AppProtocol::kTls)) == "tcp; tcp by mTLS tls weft weft-tcp; tcp tls");
  CHECK(chains(inbound(MtlsMode::kPermissive, AppProtocol::kDetect)) ==
        "http raw_buffer http/1.0 http/1.1 h2c; tcp raw_buffer; tcp by mTLS tls weft-tcp; http by mTLS tls weft; tcp "
        "tls");
  const Listener detected = inbound(MtlsMode::kPermissive, AppProtocol::kDetect);
  REQUIRE(detected.listener_filters_size() == 2);
  CHECK(detected.listener_filters(0).name() == "envoy.filters.listener.tls_inspector");
  CHECK(inbound(MtlsMode::kPermissive, AppProtocol::kTcp).continue_on_listener_filters_timeout());
}

TEST_CASE("who has no certificate is called as its application speaks") {
  CHECK(chains(inbound(MtlsMode::kPermissive, AppProtocol::kHttp, false)) == "http");
  CHECK(inbound(MtlsMode::kPermissive, AppProtocol::kHttp, false).listener_filters().empty());
  // As with DISABLE.
  for (const AppProtocol protocol : {AppProtocol::kHttp, AppProtocol::kTcp, AppProtocol::kDetect}) {
    CHECK(chains(inbound(MtlsMode::kDisable, protocol)) == chains(inbound(MtlsMode::kPermissive, protocol, false)));
  }
}

TEST_CASE("a caller by mutual TLS must be of the trust domain, and the application learns who it is") {
  const Listener listener = inbound(MtlsMode::kStrict, AppProtocol::kHttp);
  const auto tls = unpacked<tls_v3::DownstreamTlsContext>(listener.filter_chains(0).transport_socket().typed_config());
  CHECK(tls.require_client_certificate().value());
  const auto& common = tls.common_tls_context();
  CHECK(common.tls_certificate_sds_secret_configs(0).name() == "default");
  CHECK(common.tls_certificate_sds_secret_configs(0).sds_config().has_ads());
  const auto& validation = common.combined_validation_context();
  CHECK(validation.validation_context_sds_secret_config().name() == "ROOTCA");
  CHECK(validation.default_validation_context().match_typed_subject_alt_names(0).matcher().prefix() ==
        "spiffe://mesh.example/");
  const auto manager = unpacked<HttpConnectionManager>(listener.filter_chains(0).filters(0).typed_config());
  CHECK(manager.forward_client_cert_details() == HttpConnectionManager::SANITIZE_SET);
  CHECK(manager.set_current_client_cert_details().uri());
}

TEST_CASE("a service's endpoints are called by mutual TLS where they take it, and must be of its accounts") {
  const Cluster cluster = cluster_of(cart(), AppProtocol::kGrpc, "mesh.example");
  REQUIRE(cluster.transport_socket_matches_size() == 2);
  const auto& mesh = cluster.transport_socket_matches(0);
  CHECK(mesh.match().fields().at("tlsMode").string_value() == "weft");
  const auto tls = unpacked<tls_v3::UpstreamTlsContext>(mesh.transport_socket().typed_config());
  const auto& validation = tls.common_tls_context().combined_validation_context().default_validation_context();
  REQUIRE(validation.match_typed_subject_alt_names_size() == 2);
  CHECK(validation.match_typed_subject_alt_names(0).matcher().exact() == "spiffe://mesh.example/ns/shop/sa/cart");
  CHECK(validation.match_typed_subject_alt_names(1).matcher().exact() ==
        "spiffe://mesh.example/ns/shop/sa/cart-canary");
  CHECK(tls.common_tls_context().alpn_protocols(0) == "weft");
  CHECK(tls.common_tls_context().alpn_protocols(1) == "h2");
  CHECK(cluster.transport_socket_matches(1).match().fields().empty());
  const Cluster tcp = cluster_of(cart(), AppProtocol::kTcp, "mesh.example");
  const auto tcp_tls =
      unpacked<tls_v3::UpstreamTlsContext>(tcp.transport_socket_matches(0).transport_socket().typed_config());
  REQUIRE(tcp_tls.common_tls_context().alpn_protocols_size() == 1);
  CHECK(tcp_tls.common_tls_context().alpn_protocols(0) == "weft-tcp");
}

TEST_CASE("who has no certificate, and calls that leave the mesh, know nothing of mutual TLS") {
  CHECK(cluster_of(cart(), AppProtocol::kHttp, "").transport_socket_matches().empty());
  registry::Service outside = cart();
  outside.name.external = true;
  CHECK(cluster_of(outside, AppProtocol::kHttp, "mesh.example").transport_socket_matches().empty());
}

TEST_CASE("an endpoint is marked that takes mutual TLS") {
  const std::vector<registry::Endpoint> endpoints = {{.address = "10.0.0.1", .port = 1, .mtls = true},
                                                     {.address = "10.0.0.2", .port = 1}};
  const auto assignment = content<ClusterLoadAssignment>(compile_endpoints(cart(), 80, endpoints, nullptr, {}));
  const auto& metadata = assignment.endpoints(0).lb_endpoints(0).metadata().filter_metadata();
  CHECK(metadata.at("envoy.transport_socket_match").fields().at("tlsMode").string_value() == "weft");
  const auto& other = assignment.endpoints(0).lb_endpoints(1).metadata().filter_metadata();
  CHECK_FALSE(other.contains("envoy.transport_socket_match"));
}

}  // namespace weft::control::compile
