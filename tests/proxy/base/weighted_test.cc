#include "proxy/base/weighted.h"

#include <catch2/catch.hpp>
#include <vector>

namespace weft::base {

TEST_CASE("each element gets the draws of its weight, in their order, and the last one what is left") {
  struct Element {
    int name;
    uint32_t weight;
  };
  const std::vector<Element> elements = {{1, 2}, {2, 0}, {3, 1}};
  std::vector<int> chosen;
  for (uint64_t draw = 0; draw < 5; ++draw) chosen.push_back(by_weight(elements, draw).name);
  CHECK(chosen == std::vector<int>{1, 1, 3, 3, 3});
  CHECK(by_weight(std::vector<Element>{{7, 0}}, 0).name == 7);
}

}  // namespace weft::base
