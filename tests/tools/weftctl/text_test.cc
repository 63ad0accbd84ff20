#include "tools/weftctl/text.h"

#include <catch2/catch.hpp>

namespace weft::weftctl {
namespace {

TEST_CASE("a table's columns are as wide as they need") {
  CHECK(table({{"KIND", "NAME"}, {"Service", "a"}, {"", "cart"}}) == "KIND     NAME\nService  a\n         cart\n");
}

TEST_CASE("a difference shows what changed and a little around") {
  CHECK(difference("a\nb\n", "a\nb\n").empty());
  CHECK(difference("", "a\n") == "+ a\n");
  CHECK(difference("a\n", "") == "- a\n");
  CHECK(difference("1\n2\n3\n4\n5\nold\n6\n", "1\n2\n3\n4\n5\nnew\n6\n") == "  …\n  3\n  4\n  5\n- old\n+ new\n  6\n");
}

}  // namespace
}  // namespace weft::weftctl
