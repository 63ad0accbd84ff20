#include "proxy/route/rewrite.h"

#include <catch2/catch.hpp>

#include "proxy/route/matcher.h"
#include "tests/proxy/route/route_builder.h"

namespace weft::route {
namespace {

Route prefix_route(std::string prefix) {
  Route route;
  route.matched_prefix = std::move(prefix);
  route.forward = std::make_unique<ClusterAction>();
  return route;
}

std::string rewritten(const Route& route, std::string_view path) {
  TestRequest request(path);
  return std::string(rewrite_path(route, request.head, request.arena));
}

std::string location(const Redirect& redirect, std::string_view path, std::string_view authority = "a.test:80",
                     const Route& route = prefix_route("/old")) {
  TestRequest request(path, authority);
  return std::string(redirect_location(redirect, route, request.head, request.arena));
}

}  // namespace

TEST_CASE("a prefix is replaced and the rest of path and query stays") {
  Route route = prefix_route("/api/");
  CHECK(rewritten(route, "/api/v1?x=1") == "/api/v1?x=1");
  route.forward->has_prefix_rewrite = true;
  route.forward->prefix_rewrite = "/";
  CHECK(rewritten(route, "/api/v1?x=1") == "/v1?x=1");
  CHECK(rewritten(route, "/api/") == "/");
  route.matches_whole_path = true;
  CHECK(rewritten(route, "/api/v1?x=1") == "/?x=1");
}

TEST_CASE("a regex rewrites the path alone, with groups") {
  Route route = prefix_route("");
  auto rewrite = std::make_shared<RegexRewrite>();
  rewrite->regex = *Regex::compile("^/service/([^/]+)(/.*)$");
  rewrite->substitution = "\\2/instance/\\1";
  route.forward->regex_rewrite = rewrite;
  CHECK(rewritten(route, "/service/foo/v1/api?q=/service/a/b") == "/v1/api/instance/foo?q=/service/a/b");
  CHECK(rewritten(route, "/other") == "/other");
}

TEST_CASE("a redirect keeps of the request what it does not replace") {
  Redirect redirect;
  redirect.https_redirect = true;
  // The old scheme's default port does not go along to the new one; another port does.
  CHECK(location(redirect, "/x?y") == "https://a.test/x?y");
  CHECK(location(redirect, "/x", "a.test:8080") == "https://a.test:8080/x");
  CHECK(location(redirect, "/x", "[::1]:80") == "https://[::1]/x");
  redirect.port = 8443;
  CHECK(location(redirect, "/x") == "https://a.test:8443/x");

  Redirect host;
  host.host = "b.test";
  CHECK(location(host, "/x") == "http://b.test/x");
  host.scheme = "https";
  CHECK(location(host, "/x") == "https://b.test/x");
}

TEST_CASE("a redirect replaces the path, the prefix or what a regex finds") {
  Redirect path;
  path.path = "/new";
  CHECK(location(path, "/old/x?q=1") == "http://a.test:80/new?q=1");
  path.strip_query = true;
  CHECK(location(path, "/old/x?q=1") == "http://a.test:80/new");
  path.strip_query = false;
  path.path = "/new?z=2";
  CHECK(location(path, "/old/x?q=1") == "http://a.test:80/new?z=2");

  Redirect prefix;
  prefix.has_prefix_rewrite = true;
  prefix.prefix_rewrite = "/new";
  CHECK(location(prefix, "/old/x?q=1") == "http://a.test:80/new/x?q=1");

  Redirect regex;
  regex.regex = *Regex::compile("/old");
  regex.regex_substitution = "/r";
  CHECK(location(regex, "/old/x?q=/old") == "http://a.test:80/r/x?q=/old");
}

TEST_CASE("a regex that is wrong, or too large once compiled, is refused") {
  CHECK_FALSE(Regex::compile("(").ok());
  CHECK_FALSE(Regex::compile("((a{100}){100}){100}").ok());
  // The whole text must match.
  CHECK_FALSE((*Regex::compile("b"))->matches("abc"));
}

}  // namespace weft::route
