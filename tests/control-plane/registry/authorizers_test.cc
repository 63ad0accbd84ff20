#include "control-plane/registry/authorizers.h"

#include <catch2/catch.hpp>

#include "tests/control-plane/registry/fed.h"
#include "weft/v1/external_authorizer.pb.h"

namespace weft::control::registry {
namespace {

using source::Kind;

const source::Key kPolicy = {Kind::kAuthorizationPolicy, "shop", "p"};
const source::Key kOwn = {Kind::kExternalAuthorizer, "shop", "opa"};
const source::Key kMeshs = {Kind::kExternalAuthorizer, "weft-system", "opa"};

std::string service(const std::string& space, const std::string& protocol, const std::string& exported = "*") {
  return "{apiVersion: v1, kind: Service, metadata: {name: opa, namespace: " + space +
         ", annotations: {weft.mesh/export-to: \"" + exported +
         "\"}}, spec: {ports: [{port: 9191, appProtocol: " + protocol + "}]}}\n";
}

std::string authorizer(const std::string& space, const std::string& spec) {
  return "{apiVersion: weft.mesh/v1, kind: ExternalAuthorizer, metadata: {name: opa, namespace: " + space +
         "}, spec: {" + spec + "}}\n";
}

std::string asks(const std::string& space, const std::string& how = "grpc: {}") {
  return "backendRef: {name: opa, namespace: " + space + ", port: 9191}, " + how;
}

constexpr char kCustom[] =
    "{apiVersion: weft.mesh/v1, kind: AuthorizationPolicy, metadata: {name: p, namespace: shop}, "
    "spec: {action: CUSTOM, provider: {name: opa}, rules: [{}]}}\n";

std::string mistakes(const std::string& text) {
  const auto drafts = source::read_documents(text, "a.yaml");
  INFO(drafts.status().message());
  REQUIRE(drafts.ok());
  return std::string(validate(drafts->front()).message());
}

std::string mistakes_of(const std::string& spec) { return mistakes(authorizer("shop", spec)); }

const Authorizer& asked(const Fed& fed) {
  const Authorizations policies = fed.model().caller_rules_for({"shop", "cart"}).policies;
  REQUIRE(policies.size() == 1);
  // The model keeps it.
  return *policies[0]->authorizer;
}

}  // namespace

TEST_CASE("a provider is the policy's own namespace's, or else the mesh's, and goes with what changes") {
  Fed fed;
  fed.put(kCustom);
  CHECK(asked(fed).name == "ExternalAuthorizer/opa");
  CHECK(asked(fed).spec == nullptr);
  CHECK(fed.warnings(kPolicy) ==
        "ResolvedRefs is False, ProviderNotFound: no ExternalAuthorizer \"opa\" exists in shop or weft-system\n");
  CHECK(fed.put(authorizer("weft-system", asks("auth"))).authorizations == std::set<std::string>{"shop"});
  CHECK(asked(fed).name == "ExternalAuthorizer/weft-system/opa");
  CHECK(asked(fed).trouble == "the service auth/opa does not exist");
  CHECK(fed.put(service("auth", "grpc")).authorizations == std::set<std::string>{"shop"});
  CHECK(asked(fed).trouble.empty());
  CHECK(asked(fed).service == ServiceName{"auth", "opa"});
  CHECK(asked(fed).port == 9191);
  CHECK(asked(fed).host == "opa.auth.svc.cluster.local");
  CHECK(fed.warnings(kPolicy).empty());
  CHECK(fed.put(authorizer("shop", asks("shop", "http: {}"))).authorizations == std::set<std::string>{"shop"});
  CHECK(asked(fed).origin.key == kOwn);
  CHECK(asked(fed).spec->has_http());
  CHECK_FALSE(fed.warnings(kPolicy).empty());
  CHECK(fed.erase(kOwn).authorizations == std::set<std::string>{"shop"});
  CHECK(asked(fed).origin.key == kMeshs);
  CHECK(fed.erase({Kind::kService, "auth", "opa"}).authorizations == std::set<std::string>{"shop"});
  CHECK_FALSE(asked(fed).trouble.empty());
}

TEST_CASE("an authorizer of another namespace is none of the policy's, and concerns nobody there") {
  Fed fed;
  fed.put(kCustom);
  CHECK(fed.put(authorizer("pay", asks("pay"))).authorizations.empty());
  CHECK(asked(fed).spec == nullptr);
}

TEST_CASE("an authorizer says why its service cannot be asked") {
  Fed fed;
  fed.put(authorizer("shop", asks("auth")));
  CHECK(fed.warnings(kOwn) == "ResolvedRefs is False, BackendNotFound: the service auth/opa does not exist\n");
  fed.put(service("auth", "grpc", "."));
  CHECK(fed.warnings(kOwn) ==
        "ResolvedRefs is False, RefNotPermitted: the service auth/opa is exported to auth, not to shop\n");
  fed.put(service("auth", "http"));
  CHECK_THAT(fed.warnings(kOwn),
             Catch::Contains("UnsupportedProtocol: port 9191 of the service auth/opa does not say"));
  fed.put(service("auth", "kubernetes.io/h2c"));
  CHECK(fed.warnings(kOwn).empty());
  fed.put(authorizer("shop", asks("auth", "http: {}")));
  CHECK(fed.warnings(kOwn).empty());
  fed.put(service("auth", "tcp"));
  CHECK_THAT(fed.warnings(kOwn), Catch::Contains("is not HTTP"));
  fed.put(authorizer("shop", "backendRef: {name: opa, namespace: auth, port: 1}, http: {}"));
  CHECK_THAT(fed.warnings(kOwn), Catch::Contains("BackendNotFound: the service auth/opa has no TCP port 1"));
  fed.put(
      "{apiVersion: weft.mesh/v1, kind: ExternalService, metadata: {name: opa, namespace: shop}, spec: {hosts: "
      "[\"*.example.com\"], resolution: None, ports: [{port: 80, appProtocol: http}]}}\n");
  fed.put(authorizer("shop", "backendRef: {group: weft.mesh, kind: ExternalService, name: opa, port: 80}, http: {}"));
  CHECK_THAT(fed.warnings(kOwn), Catch::Contains("has resolution None, and so no endpoints that could be asked"));
}

TEST_CASE("what an authorizer may say is checked, each mistake with its place") {
  const std::string good = "backendRef: {name: opa, port: 9191}, ";
  CHECK(mistakes_of(good + "grpc: {}, timeout: 600ms, failOpen: true, statusOnError: 503, "
                           "includeRequestBodyInCheck: {maxRequestBytes: 10, packAsBytes: true}")
            .empty());
  CHECK(mistakes_of("backendRef: {group: weft.mesh, kind: ExternalService, name: opa, port: 80}, http: {pathPrefix: "
                    "/check, includeRequestHeadersInCheck: [x-a, x-b*, '*-c', '*'], includeAdditionalHeadersInCheck: "
                    "{x-from: mesh}, headersToUpstreamOnAllow: [x-user], headersToDownstreamOnDeny: [x-why], "
                    "headersToDownstreamOnAllow: [x-seen]}")
            .empty());
  CHECK_THAT(mistakes_of(good), Catch::Contains("spec: expected one of http and grpc"));
  CHECK_THAT(mistakes_of(good + "http: {}, grpc: {}"), Catch::Contains("spec: expected one of http and grpc"));
  CHECK_THAT(mistakes_of("grpc: {}"), Catch::Contains("spec.backendRef.name: expected a service's name"));
  CHECK_THAT(mistakes_of("grpc: {}, backendRef: {name: opa, port: 0}"), Catch::Contains("spec.backendRef.port"));
  CHECK_THAT(mistakes_of("grpc: {}, backendRef: {name: opa, port: 1, weight: 2}"), Catch::Contains("there is one"));
  CHECK_THAT(mistakes_of("grpc: {}, backendRef: {kind: Secret, name: opa, port: 1}"),
             Catch::Contains("spec.backendRef: expected kind Service"));
  CHECK_THAT(mistakes_of(good + "grpc: {}, timeout: 0s"), Catch::Contains("spec.timeout: expected more than nothing"));
  CHECK_THAT(mistakes_of(good + "grpc: {}, statusOnError: 200"), Catch::Contains("spec.statusOnError: expected"));
  CHECK_THAT(mistakes_of(good + "grpc: {}, includeRequestBodyInCheck: {}"),
             Catch::Contains("spec.includeRequestBodyInCheck.maxRequestBytes: expected 1 to 16777216; got 0"));
  CHECK_THAT(mistakes_of(good + "http: {}, includeRequestBodyInCheck: {maxRequestBytes: 1, packAsBytes: true}"),
             Catch::Contains("packAsBytes"));
  const auto http = [&](const std::string& text) { return mistakes_of(good + "http: {" + text + "}"); };
  CHECK_THAT(http("pathPrefix: check"), Catch::Contains("spec.http.pathPrefix: expected a path"));
  CHECK_THAT(http("headersToUpstreamOnAllow: ['a*b']"), Catch::Contains("spec.http.headersToUpstreamOnAllow[0]"));
  CHECK_THAT(http("headersToDownstreamOnDeny: ['']"), Catch::Contains("expected a header's name"));
  CHECK_THAT(http("includeAdditionalHeadersInCheck: {Host: a}"), Catch::Contains("not one of the message itself"));
  CHECK_THAT(http("includeAdditionalHeadersInCheck: {x-a: \"a\\nb\"}"), Catch::Contains("control characters"));
}

TEST_CASE("a provider goes with the action CUSTOM and with no other, and not on trial") {
  const auto policy = [](const std::string& spec, const std::string& annotations = "") {
    return mistakes("{apiVersion: weft.mesh/v1, kind: AuthorizationPolicy, metadata: {name: p, namespace: shop, " +
                    ("annotations: {" + annotations + "}}, spec: {") + spec + "}}\n");
  };
  CHECK(policy("action: CUSTOM, provider: {name: opa}").empty());
  CHECK_THAT(policy("action: CUSTOM"), Catch::Contains("spec.provider.name: expected an ExternalAuthorizer's name"));
  CHECK_THAT(policy("action: DENY, provider: {name: opa}"), Catch::Contains("spec.provider: expected none"));
  CHECK_THAT(policy("action: CUSTOM, provider: {name: opa}", "weft.mesh/dry-run: \"true\""),
             Catch::Contains("is not known without asking it"));
}

}  // namespace weft::control::registry
