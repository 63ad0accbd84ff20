#include "proxy/filter/jwt_authn/evaluate.h"

#include <openssl/nid.h>

#include <catch2/catch.hpp>
#include <memory>

#include "tests/proxy/filter/jwt_authn/signer.h"

namespace weft::filter {
namespace {

using Kind = JwtRequirement::Kind;

const EcSigner& signer() {
  static const EcSigner kSigner(NID_X9_62_prime256v1, "P-256", 32, EVP_sha256());
  return kSigner;
}

KeySourcePtr keys() { return std::make_shared<FixedKeys>(*KeySet::parse("{\"keys\":[" + signer().jwk("k") + "]}")); }

std::shared_ptr<JwtProvider> provider(const std::string& name) {
  auto result = std::make_shared<JwtProvider>();
  result->name = name;
  result->issuer = name;
  result->keys = keys();
  result->headers = {{"authorization", "Bearer "}};
  result->params = {"access_token"};
  result->cookies = {"jwt"};
  return result;
}

std::string token(const std::string& payload) { return signer().token(R"({"alg":"ES256"})", payload); }

JwtRequirement by(const JwtProviderPtr& provider) {
  JwtRequirement result;
  result.provider = provider;
  return result;
}

JwtRequirement group(Kind kind, std::vector<JwtRequirement> parts) {
  JwtRequirement result;
  result.kind = kind;
  result.parts = std::move(parts);
  return result;
}

struct Case {
  Case() : request(arena) { request.path = "/"; }
  TokenError ask(const JwtRequirement& requirement) {
    verdicts = evaluate(requirement, {providers, request, 0, 0, now_s, failed});
    return verdicts.error;
  }
  void bearer(const std::string& text) { request.headers.add("authorization", "Bearer " + text); }

