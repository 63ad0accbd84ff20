#include "api/text/position.h"

#include <catch2/catch.hpp>

namespace weft::text {
namespace {

TEST_CASE("a path is taken apart as it was put together") {
  const std::string_view keys[] = {"k", "", "a.b", "a]\"[\"b", "x[\"", "\\", "[\\\"", "é\n"};
  for (const std::string_view key : keys) {
    const std::string map = field_path(index_path(field_path("", "a"), 12), "b");
    CHECK(map == "a[12].b");
    const std::string entry = key_path(map, key);
    INFO(entry);
    CHECK(parent_path(entry) == map);
    CHECK(parent_path(field_path(entry, "c")) == entry);
    CHECK(parent_path(index_path(entry, 3)) == entry);
    CHECK(parent_path(key_path("", key)).empty());
  }
  CHECK(parent_path("a[12].b") == "a[12]");
  CHECK(parent_path("a[12]") == "a");
  CHECK(parent_path("a").empty());
  CHECK(parent_path("").empty());
}

TEST_CASE("a position is found at the nearest enclosing path") {
  PositionMap positions("f.yaml");
  positions.add("", {1, 1});
  positions.add("a[0]", {2, 3});
  positions.add("a[0]", {9, 9});
  CHECK(positions.find("a[0].b[\"x.y\"].c").line == 2);
  CHECK(positions.find("a[1].b").line == 1);
  CHECK(positions.locate("a[0]") == "f.yaml:2:3: a[0]");
  CHECK(PositionMap("f.yaml").locate("a") == "f.yaml: a");
  CHECK(PositionMap().locate("a") == "a");
  CHECK(PositionMap().locate("").empty());
}

}  // namespace
}  // namespace weft::text
