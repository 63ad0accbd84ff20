#include "proxy/stream/canonical_path.h"

#include <catch2/catch.hpp>

namespace weft::stream {
namespace {

std::string normal(std::string_view path) {
  base::Arena arena;
  return std::string(normalize_path(path, arena));
}

TEST_CASE("dot segments go, and what is escaped without need is written plainly") {
  CHECK(normal("/a/b") == "/a/b");
  CHECK(normal("/a/./b") == "/a/b");
  CHECK(normal("/a/../b") == "/b");
  CHECK(normal("/a/b/..") == "/a/");
  CHECK(normal("/a/b/.") == "/a/b/");
  CHECK(normal("/../../etc") == "/etc");
  CHECK(normal("/..") == "/");
  CHECK(normal("/a/%2e%2E/b") == "/b");
  CHECK(normal("/%7euser/%41") == "/~user/A");
  CHECK(normal("/a\\..\\b") == "/b");
  CHECK(normal("/.a/..b/c.") == "/.a/..b/c.");
  CHECK(normal("/a%20b%2Fc") == "/a%20b%2Fc");
  CHECK(normal("/a/../b?c=/../d") == "/b?c=/../d");
}

TEST_CASE("what cannot be normalized has no canonical path, and where nothing is asked for a path stays as it is") {
  base::Arena arena;
  for (const char* path : {"/%", "/%4", "/%zz", "/a%00b"}) {
    CHECK(normal(path).empty());
    CHECK(canonical_path(path, {.normalize = true}, arena).refused == "the path cannot be normalized");
    CHECK(canonical_path(path, {}, arena).path == path);
  }
  const CanonicalPath all =
      canonical_path("/a%2f..%2Fb//c?d=%2f//", {true, true, snapshot::PathAction::kUnescapeAndRedirect}, arena);
  CHECK(all.path == "/b/c?d=%2f//");
  CHECK(all.redirects);
}

}  // namespace
}  // namespace weft::stream
