#include "api/token/join_token.h"

#include <catch2/catch.hpp>

namespace weft::token {
namespace {

JoinToken token() {
  JoinToken token;
  token.id = "0123456789abcdef";
  for (size_t i = 0; i < token.secret.size(); ++i) token.secret[i] = static_cast<uint8_t>(i);
  for (size_t i = 0; i < token.fingerprint.size(); ++i) token.fingerprint[i] = static_cast<uint8_t>(255 - i);
  return token;
}

std::string mistake(const std::string& text) { return std::string(parse(text).status().message()); }

TEST_CASE("a token is read as it was written, whatever stands around it") {
  const std::string text = to_text(token());
  CHECK(text.size() == kTextBytes);
  CHECK(text.starts_with("weft1_0123456789abcdef_000102"));
  for (const std::string& each : {text, text + "\n", "  " + text + "\r\n"}) {
    const auto read = parse(each);
    REQUIRE(read.ok());
    CHECK(*read == token());
  }
}

TEST_CASE("what is no token is refused with what is wrong, and none of it is repeated") {
  const std::string text = to_text(token());
  CHECK_THAT(mistake(""), Catch::Contains("it is empty"));
  CHECK_THAT(mistake(" \n"), Catch::Contains("it is empty"));
  CHECK_THAT(mistake("Bearer " + text), Catch::Contains("it begins otherwise"));
  CHECK_THAT(mistake("weft2" + text.substr(5)), Catch::Contains("it begins otherwise"));
  CHECK_THAT(mistake(text.substr(0, 100)), Catch::Contains("it has 100 characters instead of 152"));
  CHECK_THAT(mistake(text + "0"), Catch::Contains("153 characters"));
  for (const size_t place : {6, 21, 22, 23, 86, 87, 88, 151}) {
    for (const char c : {'g', 'A', '_', '\0', '\xff', ' '}) {
      std::string wrong = text;
      if (wrong[place] == c) continue;
      wrong[place] = c;
      INFO(place << " " << int{c});
      CHECK_FALSE(parse(wrong).ok());
      CHECK(mistake(wrong).find(text.substr(30, 8)) == std::string::npos);
    }
  }
}

}  // namespace
}  // namespace weft::token
