#include "proxy/filter/jwt_authn/token.h"

#include <catch2/catch.hpp>

#include "api/text/base64url.h"

namespace weft::filter {
namespace {

std::string text_of(const std::string& header, const std::string& payload, const std::string& signature = "c2ln") {
  return text::encode_base64url(header) + '.' + text::encode_base64url(payload) + '.' + signature;
}

TokenError read(const std::string& text, Token* token = nullptr) {
  Token mine;
  return parse_token(text, token == nullptr ? &mine : token);
}

TokenError with_payload(const std::string& payload) { return read(text_of(R"({"alg":"RS256"})", payload)); }

}  // namespace

TEST_CASE("what a token says is read") {
  Token token;
  REQUIRE(read(text_of(R"({"alg":"ES256","kid":"k1"})",
                       R"({"iss":"i","sub":"s","aud":["a","b"],"exp":20,"nbf":10,"iat":5.5,"jti":"x"})"),
               &token) == TokenError::kNone);
  CHECK(token.algorithm == TokenAlgorithm::kEs256);
  CHECK(token.key_id == "k1");
  CHECK(token.issuer == "i");
  CHECK(token.subject == "s");
  CHECK(token.audiences == std::vector<std::string>{"a", "b"});
  CHECK(token.expires_s == 20);
  CHECK(token.not_before_s == 10);
  CHECK(token.issued_s == 5);
  CHECK(token.signature == "sig");
}

TEST_CASE("what is no token is told by what is wrong with it") {
  CHECK(read("") == TokenError::kBadFormat);
  CHECK(read("a.b") == TokenError::kBadFormat);
  CHECK(read("a.b.c.d") == TokenError::kBadFormat);
  CHECK(read("a!.b.c") == TokenError::kHeaderBase64);
  CHECK(read(text_of("no json", "{}")) == TokenError::kHeaderJson);
  CHECK(read(text_of("[]", "{}")) == TokenError::kHeaderJson);
  CHECK(read(text_of("{}", "{}")) == TokenError::kHeaderAlg);
  CHECK(read(text_of(R"({"alg":1})", "{}")) == TokenError::kHeaderAlg);
  CHECK(read(text_of(R"({"alg":"none"})", "{}")) == TokenError::kAlgNotSupported);
  CHECK(read(text_of(R"({"alg":"None"})", "{}")) == TokenError::kAlgNotSupported);
  CHECK(read(text_of(R"({"alg":"rs256"})", "{}")) == TokenError::kAlgNotSupported);
  CHECK(read(text_of(R"({"alg":"RS256","kid":7})", "{}")) == TokenError::kHeaderKid);
  CHECK(read(text_of(R"({"alg":"RS256","crit":["x"],"x":1})", "{}")) == TokenError::kBadFormat);
  CHECK(read(text::encode_base64url(R"({"alg":"RS256"})") + ".e30=.c2ln") == TokenError::kPayloadBase64);
  CHECK(with_payload("{") == TokenError::kPayloadJson);
  CHECK(with_payload("7") == TokenError::kPayloadJson);
  CHECK(with_payload(R"({"iss":1})") == TokenError::kIss);
  CHECK(with_payload(R"({"sub":{}})") == TokenError::kSub);
  CHECK(with_payload(R"({"iat":"1"})") == TokenError::kIat);
  CHECK(with_payload(R"({"nbf":-1})") == TokenError::kNbfRange);
  CHECK(with_payload(R"({"exp":1e300})") == TokenError::kExpRange);
  CHECK(with_payload(R"({"exp":null})") == TokenError::kExp);
  CHECK(with_payload(R"({"jti":[]})") == TokenError::kJti);
  CHECK(with_payload(R"({"aud":[1]})") == TokenError::kAud);
  CHECK(with_payload(R"({"aud":7})") == TokenError::kAud);
  CHECK(read(text_of(R"({"alg":"RS256"})", "{}", "c2ln=")) == TokenError::kSignatureBase64);
}

TEST_CASE("depth is bounded") {
  std::string deep = "{\"a\":" + std::string(5000, '[') + std::string(5000, ']') + '}';
  CHECK(with_payload(deep) == TokenError::kPayloadJson);
  CHECK(with_payload(R"({"a":[[[[[[{"b":[]}]]]]]]})") == TokenError::kNone);
  base::Arena arena;
  CHECK(to_metadata(deep, {}, arena) == nullptr);
}

TEST_CASE("claims become metadata, and lists of words where that is asked for") {
  base::Arena arena;
  const http::MetadataValue* value =
      to_metadata(R"({"scope":"read  write","n":1.5,"b":true,"x":null,"l":["a",{"c":"d"}]})", {"scope", "gone"}, arena);
  REQUIRE(value != nullptr);
  std::string out;
  value->append_json(out);
  CHECK(out == R"({"b":true,"l":["a",{"c":"d"}],"n":1.5,"scope":["read","write"],"x":null})");
  CHECK(to_metadata("[]", {}, arena) == nullptr);
}

}  // namespace weft::filter
