#include "control-plane/compile/path_pattern.h"

#include <re2/re2.h>

#include <catch2/catch.hpp>

namespace weft::control::compile {

namespace {

bool matches_in_any_writing(const std::string& pattern, const std::string& path) {
  envoy::config::rbac::v3::Permission out;
  set_path_in_any_writing(pattern, &out);
  return re2::RE2::FullMatch(path, out.url_path().path().safe_regex().regex());
}

}  // namespace

TEST_CASE("slashes that are doubled, escaped or turned make no other path") {
  for (const char* path : {"/admin/keys", "//admin/keys", "/admin//keys", "/admin%2fkeys", "%2Fadmin/keys",
                           "/admin\\keys", "/admin%5Ckeys", "/%2f/admin/%2Fkeys"}) {
    INFO(path);
    CHECK(matches_in_any_writing("/admin/keys", path));
    CHECK(matches_in_any_writing("/admin/*", path));
    CHECK(matches_in_any_writing("*/keys", path));
    CHECK(matches_in_any_writing("/{*}/keys", path));
    CHECK(matches_in_any_writing("/admin/{**}", path));
  }
  for (const char* path : {"/", "/admins/keys", "/user/admin/key", "/admin-keys", "/ADMIN/keys"}) {
    INFO(path);
    CHECK_FALSE(matches_in_any_writing("/admin/keys", path));
    CHECK_FALSE(matches_in_any_writing("/admin/*", path));
    CHECK_FALSE(matches_in_any_writing("/admin/{*}", path));
  }
}

TEST_CASE("where an application might resolve dots that the proxy leaves, a path counts as any") {
  for (const char* path : {"/x%2f..%2fadmin", "/x/..%2Fadmin", "/x%2f../admin", "/x%5c..", "/x%2f.%2fadmin"}) {
    INFO(path);
    CHECK(matches_in_any_writing("/admin", path));
  }
  for (const char* path : {"/x..y/z", "/.well-known/x", "/...", "/x%2f.hidden", "/a.b%2fc.d"}) {
    INFO(path);
    CHECK_FALSE(matches_in_any_writing("/admin", path));
  }
}

TEST_CASE("what means something in a regular expression is only itself in a path") {
  CHECK(matches_in_any_writing("/a.b+c(d)$", "/a.b+c(d)$"));
  CHECK_FALSE(matches_in_any_writing("/a.b", "/aXb"));
  CHECK(matches_in_any_writing("*.php", "/a/b.php"));
  CHECK_FALSE(matches_in_any_writing("*.php", "/a/bXphp"));
  CHECK(matches_in_any_writing("/a*", "/a\n"));
}

}  // namespace weft::control::compile
