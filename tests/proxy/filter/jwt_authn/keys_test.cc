#include "proxy/filter/jwt_authn/keys.h"

#include <openssl/hmac.h>
#include <openssl/nid.h>

#include <catch2/catch.hpp>
#include <memory>

#include "tests/proxy/filter/jwt_authn/signer.h"

namespace weft::filter {
namespace {

KeySetPtr set_of(const std::string& keys) {
  auto set = KeySet::parse("{\"keys\":[" + keys + "]}");
  INFO(set.status().message());
  REQUIRE(set.ok());
  return *set;
}

TokenError verify(const KeySetPtr& keys, const std::string& text) {
  Token token;
  REQUIRE(parse_token(text, &token) == TokenError::kNone);
  return keys->verify(token);
}

std::string header(const std::string& algorithm, const std::string& id = "k") {
  return R"({"alg":")" + algorithm + R"(","kid":")" + id + R"("})";
}

constexpr char kPayload[] = R"({"iss":"me"})";

void check_good_and_bad(const Signer& signer, const std::string& algorithm) {
  INFO(algorithm);
  const KeySetPtr keys = set_of(signer.jwk("k"));
  std::string good = signer.token(header(algorithm), kPayload);
  CHECK(verify(keys, good) == TokenError::kNone);
  // Another payload under the same signature.
  std::string forged = text::encode_base64url(header(algorithm)) + '.' + text::encode_base64url(R"({"iss":"you"})") +
                       good.substr(good.rfind('.'));
  CHECK(verify(keys, forged) == TokenError::kSignature);
  CHECK(verify(keys, good.substr(0, good.rfind('.') + 1) + "AA") == TokenError::kSignature);
  CHECK(verify(keys, signer.token(header(algorithm, "other"), kPayload)) == TokenError::kNoKey);
}

}  // namespace

TEST_CASE("RSA signatures are verified, with either padding and each digest") {
  for (bool pss : {false, true}) {
    check_good_and_bad(RsaSigner(EVP_sha256(), pss), pss ? "PS256" : "RS256");
    check_good_and_bad(RsaSigner(EVP_sha384(), pss), pss ? "PS384" : "RS384");
    check_good_and_bad(RsaSigner(EVP_sha512(), pss), pss ? "PS512" : "RS512");
  }
}

TEST_CASE("ECDSA and EdDSA signatures are verified") {
  check_good_and_bad(EcSigner(NID_X9_62_prime256v1, "P-256", 32, EVP_sha256()), "ES256");
  check_good_and_bad(EcSigner(NID_secp384r1, "P-384", 48, EVP_sha384()), "ES384");
  check_good_and_bad(EcSigner(NID_secp521r1, "P-521", 66, EVP_sha512()), "ES512");
  check_good_and_bad(EdSigner(), "EdDSA");
}

TEST_CASE("an algorithm goes with its own kind of key and curve, and no other") {
  EcSigner p256(NID_X9_62_prime256v1, "P-256", 32, EVP_sha256());
  EcSigner p384(NID_secp384r1, "P-384", 48, EVP_sha256());
  RsaSigner rsa(EVP_sha256());
  CHECK(verify(set_of(p384.jwk("k")), p384.token(header("ES256"), kPayload)) == TokenError::kSignature);
  CHECK(verify(set_of(rsa.jwk("k")), p256.token(header("ES256"), kPayload)) == TokenError::kSignature);
  CHECK(verify(set_of(p256.jwk("k")), rsa.token(header("RS256"), kPayload)) == TokenError::kSignature);
  CHECK(verify(set_of(rsa.jwk("k")), rsa.token(header("PS256"), kPayload)) == TokenError::kSignature);
}

TEST_CASE("a public key is never a shared secret") {
  RsaSigner rsa(EVP_sha256());
  const std::string jwk = rsa.jwk("k");
  std::string text = text::encode_base64url(header("HS256")) + '.' + text::encode_base64url(kPayload);
  uint8_t mac[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  HMAC(EVP_sha256(), jwk.data(), jwk.size(), reinterpret_cast<const uint8_t*>(text.data()), text.size(), mac, &size);
  CHECK(verify(set_of(jwk), text + '.' + text::encode_base64url({reinterpret_cast<char*>(mac), size})) ==
        TokenError::kSignature);
}

TEST_CASE("without a key id each key is tried, and a key's own algorithm counts") {
  EcSigner first(NID_X9_62_prime256v1, "P-256", 32, EVP_sha256());
  EcSigner second(NID_X9_62_prime256v1, "P-256", 32, EVP_sha256());
  KeySetPtr both = set_of(first.jwk("a") + ',' + second.jwk("b"));
  CHECK(verify(both, second.token(R"({"alg":"ES256"})", kPayload)) == TokenError::kNone);
  CHECK(verify(both, second.token(header("ES256", "a"), kPayload)) == TokenError::kSignature);
  RsaSigner rsa(EVP_sha256());
  std::string limited = rsa.jwk("k");
  limited.insert(1, R"("alg":"PS256",)");
  CHECK(verify(set_of(limited), rsa.token(header("RS256"), kPayload)) == TokenError::kNoKey);
}

TEST_CASE("key sets that are none, or have no key that can be used, are refused") {
  for (const char* wrong :
       {"", "[]", "{}", R"({"keys":{}})", R"({"keys":[]})", R"({"keys":[7]})",
        R"({"keys":[{"kty":"oct","k":"c2VjcmV0"}]})", R"({"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]})",
        R"({"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]})",
        R"({"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA"}]})"}) {
    INFO(wrong);
    CHECK_FALSE(KeySet::parse(wrong).ok());
  }
  CHECK_FALSE(KeySet::parse("{\"keys\":[" + RsaSigner(EVP_sha256(), false, 1024).jwk("k") + "]}").ok());
  // A point that is not on the curve.
  std::string off(32, '\1');
  CHECK_FALSE(KeySet::parse(R"({"keys":[{"kty":"EC","crv":"P-256","x":")" + text::encode_base64url(off) + R"(","y":")" +
                            text::encode_base64url(off) + R"("}]})")
                  .ok());
  std::string encryption = RsaSigner(EVP_sha256()).jwk("k");
  encryption.insert(1, R"("use":"enc",)");
  CHECK_FALSE(KeySet::parse("{\"keys\":[" + encryption + "]}").ok());
}

}  // namespace weft::filter
