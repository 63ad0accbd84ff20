#include "control-plane/compile/request_authentication.h"

#include <catch2/catch.hpp>

#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/extensions/filters/http/jwt_authn/v3/config.pb.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"
#include "envoy/extensions/transport_sockets/tls/v3/tls.pb.h"
#include "google/protobuf/any.pb.h"
#include "tests/control-plane/compile/mesh_fixture.h"

namespace weft::control::compile {
namespace {

using envoy::config::cluster::v3::Cluster;
using envoy::extensions::filters::http::jwt_authn::v3::JwtAuthentication;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
using envoy::extensions::transport_sockets::tls::v3::UpstreamTlsContext;

// What one object of these rules comes to.
class Compiled {
 public:
  explicit Compiled(const std::string& rules, bool is_weft = true) {
    mesh_.put(service_text("cart", "http", 80) +
              "---\n{apiVersion: weft.mesh/v1, kind: RequestAuthentication, metadata: {name: tokens, namespace: shop}, "
              "spec: {jwtRules: [" +
              rules + "]}}\n");
    tokens_ = mesh_.model().caller_rules_for({"shop", "cart"}).tokens;
    manager_.add_http_filters()->set_name("router");
    add_request_authentication(tokens_, &manager_);
    REQUIRE(manager_.http_filters_size() == 2);
    CHECK(manager_.http_filters(0).name() == "envoy.filters.http.jwt_authn");
    REQUIRE(manager_.http_filters(0).typed_config().UnpackTo(&filter));
    for (const auto& each : key_clusters(tokens_, is_weft)) {
      google::protobuf::Any any;
      REQUIRE(any.ParseFromString(each->any));
      REQUIRE(any.UnpackTo(&clusters.emplace_back()));
    }
  }

  const auto& provider(int number) const {
    return filter.providers().at("RequestAuthentication/shop/tokens/" + std::to_string(number));
  }

  JwtAuthentication filter;
  std::vector<Cluster> clusters;

