#include "control-plane/inject/patch.h"

#include <catch2/catch.hpp>
#include <random>

namespace weft::control::inject {
namespace {

using text::Tree;

std::string patch(const char* before, const char* after) {
  return make_patch(Tree::parse(before), Tree::parse(after)).dump();
}

TEST_CASE("a patch says what changed and nothing else") {
  CHECK(patch(R"({"a": 1})", R"({"a": 1})") == "[]");
  CHECK(patch(R"({"a": 1, "b": 2})", R"({"a": 3, "c": 4})") ==
        R"([{"op":"replace","path":"/a","value":3},{"op":"remove","path":"/b"},{"op":"add","path":"/c","value":4}])");
  CHECK(patch(R"({"a": {}})", R"({"a": {"x/y~z": 1}})") == R"([{"op":"add","path":"/a/x~1y~0z","value":1}])");
  CHECK(patch("[1, 2]", "[0, 1, 2]") == R"([{"op":"add","path":"/0","value":0}])");
  CHECK(patch("[1, 2]", "[1, 2, 3, 4]") ==
        R"([{"op":"add","path":"/2","value":3},{"op":"add","path":"/3","value":4}])");
  CHECK(patch("[1, 2, 3]", "[1]") == R"([{"op":"remove","path":"/1"},{"op":"remove","path":"/1"}])");
  CHECK(patch(R"([{"a": 1}, 2])", R"([{"a": 5}, 2])") == R"([{"op":"replace","path":"/0/a","value":5}])");
  CHECK(patch("[1, 2]", "[3, 4, 5]") == R"([{"op":"replace","path":"","value":[3,4,5]}])");
  CHECK(patch("{}", "[]") == R"([{"op":"replace","path":"","value":[]}])");
}

Tree random_tree(std::mt19937& random, int depth) {
  static const char* const kKeys[] = {"a", "b", "c/d", "e~f", "", "~1", "0"};
  const unsigned kind = random() % (depth > 3 ? 3 : 5);
  if (kind == 3) {
    Tree out = Tree::object();
    for (size_t i = random() % 4; i > 0; --i) out[kKeys[random() % std::size(kKeys)]] = random_tree(random, depth + 1);
    return out;
  }
  if (kind == 4) {
    Tree out = Tree::array();
    for (size_t i = random() % 4; i > 0; --i) out.push_back(random_tree(random, depth + 1));
    return out;
  }
  return kind == 0 ? Tree(nullptr) : Tree(random() % 3);
}

// By the library's own application of RFC 6902, for which the order of keys is nothing.
TEST_CASE("a patch makes the one of the other") {
  std::mt19937 random(11);
  for (int i = 0; i < 5000; ++i) {
    const Tree before = random_tree(random, 0), after = random_tree(random, 0);
    const nlohmann::json plain = nlohmann::json::parse(before.dump());
    const nlohmann::json made = nlohmann::json::parse(make_patch(before, after).dump());
    INFO(before.dump() << " to " << after.dump() << " by " << made.dump());
    REQUIRE(plain.patch(made) == nlohmann::json::parse(after.dump()));
  }
}

}  // namespace
}  // namespace weft::control::inject
