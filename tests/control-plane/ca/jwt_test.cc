#include "control-plane/ca/jwt.h"

#include "control-plane/ca/service_accounts.h"
#include "tests/control-plane/ca/jwt_fixture.h"

namespace weft::control::ca {
namespace {

constexpr char kIssuer[] = "https://kubernetes.default.svc";
constexpr int64_t kNowMs = 1'700'000'000'000;
constexpr char kGood[] =
    R"({"iss":"https://kubernetes.default.svc","aud":["other","weft"],"exp":1700000600,"nbf":1700000000,)"
    R"("sub":"system:serviceaccount:shop:cart"})";

const JwtExpectations kExpected{.issuer = kIssuer, .audience = "weft", .now_ms = kNowMs};

struct Keys {
  Keys() {
    auto read = read_jwks("{\"keys\":[" + rsa_jwk(*rsa, "r") + "," + ec_jwk(*ec, "e", "P-256", 32) + "," +
                              ec_jwk(*ec384, "e384", "P-384", 48) + R"(,{"kty":"oct","kid":"o","k":"AAAA"},)" +
                              R"({"kty":"OKP","crv":"Ed25519","x":"AAAA"}]})",
                          "set");
    INFO(read.status().message());
    REQUIRE(read.ok());
    set = *std::move(read);
    REQUIRE(set.size() == 3);
  }
  Key rsa{EVP_RSA_gen(2048)};
  Key ec{EVP_EC_gen("P-256")};
  Key ec384{EVP_EC_gen("P-384")};
  std::vector<JsonWebKey> set;
};

std::string mistake(const std::string& token, const Keys& keys, const JwtExpectations& expected = kExpected) {
  return std::string(verify_jwt(token, keys.set, expected).status().message());
}

TEST_CASE("a token that its issuer signed for this audience is good, by each algorithm") {
  const Keys keys;
  const auto claims = verify_jwt(rs256(*keys.rsa, R"({"alg":"RS256","kid":"r"})", kGood), keys.set, kExpected);
  INFO(claims.status().message());
  REQUIRE(claims.ok());
  CHECK(claims->subject == "system:serviceaccount:shop:cart");
  CHECK(mistake(es256(*keys.ec, R"({"alg":"ES256","kid":"e","typ":"JWT"})", kGood), keys).empty());
  // Without an id each key of the kind is tried.
  CHECK(mistake(es256(*keys.ec, R"({"alg":"ES256"})", kGood), keys).empty());
  const auto signed_by = [&](const std::string& alg, const EVP_MD* digest, int padding) {
    const std::string text = unsigned_jwt("{\"alg\":\"" + alg + "\"}", kGood);
    return text + "." + base64url(signature_of(*keys.rsa, digest, text, padding));
  };
  CHECK(mistake(signed_by("RS384", EVP_sha384(), 0), keys).empty());
  CHECK(mistake(signed_by("RS512", EVP_sha512(), 0), keys).empty());
  CHECK(mistake(signed_by("PS256", EVP_sha256(), RSA_PKCS1_PSS_PADDING), keys).empty());
  CHECK(mistake(signed_by("PS384", EVP_sha384(), RSA_PKCS1_PSS_PADDING), keys).empty());
  const std::string text = unsigned_jwt(R"({"alg":"ES384"})", kGood);
  const std::string der = signature_of(*keys.ec384, EVP_sha384(), text, 0);
  CHECK(mistake(text + "." + base64url(raw_signature(der, 48)), keys).empty());
}

TEST_CASE("a token without a signature, by another key, or by a key of another kind is refused") {
  const Keys keys;
  const Key stranger(EVP_RSA_gen(2048));
  CHECK_THAT(mistake(unsigned_jwt(R"({"alg":"none"})", kGood) + ".", keys), Catch::Contains("(alg) is not one of"));
  CHECK_THAT(mistake(unsigned_jwt(R"({"alg":"NONE"})", kGood) + ".", keys), Catch::Contains("(alg) is not one of"));
  CHECK_THAT(mistake(unsigned_jwt(R"({})", kGood) + ".", keys), Catch::Contains("(alg) is not one of"));
  CHECK_THAT(mistake(rs256(*stranger, R"({"alg":"RS256","kid":"r"})", kGood), keys),
             Catch::Contains("signature is not by the key"));
  // The public key as a shared secret.
  const std::string text = unsigned_jwt(R"({"alg":"HS256","kid":"r"})", kGood);
  const std::string secret = *to_pem(*keys.rsa);
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), mac, &size);
  CHECK_THAT(mistake(text + "." + base64url({reinterpret_cast<char*>(mac), size}), keys), Catch::Contains("(alg)"));
  // By the right key, as what it is not.
  CHECK_THAT(mistake(rs256(*keys.rsa, R"({"alg":"ES256","kid":"r"})", kGood), keys),
             Catch::Contains("no key of its issuer"));
  CHECK_THAT(mistake(es256(*keys.ec, R"({"alg":"ES384","kid":"e"})", kGood), keys),
             Catch::Contains("no key of its issuer"));
  CHECK_THAT(mistake(es256(*keys.ec, R"({"alg":"RS256"})", kGood), keys),
             Catch::Contains("signature is not by the key"));
  CHECK_THAT(mistake(rs256(*keys.rsa, R"({"alg":"RS256","kid":"x"})", kGood), keys),
             Catch::Contains("no key of its issuer"));
  // ECDSA in DER is no JWS.
  const std::string es = unsigned_jwt(R"({"alg":"ES256"})", kGood);
  CHECK_THAT(mistake(es + "." + base64url(signature_of(*keys.ec, EVP_sha256(), es, 0)), keys),
             Catch::Contains("signature"));
  CHECK_THAT(mistake(rs256(*keys.rsa, R"({"alg":"RS256","crit":["b64"]})", kGood), keys), Catch::Contains("crit"));
  // One byte of the claims is another.
  std::string changed = rs256(*keys.rsa, R"({"alg":"RS256"})", kGood);
  changed[changed.find('.') + 9] ^= 1;
  CHECK_THAT(mistake(changed, keys), Catch::Contains("refused"));
  // A key that is for one algorithm alone.
  auto only = read_jwks("{\"keys\":[" + rsa_jwk(*keys.rsa, "r", R"(,"alg":"RS512")") + "]}", "set");
  REQUIRE(only.ok());
  CHECK(verify_jwt(rs256(*keys.rsa, R"({"alg":"RS256"})", kGood), *only, kExpected).status().code() ==
        absl::StatusCode::kNotFound);
}