 private:
  MeshFixture mesh_;
  registry::RequestAuthentications tokens_;
  HttpConnectionManager manager_;
};

std::string issuer(const std::string& name, const std::string& rest = "") {
  return "{issuer: " + name + ", jwksUri: \"https://keys.example/" + name + "\"" + rest + "}";
}

// "a,b" for the providers of a group; each may be missing.
std::string names(const envoy::extensions::filters::http::jwt_authn::v3::JwtRequirement& requirement) {
  std::string out;
  const auto& any = requirement.requires_any().requirements();
  REQUIRE(any.size() >= 2);
  CHECK(any[any.size() - 1].has_allow_missing());
  for (int i = 0; i + 1 < any.size(); ++i) out += any[i].provider_name().back();
  return out;
}

}  // namespace

TEST_CASE("without a word on tokens no filter looks for them") {
  HttpConnectionManager manager;
  manager.add_http_filters()->set_name("router");
  add_request_authentication({}, &manager);
  CHECK(manager.http_filters_size() == 1);
  CHECK(key_clusters({}, true).empty());
}

TEST_CASE("tokens are checked as the rule says, and a request may have none") {
  const Compiled made(issuer("me",
                             ", audiences: [cart], timeout: 2s, fromHeaders: [{name: X-Token, prefix: \"JWT \"}], "
                             "fromParams: [tok], fromCookies: [jar], forwardOriginalToken: true, "
                             "outputPayloadToHeader: x-all, outputClaimToHeaders: [{header: x-sub, claim: sub}]"));
  const auto& provider = made.provider(0);
  CHECK(provider.issuer() == "me");
  CHECK(provider.audiences(0) == "cart");
  CHECK(provider.from_headers(0).value_prefix() == "JWT ");
  CHECK(provider.from_params(0) == "tok");
  CHECK(provider.from_cookies(0) == "jar");
  CHECK(provider.forward());
  CHECK(provider.forward_payload_header() == "x-all");
  CHECK(provider.claim_to_headers(0).header_name() == "x-sub");
  CHECK(provider.payload_in_metadata() == "payload");
  CHECK(provider.remote_jwks().http_uri().timeout().seconds() == 2);
  CHECK(provider.remote_jwks().http_uri().cluster() == "jwks/https://keys.example:443");
  REQUIRE(made.filter.rules_size() == 1);
  CHECK(names(made.filter.rules(0).requires_()) == "0");
  CHECK(made.filter.bypass_cors_preflight());
}

TEST_CASE("issuers that share a place are alternatives, and those that do not are each asked for a good token") {
  const Compiled alone(issuer("a") + ", " + issuer("b"));
  CHECK(names(alone.filter.rules(0).requires_()) == "01");
  const Compiled apart(issuer("a") + ", " + issuer("b", ", fromHeaders: [{name: x-b}]") + ", " +
                       issuer("c", ", fromParams: [access_token]"));
  const auto& all = apart.filter.rules(0).requires_().requires_all();
  REQUIRE(all.requirements_size() == 2);
  CHECK(names(all.requirements(0)) == "1");
  CHECK(names(all.requirements(1)) == "02");
  const Compiled joined(issuer("a", ", fromHeaders: [{name: X-A}]") + ", " +
                        issuer("b", ", fromHeaders: [{name: x-b}]") + ", " +
                        issuer("c", ", fromHeaders: [{name: x-a}, {name: X-B}]"));
  CHECK(names(joined.filter.rules(0).requires_()) == "012");
}

TEST_CASE("keys are fetched from a server that shows who it is, once for all rules that name it") {
  for (const bool is_weft : {true, false}) {
    const Compiled made(issuer("a") + ", " + issuer("b"), is_weft);
    REQUIRE(made.clusters.size() == 1);
    const Cluster& cluster = made.clusters[0];
    CHECK(cluster.name() == "jwks/https://keys.example:443");
    CHECK(cluster.type() == Cluster::STRICT_DNS);
    const auto& endpoint = cluster.load_assignment().endpoints(0).lb_endpoints(0).endpoint();
    CHECK(endpoint.address().socket_address().address() == "keys.example");
    CHECK(endpoint.address().socket_address().port_value() == 443);
    UpstreamTlsContext tls;
    REQUIRE(cluster.transport_socket().typed_config().UnpackTo(&tls));
    CHECK(tls.sni() == "keys.example");
    const auto& validation = tls.common_tls_context().validation_context();
    CHECK(validation.match_typed_subject_alt_names(0).matcher().exact() == "keys.example");
    CHECK(validation.has_system_root_certs() == is_weft);
    CHECK(validation.trusted_ca().filename() == (is_weft ? "" : "/etc/ssl/certs/ca-certificates.crt"));
  }
}

TEST_CASE("keys at an address need no name, and those of a service of the mesh no cluster but the service's") {
  const Compiled made(
      "{issuer: a, jwksUri: \"http://127.0.0.1:8080/jwks\"}, {issuer: b, jwksUri: \"http://keys.auth.svc:81/jwks\"}, "
      "{issuer: c, jwksUri: \"http://keys.auth.svc.cluster.local/jwks\"}, "
      "{issuer: d, jwksUri: \"http://[::1]:82/jwks\"}");
  REQUIRE(made.clusters.size() == 2);
  CHECK(made.clusters[0].name() == "jwks/http://127.0.0.1:8080");
  CHECK(made.clusters[0].type() == Cluster::STATIC);
  CHECK_FALSE(made.clusters[0].has_transport_socket());
  CHECK(made.clusters[1].name() == "jwks/http://[::1]:82");
  CHECK(made.provider(1).remote_jwks().http_uri().cluster() == "auth/keys:81");
  CHECK(made.provider(2).remote_jwks().http_uri().cluster() == "auth/keys:80");
  CHECK(made.provider(1).remote_jwks().http_uri().timeout().seconds() == 5);
}

}  // namespace weft::control::compile
