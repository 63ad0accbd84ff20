#include "proxy/route/route_table.h"

#include <catch2/catch.hpp>

#include "tests/proxy/route/route_builder.h"

namespace weft::route {
namespace {

using Kind = PathMatch::Kind;

std::unique_ptr<VirtualHost> host_with_root(std::string name, std::vector<std::string> domains) {
  auto result = host(name, std::move(domains));
  result->routes.push_back(entry(Kind::kPrefix, "/", name));
  return result;
}

HeaderMatch header(std::string name, StringMatcher::Kind kind, std::string value) {
  HeaderMatch match;
  match.name = std::move(name);
  match.kind = HeaderMatch::Kind::kString;
  match.string.kind = kind;
  match.string.value = std::move(value);
  return match;
}

// A table of one host with these entries.
template <typename... Entries>
std::shared_ptr<const RouteTable> routes(Entries... entries) {
  auto all = host("all", {"*"});
  (all->routes.push_back(std::move(entries)), ...);
  return *table({}, std::move(all));
}

}  // namespace

TEST_CASE("a host is found by exact name, then the longest suffix, then the longest prefix, then *") {
  auto built = *table({}, host_with_root("any", {"*"}), host_with_root("exact", {"www.example.test"}),
                      host_with_root("short suffix", {"*.test"}), host_with_root("long suffix", {"*.example.test"}),
                      host_with_root("short prefix", {"www.*"}), host_with_root("long prefix", {"www.example.*"}));
  CHECK(TestRequest("/", "www.example.test").name(*built) == "exact");
  CHECK(TestRequest("/", "WWW.Example.TEST").name(*built) == "exact");
  CHECK(TestRequest("/", "x.example.test").name(*built) == "long suffix");
  CHECK(TestRequest("/", "x.other.test").name(*built) == "short suffix");
  CHECK(TestRequest("/", "www.example.org").name(*built) == "long prefix");
  CHECK(TestRequest("/", "www.other.org").name(*built) == "short prefix");
  CHECK(TestRequest("/", "example.org").name(*built) == "any");
  CHECK(TestRequest("/", "").name(*built) == "any");
  // A wildcard stands for at least one character.
  CHECK(TestRequest("/", ".example.test").name(*built) == "short suffix");
}

TEST_CASE("a port is part of the host unless it is to be ignored") {
  CHECK(TestRequest("/", "a.test:8080").name(**table({}, host_with_root("a", {"a.test"}))) == "-");
  CHECK(TestRequest("/", "a.test:8080").name(**table({}, host_with_root("a", {"a.test:8080"}))) == "a");
  RouteTable::Options ignoring;
  ignoring.ignore_port_in_host = true;
  CHECK(TestRequest("/", "a.test:8080").name(**table(ignoring, host_with_root("a", {"a.test"}))) == "a");
  CHECK(TestRequest("/", "[::1]:80").name(**table(ignoring, host_with_root("a", {"[::1]"}))) == "a");
  CHECK(TestRequest("/", "[::1]").name(**table(ignoring, host_with_root("a", {"[::1]"}))) == "a");
}

TEST_CASE("a domain that stands twice, in whatever case, and a wildcard in the middle are refused") {
  CHECK_FALSE(table({}, host_with_root("a", {"x.test"}), host_with_root("b", {"X.test"})).ok());
  CHECK_FALSE(table({}, host_with_root("a", {"*"}), host_with_root("b", {"*"})).ok());
  CHECK_FALSE(table({}, host_with_root("a", {"x.*.test"})).ok());
  CHECK_FALSE(table({}, host_with_root("a", {"*x*"})).ok());
  CHECK_FALSE(table({}, host_with_root("a", {})).ok());
}

TEST_CASE("the first route that matches wins, whatever its kind") {
  auto built = routes(entry(Kind::kPrefix, "/a/b", "one"), entry(Kind::kRegex, "/a/.*", "two"),
                      entry(Kind::kExact, "/a/x", "three"), entry(Kind::kPrefix, "/a", "four"),
                      entry(Kind::kExact, "/c", "five"), entry(Kind::kPrefix, "/", "six"));
  CHECK(TestRequest("/a/b/c").name(*built) == "one");
  CHECK(TestRequest("/a/x").name(*built) == "two");
  CHECK(TestRequest("/ab").name(*built) == "four");
  CHECK(TestRequest("/c").name(*built) == "five");
  CHECK(TestRequest("/c?x=1").name(*built) == "five");
  CHECK(TestRequest("/cc").name(*built) == "six");
}

TEST_CASE("a path-separated prefix ends at a slash, the path's end or the query") {
  auto built = routes(entry(Kind::kPathSeparatedPrefix, "/api", "api"));
  CHECK(TestRequest("/api").name(*built) == "api");
  CHECK(TestRequest("/api/v1").name(*built) == "api");
  CHECK(TestRequest("/api?x").name(*built) == "api");
  CHECK(TestRequest("/apis").name(*built) == "-");
}

TEST_CASE("letter case counts unless the route says otherwise") {
  RouteEntry ignoring = entry(Kind::kPrefix, "/Api", "prefix");
  ignoring.path.case_sensitive = false;
  RouteEntry exact = entry(Kind::kExact, "/Exact", "exact");
  exact.path.case_sensitive = false;
  auto built = routes(std::move(ignoring), std::move(exact), entry(Kind::kPrefix, "/Case", "case"));
  CHECK(TestRequest("/aPI/x").name(*built) == "prefix");
  CHECK(TestRequest("/exaCT").name(*built) == "exact");
  CHECK(TestRequest("/case").name(*built) == "-");
}

TEST_CASE("CONNECT without a path is matched only by a route made for it") {
  auto built = routes(entry(Kind::kPrefix, "", "prefix"), entry(Kind::kConnect, "", "connect"));
  TestRequest request("");
  request.head.method = "CONNECT";
  request.head.method_id = http::Method::kConnect;
  CHECK(request.name(*built) == "connect");
  CHECK(TestRequest("/x").name(*built) == "prefix");
}

TEST_CASE("all header conditions of a route must hold") {
  RouteEntry guarded = entry(Kind::kPrefix, "/", "guarded");
  guarded.headers.push_back(header(":method", StringMatcher::Kind::kExact, "GET"));
  guarded.headers.push_back(header("x-tier", StringMatcher::Kind::kPrefix, "gold"));
  auto built = routes(std::move(guarded), entry(Kind::kPrefix, "/", "rest"));
  TestRequest plain("/");
  CHECK(plain.name(*built) == "rest");
  TestRequest gold("/");
  gold.head.headers.add("X-Tier", "golden");
  CHECK(gold.name(*built) == "guarded");
  gold.head.method = "POST";
  CHECK(gold.name(*built) == "rest");
}

TEST_CASE("header conditions: presence, ranges, inversion, and what is not there") {
  auto matches = [](HeaderMatch match, std::string_view value, bool send = true) {
    RouteEntry only = entry(Kind::kPrefix, "/", "yes");
    match.name = "x-n";
    only.headers.push_back(std::move(match));
    auto built = routes(std::move(only));
    TestRequest request("/");
    if (send) request.head.headers.add("x-n", value);
    return request.match(*built) != nullptr;
  };
  HeaderMatch present;
  CHECK(matches(present, "1"));
  CHECK_FALSE(matches(present, "", false));
  present.invert = true;
  CHECK_FALSE(matches(present, "1"));
  CHECK(matches(present, "", false));
  HeaderMatch absent;
  absent.present = false;
  CHECK(matches(absent, "", false));
  CHECK_FALSE(matches(absent, "1"));

  HeaderMatch range;
  range.kind = HeaderMatch::Kind::kRange;
  range.range_start = -5;
  range.range_end = 10;
  CHECK(matches(range, "-5"));
  CHECK(matches(range, "9"));
  CHECK_FALSE(matches(range, "10"));
  CHECK_FALSE(matches(range, "9x"));
  CHECK_FALSE(matches(range, ""));
  range.invert = true;
  CHECK(matches(range, "10"));
  CHECK_FALSE(matches(range, "", false));
  range.treat_missing_as_empty = true;
  CHECK(matches(range, "", false));

  HeaderMatch suffix = header("x-n", StringMatcher::Kind::kSuffix, "END");
  CHECK_FALSE(matches(suffix, "the end"));
  suffix.string.ignore_case = true;
  CHECK(matches(suffix, "the end"));
  CHECK(matches(header("x-n", StringMatcher::Kind::kContains, "he e"), "the end"));
}

TEST_CASE("a header that came several times is compared as one list") {
  RouteEntry only = entry(Kind::kPrefix, "/", "yes");
  only.headers.push_back(header("x-l", StringMatcher::Kind::kExact, "a,b"));
  auto built = routes(std::move(only));
  TestRequest request("/");
  request.head.headers.add("x-l", "a");
  request.head.headers.add("X-L", "b");
  CHECK(request.name(*built) == "yes");
}

TEST_CASE("query parameters are compared by the first of their name") {
  RouteEntry only = entry(Kind::kPrefix, "/", "yes");
  QueryMatch match;
  match.name = "v";
  match.string = StringMatcher{StringMatcher::Kind::kExact, "1", false, nullptr};
  only.query.push_back(match);
  auto built = routes(std::move(only));
  CHECK(TestRequest("/?v=1").name(*built) == "yes");
  CHECK(TestRequest("/?u=2&v=1").name(*built) == "yes");
  CHECK(TestRequest("/?v=2&v=1").name(*built) == "-");
  CHECK(TestRequest("/?vv=1").name(*built) == "-");
  CHECK(TestRequest("/").name(*built) == "-");
}

TEST_CASE("a gRPC route takes gRPC alone") {
  RouteEntry grpc = entry(Kind::kPrefix, "/", "grpc");
  grpc.grpc_only = true;
  auto built = routes(std::move(grpc));
  TestRequest request("/s/m");
  CHECK(request.name(*built) == "-");
  request.head.headers.add(http::HeaderId::kContentType, "application/grpc+proto");
  CHECK(request.name(*built) == "grpc");
}

TEST_CASE("a fraction is taken of the requests by chance") {
  RouteEntry some = entry(Kind::kPrefix, "/", "some");
  some.fraction_numerator = 25;
  some.fraction_denominator = 100;
  auto built = routes(std::move(some), entry(Kind::kPrefix, "/", "rest"));
  TestRequest request("/");
  base::Random random(7);
  int taken = 0;
  for (int i = 0; i < 4000; ++i) taken += built->match({request.head, random, nullptr})->name == "some" ? 1 : 0;
  CHECK(taken > 850);
  CHECK(taken < 1150);
}

TEST_CASE("a trace tells why each route before the chosen one did not match") {
  auto built = routes(entry(Kind::kExact, "/x", "x"), entry(Kind::kPrefix, "/", "rest"));
  MatchTrace trace;
  TestRequest request("/y");
  REQUIRE(request.match(*built, &trace)->name == "rest");
  REQUIRE(trace.steps.size() == 3);
  CHECK(trace.steps[1].route->name == "x");
  CHECK(trace.steps[1].outcome == "path /x does not match");
  CHECK(trace.steps[2].outcome == "matches");
}

}  // namespace weft::route
