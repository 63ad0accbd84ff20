#include "control-plane/analyze/covers.h"

#include <catch2/catch.hpp>
#include <functional>

#include "envoy/config/route/v3/route_components.pb.h"

namespace weft::control::analyze {
namespace {

using envoy::config::route::v3::RouteMatch;

RouteMatch prefix(const std::string& path) {
  RouteMatch match;
  match.set_prefix(path);
  return match;
}
RouteMatch segments(const std::string& path) {
  RouteMatch match;
  match.set_path_separated_prefix(path);
  return match;
}
RouteMatch exact(const std::string& path) {
  RouteMatch match;
  match.set_path(path);
  return match;
}
RouteMatch regex(const std::string& pattern) {
  RouteMatch match;
  match.mutable_safe_regex()->set_regex(pattern);
  return match;
}
RouteMatch with_header(RouteMatch match, const std::string& name) {
  auto* header = match.add_headers();
  header->set_name(name);
  header->mutable_string_match()->set_exact("1");
  return match;
}
RouteMatch with_query(RouteMatch match, const std::string& name) {
  match.add_query_parameters()->set_name(name);
  return match;
}

TEST_CASE("paths cover what they take") {
  for (const RouteMatch& any : {prefix("/"), regex(".*"), regex("/.*")}) {
    for (const RouteMatch& narrow : {prefix("/"), segments("/a"), exact("/a"), regex("/[0-9]+")}) {
      CHECK(covers(any, narrow));
    }
  }
  CHECK(covers(prefix("/a"), prefix("/ab")));
  CHECK(covers(prefix("/a"), segments("/a")));
  CHECK_FALSE(covers(prefix("/a"), prefix("/b")));
  CHECK_FALSE(covers(prefix("/a"), regex("/a.*")));
  CHECK(covers(segments("/a"), segments("/a/b")));
  CHECK(covers(segments("/a"), exact("/a")));
  CHECK(covers(segments("/a"), prefix("/a/")));
  CHECK_FALSE(covers(segments("/a"), prefix("/a")));
  CHECK_FALSE(covers(segments("/a"), segments("/ab")));
  CHECK(covers(exact("/a"), exact("/a")));
  CHECK_FALSE(covers(exact("/a"), segments("/a")));
  CHECK(covers(regex("/[a-z]"), exact("/a")));
  CHECK(covers(regex("/[a-z]"), regex("/[a-z]")));
  CHECK_FALSE(covers(regex("/[a-z]"), exact("/ab")));
  CHECK_FALSE(covers(regex("/[a-z]"), regex("/[ab]")));
}

TEST_CASE("every further condition must be the other's too") {
  CHECK(covers(prefix("/"), with_header(prefix("/"), "x")));
  CHECK_FALSE(covers(with_header(prefix("/"), "x"), prefix("/")));
  CHECK_FALSE(covers(with_header(prefix("/"), "x"), with_header(prefix("/"), "y")));
  CHECK(covers(with_header(prefix("/"), "x"), with_header(with_header(prefix("/a"), "y"), "x")));
  CHECK_FALSE(covers(with_query(prefix("/"), "x"), prefix("/")));
  CHECK(covers(with_query(prefix("/"), "x"), with_query(prefix("/"), "x")));
}

}  // namespace
}  // namespace weft::control::analyze