  base::Arena arena;
  http::RequestHead request;
  std::vector<JwtProviderPtr> providers;
  std::vector<KeySource*> failed;
  int64_t now_s = 1000;
  Verdicts verdicts;
};

// Keys that have yet to come.
class NoKeys final : public KeySource {
 public:
  KeySetPtr at_hand(uint32_t, int64_t) override { return nullptr; }
  void wait(pool::WorkerContext&, KeyWaiter&) override {}
  void left(uint32_t) override {}
};

}  // namespace

TEST_CASE("a token is looked for where the provider says") {
  auto me = provider("me");
  std::string good = token(R"({"iss":"me"})");
  for (int where = 0; where < 3; ++where) {
    Case test;
    CHECK(test.ask(by(me)) == TokenError::kMissing);
    if (where == 0) test.bearer(good);
    std::string path = "/a?x=1&access_token=" + good;
    if (where == 1) test.request.path = path;
    if (where == 2) test.request.headers.add("cookie", "a=b; jwt=" + good + "; c=d");
    CHECK(test.ask(by(me)) == TokenError::kNone);
    REQUIRE(test.verdicts.good.size() == 1);
    CHECK(test.verdicts.good[0].token.issuer == "me");
  }
  Case other;
  other.request.headers.add("authorization", "Basic " + good);
  CHECK(other.ask(by(me)) == TokenError::kMissing);
}

TEST_CASE("a good token does not carry a bad one past") {
  Case test;
  test.bearer(token(R"({"iss":"me"})"));
  test.request.headers.add("cookie", "jwt=" + token(R"({"iss":"you"})"));
  CHECK(test.ask(by(provider("me"))) == TokenError::kUnknownIssuer);
}

TEST_CASE("times are compared with tolerance for clocks") {
  auto me = provider("me");
  auto at = [&](const std::string& times) {
    Case test;
    test.bearer(token(R"({"iss":"me",)" + times + "}"));
    return test.ask(by(me));
  };
  CHECK(at(R"("exp":941)") == TokenError::kNone);
  CHECK(at(R"("exp":939)") == TokenError::kExpired);
  CHECK(at(R"("nbf":1060)") == TokenError::kNone);
  CHECK(at(R"("nbf":1061)") == TokenError::kNotYetValid);
  CHECK(at(R"("exp":18446744073709551615)") == TokenError::kNone);
  me->clock_skew_s = 5;
  CHECK(at(R"("exp":990)") == TokenError::kExpired);
  me->require_expiration = true;
  CHECK(at(R"("nbf":1)") == TokenError::kNoExpiration);
  me->max_lifetime_s = 100;
  CHECK(at(R"("iat":1000,"exp":1100)") == TokenError::kNone);
  CHECK(at(R"("iat":1000,"exp":1101)") == TokenError::kLifetime);
}

TEST_CASE("audiences and subjects are those that were named") {
  auto me = provider("me");
  me->audiences = {"cart.example"};
  auto with = [&](const std::string& claims) {
    Case test;
    test.bearer(token(R"({"iss":"me",)" + claims + "}"));
    return test.ask(by(me));
  };
  CHECK(with(R"("aud":"https://cart.example/")") == TokenError::kNone);
  CHECK(with(R"("aud":["x","cart.example"])") == TokenError::kNone);
  CHECK(with(R"("aud":"cart.example.org")") == TokenError::kAudience);
  CHECK(with(R"("sub":"a")") == TokenError::kAudience);
  me->audiences.clear();
  me->subjects = route::StringMatcher{route::StringMatcher::Kind::kPrefix, "team-", false, nullptr};
  CHECK(with(R"("sub":"team-a")") == TokenError::kNone);
  CHECK(with(R"("sub":"a")") == TokenError::kSubject);
}

TEST_CASE("requirements are combined") {
  auto me = provider("me"), you = provider("you");
  you->headers = {{"x-token", ""}};
  you->params.clear();
  you->cookies.clear();
  Case test;
  test.providers = {me, you};
  JwtRequirement missing = group(Kind::kAllowMissing, {}), failed = group(Kind::kAllowMissingOrFailed, {});
  CHECK(test.ask(group(Kind::kAny, {by(me), by(you)})) == TokenError::kMissing);
  CHECK(test.ask(missing) == TokenError::kNone);
  CHECK(test.ask(group(Kind::kAny, {by(me), missing})) == TokenError::kNone);
  test.bearer(token(R"({"iss":"me","exp":1})"));
  CHECK(test.ask(missing) == TokenError::kExpired);
  CHECK(test.ask(failed) == TokenError::kNone);
  CHECK(test.verdicts.good.empty());
  CHECK(test.ask(group(Kind::kAny, {by(you), by(me)})) == TokenError::kExpired);
  CHECK(test.ask(group(Kind::kAny, {by(me), missing})) == TokenError::kExpired);
  test.request.headers.add("x-token", token(R"({"iss":"you"})"));
  CHECK(test.ask(group(Kind::kAny, {by(me), by(you)})) == TokenError::kNone);
  CHECK(test.ask(group(Kind::kAll, {by(you), by(me)})) == TokenError::kExpired);
  test.request.headers.remove("authorization");
  CHECK(test.ask(group(Kind::kAll, {by(you), by(me)})) == TokenError::kMissing);
  test.bearer(token(R"({"iss":"me"})"));
  CHECK(test.ask(group(Kind::kAll, {by(you), by(me)})) == TokenError::kNone);
  CHECK(test.verdicts.good.size() == 2);
}

TEST_CASE("of what is wrong with several tokens that is told which says most") {
  auto me = provider("me"), you = provider("you");
  you->headers = {{"x-token", ""}};
  Case test;
  test.providers = {me, you};
  test.bearer(token(R"({"iss":"nobody"})"));
  CHECK(test.ask(group(Kind::kAny, {by(me), by(you)})) == TokenError::kUnknownIssuer);
  CHECK(test.ask(group(Kind::kAny, {by(you), by(me)})) == TokenError::kUnknownIssuer);
  test.request.headers.add("x-token", token(R"({"iss":"you","exp":1})"));
  CHECK(test.ask(group(Kind::kAny, {by(me), by(you)})) == TokenError::kExpired);
  CHECK(test.ask(group(Kind::kAny, {by(you), by(me)})) == TokenError::kExpired);
}

TEST_CASE("a token is good only where a provider of its issuer looks") {
  auto me = provider("me"), you = provider("you");
  you->headers = {{"x-token", ""}};
  Case test;
  test.providers = {me, you};
  test.bearer(token(R"({"iss":"you"})"));
  CHECK(test.ask(group(Kind::kAllowMissing, {})) == TokenError::kUnknownIssuer);
  CHECK(test.ask(group(Kind::kAllowMissingOrFailed, {})) == TokenError::kNone);
  CHECK(test.verdicts.good.empty());
  // A provider that takes any issuer's tokens does not vouch for one that has a provider of its own.
  auto any = provider("");
  any->keys = std::make_shared<FixedKeys>(*KeySet::parse("{\"keys\":[" + EdSigner().jwk("k") + "]}"));
  test.providers.push_back(any);
  CHECK(test.ask(group(Kind::kAllowMissing, {})) == TokenError::kNone);
  REQUIRE(test.verdicts.good.size() == 1);
  CHECK(test.verdicts.good[0].provider == you.get());
}

TEST_CASE("beside other requirements allow_missing looks for no tokens of its own") {
  auto me = provider("me"), you = provider("you");
  you->headers = {{"x-token", ""}};
  you->params.clear();
  you->cookies.clear();
  Case test;
  test.providers = {me, you};
  test.request.headers.add("x-token", token(R"({"iss":"you","exp":1})"));
  JwtRequirement missing = group(Kind::kAllowMissing, {});
  CHECK(test.ask(group(Kind::kAny, {by(me), missing})) == TokenError::kNone);
  CHECK(test.ask(group(Kind::kAny, {missing, missing})) == TokenError::kExpired);
  CHECK(test.ask(group(Kind::kNothing, {})) == TokenError::kNone);
}

TEST_CASE("of several providers of an issuer one whose keys are good for a token is enough") {
  auto broken = provider("me"), audience = provider("me"), good = provider("me");
  auto source = std::make_shared<NoKeys>();
  broken->keys = source;
  audience->audiences = {"cart"};
  Case test;
  test.bearer(token(R"({"iss":"me"})"));
  JwtRequirement missing = group(Kind::kAllowMissing, {});
  test.providers = {broken, audience, good};
  CHECK(test.ask(missing) == TokenError::kNone);
  CHECK(test.verdicts.pending == nullptr);
  CHECK(test.ask(group(Kind::kAny, {by(broken), by(good)})) == TokenError::kNone);
  CHECK(test.verdicts.pending == nullptr);
  test.providers = {broken, audience};
  test.ask(missing);
  CHECK(test.verdicts.pending == source.get());
  test.failed.push_back(source.get());
  CHECK(test.ask(missing) == TokenError::kKeysNotFetched);
  CHECK(test.ask(group(Kind::kAny, {by(broken), by(audience)})) == TokenError::kAudience);
}

TEST_CASE("what a provider takes out of the request is not there for the next one") {
  auto me = provider("me");
  Case test;
  test.bearer(token(R"({"iss":"me"})"));
  CHECK(test.ask(group(Kind::kAll, {by(me), by(me)})) == TokenError::kMissing);
  me->forward = true;
  CHECK(test.ask(group(Kind::kAll, {by(me), by(me)})) == TokenError::kNone);
}

TEST_CASE("a good token carries no bad one past where none is asked for either") {
  auto me = provider("me");
  Case test;
  test.providers = {me};
  test.bearer(token(R"({"iss":"me"})"));
  test.request.headers.add("cookie", "jwt=" + token(R"({"iss":"me","exp":1})"));
  CHECK(test.ask(group(Kind::kAllowMissing, {})) == TokenError::kExpired);
}

TEST_CASE("keys that are not at hand are waited for, once") {
  auto me = provider("me");
  auto source = std::make_shared<NoKeys>();
  me->keys = source;
  Case test;
  CHECK(test.ask(by(me)) == TokenError::kMissing);
  CHECK(test.verdicts.pending == nullptr);
  test.bearer(token(R"({"iss":"me"})"));
  test.ask(by(me));
  CHECK(test.verdicts.pending == source.get());
  test.failed.push_back(source.get());
  CHECK(test.ask(by(me)) == TokenError::kKeysNotFetched);
  CHECK(test.verdicts.pending == nullptr);
}

}  // namespace weft::filter
