#include "proxy/filter/jwt_authn/locations.h"

#include <catch2/catch.hpp>
#include <memory>

namespace weft::filter {
namespace {

JwtProviderPtr provider(std::vector<JwtProvider::HeaderLocation> headers, std::vector<std::string> params,
                        std::vector<std::string> cookies) {
  auto result = std::make_shared<JwtProvider>();
  result->headers = std::move(headers);
  result->params = std::move(params);
  result->cookies = std::move(cookies);
  return result;
}

struct Request {
  Request() : head(arena) { head.path = "/"; }
  // Texts with "," between.
  std::string found(const std::vector<JwtProviderPtr>& providers) const {
    std::string out;
    for (const FoundToken& each : find_tokens(providers, head)) out.append(out.empty() ? "" : ",").append(each.text);
    return out;
  }

  base::Arena arena;
  http::RequestHead head;
};

}  // namespace

TEST_CASE("tokens are found once each, cookies' first, then the query's, then headers'") {
  const auto one = provider({{"authorization", "Bearer "}, {"x-a", ""}}, {"tok", "b"}, {"jar"});
  const auto two = provider({{"x-a", ""}}, {"tok"}, {});
  Request request;
  CHECK(request.found({one, two}).empty());
  request.head.path = "/?tok=query&x=1&b=other#tok=fragment";
  request.head.headers.add("authorization", "Bearer bearer");
  request.head.headers.add("X-A", "first");
  request.head.headers.add("x-a", "second");
  request.head.headers.add("cookie", "a=b; jar=\"cookie\"");
  CHECK(request.found({one, two}) == "cookie,query,other,second,first,bearer");
  CHECK(request.found({two}) == "query,second,first");
}

TEST_CASE("a header's prefix may stand further on, and what comes before the token is cut off") {
  const auto me = provider({{"authorization", "Bearer "}}, {}, {});
  const auto in = [&](const std::string& value) {
    Request request;
    request.head.headers.add("authorization", value);
    return request.found({me});
  };
  CHECK(in("Bearer abc") == "abc");
  CHECK(in("Bearer  \"abc") == "abc");
  CHECK(in("JWT, Bearer abc") == "abc");
  CHECK(in("Basic abc").empty());
  CHECK(in("bearer abc").empty());
}

TEST_CASE("a parameter that is escaped is the same parameter") {
  const auto me = provider({}, {"tok"}, {});
  Request request;
  request.head.path = "/?t%6Fk=a%2eb%&x=1";
  CHECK(request.found({me}) == "a.b%");
  for (const FoundToken& found : find_tokens({&me, 1}, request.head)) remove_token(found, request.head);
  CHECK(request.head.path == "/?x=1");
}

TEST_CASE("a provider looks at its own places") {
  const auto me = provider({{"authorization", "Bearer "}}, {"tok"}, {"jar"});
  using Where = FoundToken::Where;
  CHECK(looks_at(*me, {Where::kHeader, "authorization", "Bearer ", ""}));
  CHECK_FALSE(looks_at(*me, {Where::kHeader, "authorization", "", ""}));
  CHECK(looks_at(*me, {Where::kParam, "tok", "", ""}));
  CHECK_FALSE(looks_at(*me, {Where::kCookie, "tok", "", ""}));
  CHECK(looks_at(*me, {Where::kCookie, "jar", "", ""}));
}

TEST_CASE("a token that is not to go on is taken out of headers and query") {
  const auto me = provider({{"authorization", "Bearer "}}, {"access_token"}, {});
  Request request;
  request.head.headers.add("authorization", "Bearer abc");
  const auto path_after = [&](const std::string& path) {
    request.head.path = path;
    for (const FoundToken& found : find_tokens({&me, 1}, request.head)) remove_token(found, request.head);
    return std::string(request.head.path);
  };
  CHECK(path_after("/a?x=1&access_token=abc&y=2") == "/a?x=1&y=2");
  CHECK(request.head.headers.find("authorization") == nullptr);
  CHECK(path_after("/a?access_token=abc") == "/a");
}

}  // namespace weft::filter
