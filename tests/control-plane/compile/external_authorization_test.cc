#include "control-plane/compile/external_authorization.h"

#include <catch2/catch.hpp>
#include <string>

#include "envoy/config/listener/v3/listener.pb.h"
#include "envoy/extensions/filters/http/ext_authz/v3/ext_authz.pb.h"
#include "envoy/extensions/filters/http/rbac/v3/rbac.pb.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"
#include "envoy/extensions/filters/network/rbac/v3/rbac.pb.h"
#include "tests/control-plane/compile/mesh_fixture.h"

namespace weft::control::compile {
namespace {

using envoy::config::rbac::v3::RBAC;
using envoy::extensions::filters::http::ext_authz::v3::ExtAuthz;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
using HttpRbac = envoy::extensions::filters::http::rbac::v3::RBAC;

std::string authorizer(const std::string& name, const std::string& spec, const std::string& service = "opa") {
  return "---\n{apiVersion: weft.mesh/v1, kind: ExternalAuthorizer, metadata: {name: " + name +
         ", namespace: shop}, spec: {backendRef: {name: " + service + ", port: 9191}, " + spec + "}}\n";
}

std::string custom(const std::string& name, const std::string& provider, const std::string& rules = "[{}]") {
  return "---\n{apiVersion: weft.mesh/v1, kind: AuthorizationPolicy, metadata: {name: " + name +
         ", namespace: shop}, spec: {action: CUSTOM, provider: {name: " + provider + "}, rules: " + rules + "}}\n";
}

// What these objects come to beside the services cart and opa.
class Compiled {
 public:
  explicit Compiled(const std::string& objects) {
    mesh_.put(service_text("cart", "http", 80) + service_text("opa", "grpc", 9191) + objects);
    policies = mesh_.model().caller_rules_for({"shop", "cart"}).policies;
    manager_.add_http_filters()->set_name("router");
    add_external_authorization({policies, 8080}, Turn::kBeforeTokens, &manager_);
    before = manager_.http_filters_size() - 1;
    add_external_authorization({policies, 8080}, Turn::kAfterTokens, &manager_);
    CHECK(manager_.http_filters().rbegin()->name() == "router");
  }

  size_t count() const { return static_cast<size_t>(manager_.http_filters_size()) - 1; }
  const std::string& name(int number) const { return manager_.http_filters(number).name(); }
  HttpRbac rbac(int number) const {
    HttpRbac out;
    REQUIRE(manager_.http_filters(number).typed_config().UnpackTo(&out));
    return out;
  }
  ExtAuthz question(int number) const {
    ExtAuthz out;
    REQUIRE(manager_.http_filters(number).typed_config().UnpackTo(&out));
    return out;
  }

  registry::Authorizations policies;
  int before = 0;  // How many filters stand in front of the one for tokens.

