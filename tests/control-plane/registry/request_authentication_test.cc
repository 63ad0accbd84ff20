#include <catch2/catch.hpp>

#include "tests/control-plane/registry/fed.h"

namespace weft::control::registry {
namespace {

using source::Kind;

// RFC 7517's, which is a point of its curve.
constexpr char kX[] = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4";
constexpr char kY[] = "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM";
std::string key_text(const std::string& x, const std::string& y, const std::string& more = "") {
  return R"({"kty":"EC","crv":"P-256",)" + more + R"("x":")" + x + R"(","y":")" + y + R"("})";
}
const std::string kKeys = R"('{"keys":[)" + key_text(kX, kY) + "]}'";

std::string object(const std::string& space, const std::string& name, const std::string& spec) {
  return "{apiVersion: weft.mesh/v1, kind: RequestAuthentication, metadata: {name: " + name + ", namespace: " + space +
         "}, spec: {" + spec + "}}\n";
}

std::string mistakes(const std::string& spec) {
  const auto drafts = source::read_documents(object("shop", "a", spec), "a.yaml");
  INFO(drafts.status().message());
  REQUIRE(drafts.ok());
  return std::string(validate(drafts->front()).message());
}

// Of the only rule, of which this is what stands beside the issuer.
std::string mistakes_of(const std::string& rule) { return mistakes("jwtRules: [{issuer: me, " + rule + "}]"); }

}  // namespace

TEST_CASE("whose tokens are taken is said for the mesh, a namespace or a service") {
  const std::string rules = "jwtRules: [{issuer: me, jwksUri: \"https://keys.example/\"}]";
  Fed fed;
  CHECK(fed.put(object("weft-system", "mesh", rules)).authorizations == std::set<std::string>{"weft-system"});
  fed.put(object("shop", "cart", "targetRefs: [{kind: Service, name: cart}], " + rules));
  CHECK(fed.model().caller_rules_for({"shop", "cart"}).tokens.size() == 2);
  CHECK(fed.model().caller_rules_for({"shop", "till"}).tokens.size() == 1);
  CHECK(fed.model().caller_rules_for({"shop", "cart"}).policies.empty());
  CHECK(fed.warnings({Kind::kRequestAuthentication, "shop", "cart"}) ==
        "ResolvedRefs is False, TargetNotFound: the service shop/cart does not exist\n");
  fed.put("{apiVersion: v1, kind: Service, metadata: {name: cart, namespace: shop}, spec: {ports: [{port: 80}]}}\n");
  CHECK(fed.warnings({Kind::kRequestAuthentication, "shop", "cart"}).empty());
  CHECK(fed.erase({Kind::kRequestAuthentication, "shop", "cart"}).authorizations == std::set<std::string>{"shop"});
  CHECK(fed.model().caller_rules_for({"shop", "cart"}).tokens.size() == 1);
}

TEST_CASE("an issuer has a name, and keys here or elsewhere") {
  CHECK(mistakes_of("jwks: " + kKeys).empty());
  CHECK(mistakes_of("jwksUri: \"http://keys.auth.svc.cluster.local:8080/jwks\", timeout: 2s").empty());
  CHECK_THAT(mistakes(""), Catch::Contains("spec.jwtRules: expected at least one"));
  CHECK_THAT(mistakes("jwtRules: [{jwks: " + kKeys + "}]"),
             Catch::Contains("spec.jwtRules[0].issuer: expected the issuer's name"));
  CHECK_THAT(mistakes_of(""), Catch::Contains("spec.jwtRules[0]: expected one of jwks"));
  CHECK_THAT(mistakes_of("jwksUri: \"https://keys.example/\", jwks: " + kKeys),
             Catch::Contains("expected one of jwks"));
  CHECK_THAT(mistakes_of("jwksUri: keys.example"),
             Catch::Contains("spec.jwtRules[0].jwksUri: expected http://HOST[:PORT]/PATH"));
  CHECK_THAT(mistakes_of("timeout: 1s, jwks: " + kKeys), Catch::Contains("spec.jwtRules[0].timeout: expected none"));
  CHECK_THAT(mistakes_of("jwksUri: \"https://keys.example/\", timeout: soon"),
             Catch::Contains("spec.jwtRules[0].timeout"));
  CHECK_THAT(mistakes_of("jwksUri: \"https://keys.example/\", timeout: 0s"),
             Catch::Contains("expected more than nothing"));
  CHECK_THAT(mistakes_of("jwks: " + kKeys + ", audiences: [\"\"]"), Catch::Contains("spec.jwtRules[0].audiences[0]"));
}

TEST_CASE("a set without a key that proxies can use is refused before it is sent to one") {
  CHECK_THAT(mistakes_of("jwks: '{}'"), Catch::Contains("spec.jwtRules[0].jwks: expected a JSON Web Key Set"));
  CHECK_THAT(mistakes_of("jwks: none"), Catch::Contains("expected a JSON Web Key Set"));
  CHECK_THAT(mistakes_of(R"(jwks: '{"keys":[]}')"), Catch::Contains("expected a JSON Web Key Set"));
  const auto key = [](const std::string& text) { return mistakes_of(R"(jwks: '{"keys":[)" + text + "]}'"); };
  // Odd, and with the highest bit; and 32 bytes.
  const std::string modulus = "_" + std::string(340, 'a') + "Q", point = std::string(42, 'a') + "Y";
  CHECK(key(R"({"kty":"RSA","n":")" + modulus + R"(","e":"AQAB"})").empty());
  CHECK(key(R"({"kty":"oct","k":"c2VjcmV0"},{"kty":"OKP","crv":"Ed25519","x":")" + point + R"("})").empty());
  const char* expected = "it has no key that can be used";
  CHECK_THAT(key("{}"), Catch::Contains(expected));
  CHECK_THAT(key(R"({"kty":"oct","k":"c2VjcmV0"})"), Catch::Contains(expected));
  CHECK_THAT(key(R"({"kty":"RSA","n":")" + modulus.substr(171) + R"(","e":"AQAB"})"),
             Catch::Contains("spec.jwtRules[0].jwks: keys[0]: expected an RSA modulus n"));
  CHECK_THAT(key(R"({"kty":"RSA","use":"enc","n":")" + modulus + R"(","e":"AQAB"})"), Catch::Contains(expected));
  CHECK_THAT(key(R"({"kty":"EC","crv":"P-384","x":")" + point + R"(","y":")" + point + R"("})"),
             Catch::Contains("keys[0]: expected x and y of 48 bytes, as P-384 has them; got 32 and 32"));
  CHECK_THAT(key(R"({"kty":"EC","crv":"secp256k1","x":")" + point + R"(","y":")" + point + R"("})"),
             Catch::Contains(expected));
  CHECK_THAT(key(R"({"kty":"OKP","crv":"Ed25519","x":"a b"})"),
             Catch::Contains("keys[0]: expected x in base64url without padding"));
  // One that is no key is told though there is another.
  CHECK(key(key_text(kX, kY, R"("kid":"good",)")).empty());
  CHECK_THAT(key(key_text(kX, kY) + "," + key_text(kY, kX, R"("kid":"off",)")),
             Catch::Contains(R"(spec.jwtRules[0].jwks: keys[1] (kid "off"): x and y are no point of the curve P-256)"));
  std::string many = "{}";
  for (int i = 0; i < 100; ++i) many += ",{}";
  CHECK_THAT(key(many), Catch::Contains("it has 101 keys; at most 100 are taken"));
}

TEST_CASE("places of tokens and headers for claims have names, and each header is set once") {
  const auto with = [](const std::string& rest) { return mistakes_of("jwks: " + kKeys + ", " + rest); };
  CHECK(with("fromHeaders: [{name: x-token, prefix: \"JWT \"}], fromParams: [tok], fromCookies: [jar]").empty());
  CHECK(with("outputPayloadToHeader: x-all, outputClaimToHeaders: [{header: x-sub, claim: sub}]").empty());
  CHECK_THAT(with("fromHeaders: [{name: \"a b\"}]"),
             Catch::Contains("spec.jwtRules[0].fromHeaders[0].name: expected a header's name"));
  CHECK_THAT(with("fromParams: [\"\"]"),
             Catch::Contains("spec.jwtRules[0].fromParams[0]: expected a parameter's name"));
  CHECK_THAT(with("fromCookies: [\"a;b\"]"),
             Catch::Contains("spec.jwtRules[0].fromCookies[0]: expected a cookie's name"));
  CHECK_THAT(with("outputClaimToHeaders: [{header: x-sub}]"),
             Catch::Contains("spec.jwtRules[0].outputClaimToHeaders[0].claim"));
  CHECK_THAT(with("outputPayloadToHeader: \":path\""), Catch::Contains("expected a header's name"));
  CHECK_THAT(with("outputPayloadToHeader: X-Sub, outputClaimToHeaders: [{header: x-sub, claim: sub}]"),
             Catch::Contains("\"x-sub\" is set twice"));
  CHECK_THAT(mistakes("targetRefs: [{kind: Gateway, name: a}], jwtRules: [{issuer: me, jwks: " + kKeys + "}]"),
             Catch::Contains("spec.targetRefs[0]: expected kind Service"));
}

}  // namespace weft::control::registry
