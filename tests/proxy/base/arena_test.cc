#include "proxy/base/arena.h"

#include <catch2/catch.hpp>
#include <map>
#include <string>

#include "proxy/base/intrusive_list.h"
#include "proxy/base/random.h"

namespace weft::base {
namespace {

TEST_CASE("what an arena holds stays until reset, whatever the sizes") {
  Random random(3);
  Arena arena;
  for (int round = 0; round < 20; ++round) {
    std::map<std::string_view, std::string> kept;
    for (int i = 0; i < 300; ++i) {
      std::string text(1 + random.below(i % 50 == 0 ? 20'000 : 200), static_cast<char>('a' + random.below(26)));
      text += std::to_string(i);
      std::string_view copy = arena.copy(text);
      kept.emplace(copy, text);
      auto address = reinterpret_cast<uintptr_t>(arena.allocate(8, 8));
      CHECK(address % 8 == 0);
    }
    for (const auto& [view, text] : kept) REQUIRE(view == text);
    CHECK(arena.concat("a", "b", "", "cd") == "abcd");
    arena.reset();
    CHECK(arena.allocated_bytes() == 0);
  }
}

TEST_CASE("a pinned slice keeps its block") {
  size_t before = blocks_in_use();
  Arena arena;
  std::string_view view;
  {
    Buffer buffer;
    buffer.append("kept");
    arena.pin(buffer.front_slice());
    view = buffer.front();
  }
  CHECK(view == "kept");
  CHECK(blocks_in_use() == before + 1);
  arena.reset();
  CHECK(blocks_in_use() == before);
}

struct Node : ListNode<Node> {
  explicit Node(int value) : value(value) {}
  int value;
};

TEST_CASE("elements may leave a list while it is walked, and by their own destruction") {
  IntrusiveList<Node, Node> list;
  Node a(1), c(3);
  list.push_back(a);
  {
    Node b(2);
    list.push_back(b);
    list.push_back(c);
  }
  int sum = 0;
  for (Node& node : list) {
    sum += node.value;
    node.unlink();
  }
  CHECK(sum == 4);
  CHECK(list.empty());
}

}  // namespace
}  // namespace weft::base