TEST_CASE("a token of another issuer or audience, expired, too early or without an end is refused") {
  const Keys keys;
  const auto refused = [&](const std::string& claims) {
    return mistake(rs256(*keys.rsa, R"({"alg":"RS256"})", claims), keys);
  };
  const std::string base = R"({"iss":"https://kubernetes.default.svc","aud":"weft","sub":"s")";
  CHECK(refused(base + R"(,"exp":1700000600})").empty());
  CHECK_THAT(refused(base + "}"), Catch::Contains("(exp)"));
  CHECK_THAT(refused(base + R"(,"exp":1700000000})"), Catch::Contains("it has expired"));
  CHECK_THAT(refused(base + R"(,"exp":"1700000600"})"), Catch::Contains("(exp)"));
  CHECK_THAT(refused(base + R"(,"exp":1700000600,"exp":1900000000})"), Catch::Contains("(exp)"));
  CHECK(refused(base + R"(,"exp":1700000600,"nbf":1700000059})").empty());
  CHECK_THAT(refused(base + R"(,"exp":1700000600,"nbf":1700000100})"), Catch::Contains("not valid yet (nbf)"));
  CHECK_THAT(refused(base + R"(,"exp":1700000600,"iat":1700000100})"), Catch::Contains("not valid yet (iat)"));
  CHECK_THAT(refused(R"({"iss":"https://other","aud":"weft","exp":1700000600})"),
             Catch::Contains("issuer (iss) is not"));
  CHECK_THAT(refused(R"({"aud":"weft","exp":1700000600})"), Catch::Contains("issuer (iss) is not"));
  for (const char* audience : {R"("api")", R"(["api"])", "[]", "null", R"([["weft"]])", R"({"weft":"weft"})"}) {
    CHECK_THAT(
        refused(R"({"iss":"https://kubernetes.default.svc","exp":1700000600,"aud":)" + std::string(audience) + "}"),
        Catch::Contains("audience (aud)"));
  }
  CHECK_THAT(refused("[]"), Catch::Contains("claims are no JSON object"));
}

TEST_CASE("what is no token, and sets that are none, are refused") {
  const Keys keys;
  for (const std::string& each :
       {std::string(), std::string("a"), std::string("a.b"), std::string("a.b.c.d"), std::string(".."),
        std::string("e30=.e30.AA"), std::string("e30.e30.A A"), std::string("W10.e30.AA")}) {
    INFO(each);
    CHECK_THAT(mistake(each, keys), Catch::Contains("it is no JSON Web Token"));
  }
  CHECK_THAT(mistake(std::string(20'000, 'a'), keys), Catch::Contains("more than 16384 bytes"));
  const auto set = [](const std::string& json) { return std::string(read_jwks(json, "set.json").status().message()); };
  CHECK_THAT(set(""), Catch::Contains("set.json: is no JSON Web Key Set"));
  CHECK_THAT(set("{}"), Catch::Contains("is no JSON Web Key Set"));
  CHECK_THAT(set(R"({"keys":[1]})"), Catch::Contains("keys[0]"));
  CHECK_THAT(set(R"({"keys":[{"kty":"RSA","n":"AAAA","e":"AQAB"}]})"), Catch::Contains("keys[0]"));
  // Not on the curve.
  const std::string x = base64url(std::string(32, '\1'));
  CHECK_THAT(set(R"({"keys":[{"kty":"EC","crv":"P-256","x":")" + x + R"(","y":")" + x + R"("}]})"),
             Catch::Contains("keys[0]"));
  std::string deep(100, '[');
  CHECK_THAT(set(deep), Catch::Contains("is no JSON Web Key Set"));
  CHECK(set(R"({"keys":[]})").empty());
  CHECK_THAT(set(std::string(300'000, ' ')), Catch::Contains("has 300000 bytes"));
}

struct Accounts {
  Accounts() : accounts(kIssuer, "weft", "set", [this] { return fetch(); }, clock) { publish("a"); }

  absl::StatusOr<std::string> fetch() {
    ++fetches;
    if (!is_there) return absl::UnavailableError("the issuer is away");
    return json;
  }
  void publish(const std::string& id) { json = "{\"keys\":[" + ec_jwk(*key, id, "P-256", 32) + "]}"; }
  std::string token(const std::string& id, const std::string& subject, const std::string& more = "") const {
    const std::string claims = R"({"iss":"https://kubernetes.default.svc","aud":"weft","exp":1900000000,"sub":")" +
                               subject + "\"" + more + "}";
    return es256(*key, R"({"alg":"ES256","kid":")" + id + "\"}", claims);
  }

  base::ManualClock clock;
  Key key{EVP_EC_gen("P-256")};
  std::string json;
  bool is_there = true;
  int fetches = 0;
  ServiceAccounts accounts;
};

TEST_CASE("a service account is whom its token's subject names") {
  Accounts f;
  const auto identity = f.accounts.authenticate(f.token("a", "system:serviceaccount:shop:cart.v1"));
  INFO(identity.status().message());
  REQUIRE(identity.ok());
  CHECK(*identity == Identity{"shop", "cart.v1"});
  const std::string both = R"(,"kubernetes.io":{"namespace":"shop","serviceaccount":{"name":"cart"}})";
  CHECK(f.accounts.authenticate(f.token("a", "system:serviceaccount:shop:cart", both)).ok());
  for (const char* subject :
       {"", "cart", "system:serviceaccount:shop", "system:serviceaccount:shop:", "system:serviceaccount::cart",
        "system:serviceaccount:shop:a:b", "system:serviceaccount:Shop:cart", "system:node:n1"}) {
    INFO(subject);
    CHECK(f.accounts.authenticate(f.token("a", subject)).status().code() == absl::StatusCode::kUnauthenticated);
  }
  CHECK_FALSE(f.accounts.authenticate(f.token("a", "system:serviceaccount:shop:pay", both)).ok());
  CHECK_FALSE(f.accounts.authenticate(f.token("a", "system:serviceaccount:pay:cart", both)).ok());
  CHECK(f.fetches == 1);
}

TEST_CASE("keys are fetched when one is not known, not too often, and stay when the issuer is away") {
  Accounts f;
  const std::string subject = "system:serviceaccount:shop:cart";
  CHECK(f.accounts.authenticate(f.token("a", subject)).ok());
  f.publish("b");
  CHECK(f.accounts.authenticate(f.token("b", subject)).status().code() == absl::StatusCode::kUnauthenticated);
  CHECK(f.fetches == 1);
  f.clock.advance_ms(ServiceAccounts::kLeastMs);
  CHECK(f.accounts.authenticate(f.token("b", subject)).ok());
  CHECK(f.fetches == 2);
  f.is_there = false;
  f.clock.advance_ms(ServiceAccounts::kFreshMs);
  CHECK(f.accounts.authenticate(f.token("b", subject)).ok());
  CHECK(f.fetches == 3);
  f.clock.advance_ms(ServiceAccounts::kLeastMs);
  const auto unknown = f.accounts.authenticate(f.token("c", subject));
  CHECK(unknown.status().code() == absl::StatusCode::kUnavailable);
  CHECK_THAT(std::string(unknown.status().message()), Catch::Contains("the issuer is away"));
  // What is refused for itself never asks the issuer.
  const int before = f.fetches;
  CHECK_FALSE(f.accounts.authenticate("nonsense").ok());
  CHECK(f.fetches == before);
}

}  // namespace
}  // namespace weft::control::ca