 private:
  MeshFixture mesh_;
  HttpConnectionManager manager_;
};

}  // namespace

TEST_CASE("what a policy matches is marked, and only about that its provider is asked") {
  const Compiled made(authorizer("ask", "grpc: {}") +
                      custom("p", "ask", "[{to: [{operation: {paths: [/admin]}}]}, {}]"));
  REQUIRE(made.count() == 2);
  CHECK(made.name(0) == "weft.authorization.custom/ExternalAuthorizer/shop/ask");
  const HttpRbac marks = made.rbac(0);
  CHECK_FALSE(marks.has_rules());
  CHECK(marks.shadow_rules_stat_prefix() == "ext_authz_shop_ask_");
  CHECK(marks.shadow_rules().action() == RBAC::DENY);
  CHECK(marks.shadow_rules().policies_size() == 2);
  const auto& first =
      marks.shadow_rules().policies().at("AuthorizationPolicy/shop/p/0@ExternalAuthorizer/shop/ask").permissions(0);
  // In doubt it is asked: the path in any writing.
  CHECK(first.ShortDebugString().find("regex") != std::string::npos);
  const ExtAuthz question = made.question(1);
  CHECK(made.name(1) == "weft.ext_authz/ExternalAuthorizer/shop/ask");
  CHECK(question.filter_enabled_metadata().filter() == "envoy.filters.http.rbac");
  CHECK(question.filter_enabled_metadata().path(0).key() == "ext_authz_shop_ask_shadow_effective_policy_id");
  CHECK(question.filter_enabled_metadata().value().present_match());
  CHECK(question.grpc_service().envoy_grpc().cluster_name() == "shop/opa:9191");
  CHECK(question.grpc_service().envoy_grpc().authority() == "opa.shop.svc.cluster.local:9191");
  CHECK(question.grpc_service().timeout().seconds() == 5);
  CHECK(question.transport_api_version() == envoy::config::core::v3::V3);
  CHECK(question.stat_prefix() == "shop_ask");
  CHECK_FALSE(question.failure_mode_allow());
  CHECK_FALSE(question.has_status_on_error());
  CHECK_FALSE(question.has_with_request_body());
}

TEST_CASE("all that an authorizer says of its service is in the question") {
  const Compiled made(
      authorizer("ask",
                 "timeout: 250ms, failOpen: true, statusOnError: 503, includeRequestBodyInCheck: {maxRequestBytes: 10, "
                 "allowPartialMessage: true}, http: {pathPrefix: /check, includeRequestHeadersInCheck: [X-A, 'x-b*'], "
                 "includeAdditionalHeadersInCheck: {x-from: mesh}, headersToUpstreamOnAllow: ['*'], "
                 "headersToDownstreamOnDeny: ['*-why'], headersToDownstreamOnAllow: [x-seen]}") +
      custom("p", "ask"));
  REQUIRE(made.count() == 2);
  const ExtAuthz question = made.question(1);
  CHECK(question.failure_mode_allow());
  CHECK(question.status_on_error().code() == envoy::type::v3::ServiceUnavailable);
  CHECK(question.with_request_body().max_request_bytes() == 10);
  CHECK(question.with_request_body().allow_partial_message());
  const auto& service = question.http_service();
  CHECK(service.server_uri().uri() == "http://opa.shop.svc.cluster.local:9191");
  CHECK(service.server_uri().cluster() == "shop/opa:9191");
  CHECK(service.server_uri().timeout().nanos() == 250'000'000);
  CHECK(service.path_prefix() == "/check");
  CHECK(question.allowed_headers().patterns(0).exact() == "X-A");
  CHECK(question.allowed_headers().patterns(0).ignore_case());
  CHECK(question.allowed_headers().patterns(1).prefix() == "x-b");
  CHECK(service.authorization_request().headers_to_add(0).key() == "x-from");
  CHECK(service.authorization_request().headers_to_add(0).value() == "mesh");
  const auto& answer = service.authorization_response();
  CHECK(answer.allowed_upstream_headers().patterns(0).safe_regex().regex() == ".+");
  CHECK_FALSE(answer.allowed_upstream_headers().patterns(0).ignore_case());
  CHECK(answer.allowed_client_headers().patterns(0).suffix() == "-why");
  CHECK(answer.allowed_client_headers_on_success().patterns(0).exact() == "x-seen");
}

TEST_CASE("each provider is asked by itself, those of policies that go by tokens behind the tokens") {
  const std::string by_token = "[{from: [{source: {requestPrincipals: ['*']}}]}]";
  const Compiled made(authorizer("ask", "grpc: {}") + authorizer("two", "http: {}") + custom("a", "ask") +
                      custom("b", "two") + custom("c", "ask", by_token) + custom("d", "ask"));
  REQUIRE(made.count() == 6);
  CHECK(made.before == 4);
  CHECK(made.rbac(0).shadow_rules().policies_size() == 2);
  CHECK(made.question(1).filter_enabled_metadata().path(0).key() == "ext_authz_shop_ask_shadow_effective_policy_id");
  CHECK(made.question(3).filter_enabled_metadata().path(0).key() == "ext_authz_shop_two_shadow_effective_policy_id");
  // Envoy takes no empty list.
  CHECK_FALSE(made.question(3).has_allowed_headers());
  CHECK_FALSE(made.question(3).http_service().authorization_response().has_allowed_upstream_headers());
  CHECK_FALSE(made.question(3).http_service().authorization_response().has_allowed_client_headers());
  CHECK_FALSE(made.question(3).http_service().authorization_response().has_allowed_client_headers_on_success());
  CHECK(made.rbac(4).shadow_rules().policies().contains("AuthorizationPolicy/shop/c/0@ExternalAuthorizer/shop/ask"));
  CHECK(made.question(5).filter_enabled_metadata().path(0).key() ==
        "ext_authz_by_token_shop_ask_shadow_effective_policy_id");
  CHECK(authorizer_services(made.policies) == std::vector<registry::ServiceName>{{"shop", "opa"}});
  CHECK(authorizer_clusters(made.policies).size() == 1);
  CHECK(authorizer_log_format(made.policies) ==
        " %DYNAMIC_METADATA(envoy.filters.http.rbac:ext_authz_shop_ask_shadow_effective_policy_id)%"
        " %DYNAMIC_METADATA(envoy.filters.http.rbac:ext_authz_shop_two_shadow_effective_policy_id)%"
        " %DYNAMIC_METADATA(envoy.filters.http.rbac:ext_authz_by_token_shop_ask_shadow_effective_policy_id)%");
}

TEST_CASE("what asks a provider that cannot be asked is refused, and nothing else") {
  for (const std::string& objects :
       {custom("p", "ask"), authorizer("ask", "grpc: {}", "nobody") + custom("p", "ask")}) {
    const Compiled made(objects);
    REQUIRE(made.count() == 1);
    const HttpRbac refused = made.rbac(0);
    CHECK(refused.rules().action() == RBAC::DENY);
    REQUIRE(refused.rules().policies_size() == 1);
    CHECK(refused.rules().policies().begin()->first.starts_with("AuthorizationPolicy/shop/p/0@ExternalAuthorizer/"));
    CHECK(authorizer_services(made.policies).empty());
    CHECK(authorizer_clusters(made.policies).empty());
    CHECK(authorizer_log_format(made.policies).empty());
  }
}

TEST_CASE("where questions go, nobody is asked about them") {
  const Compiled made(authorizer("ask", "grpc: {}") + authorizer("cart", "http: {}", "cart") + custom("p", "ask") +
                      custom("q", "cart"));
  const registry::ServiceName opa{"shop", "opa"};
  CHECK(policies_at(made.policies, opa, {9191}).empty());
  CHECK(policies_at(made.policies, opa, {80, 9191}).empty());
  CHECK(policies_at(made.policies, opa, {80}).size() == 2);
  CHECK(policies_at(made.policies, {"pay", "opa"}, {9191}).size() == 2);
  // One that nobody can ask is sent nothing.
  CHECK(policies_at(made.policies, {"shop", "cart"}, {9191}).size() == 2);
}

TEST_CASE("a policy without rules asks nobody") {
  CHECK(Compiled(authorizer("ask", "grpc: {}") + custom("p", "ask", "[]")).count() == 0);
}

TEST_CASE("connections that are not HTTP and match are refused, by what can be asked of them") {
  const Compiled made(authorizer("ask", "grpc: {}") +
                      custom("p", "ask", "[{to: [{operation: {paths: [/a], ports: ['80']}}]}]"));
  envoy::config::listener::v3::FilterChain chain;
  add_connection_authorization({made.policies, 8080}, &chain);
  REQUIRE(chain.filters_size() == 1);
  CHECK(chain.filters(0).name() == "weft.authorization.custom");
  envoy::extensions::filters::network::rbac::v3::RBAC rbac;
  REQUIRE(chain.filters(0).typed_config().UnpackTo(&rbac));
  CHECK(rbac.rules().action() == RBAC::DENY);
  CHECK(rbac.rules().policies().contains("AuthorizationPolicy/shop/p/0@ExternalAuthorizer/shop/ask"));
}

}  // namespace weft::control::compile
