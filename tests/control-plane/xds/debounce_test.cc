#include "control-plane/xds/debounce.h"

#include <catch2/catch.hpp>

namespace weft::control::xds {
namespace {

using Due = std::optional<int64_t>;

TEST_CASE("changes are due when they are quiet, and at the latest so long after the first") {
  Debounce debounce({.quiet_ms = 10, .at_most_ms = 25});
  CHECK(debounce.due_ms() == Due());
  debounce.note(100);
  CHECK(debounce.due_ms() == Due(110));
  debounce.note(109);
  CHECK(debounce.due_ms() == Due(119));
  debounce.note(118);
  CHECK(debounce.due_ms() == Due(125));
  debounce.reset(125);
  CHECK(debounce.due_ms() == Due());
  debounce.note(500);
  CHECK(debounce.due_ms() == Due(510));
}

TEST_CASE("after a rest the first change is due at once, and those that follow wait") {
  Debounce debounce({.quiet_ms = 10, .at_most_ms = 100, .rest_ms = 30});
  debounce.note(5);
  CHECK(debounce.due_ms() == Due(5));
  // Not pushed yet: the second goes along.
  debounce.note(6);
  CHECK(debounce.due_ms() == Due(5));
  debounce.reset(6);
  debounce.note(35);
  CHECK(debounce.due_ms() == Due(45));
  debounce.reset(45);
  debounce.note(75);
  CHECK(debounce.due_ms() == Due(75));
}

TEST_CASE("a stream of changes is pushed as seldom as without a rest") {
  Debounce debounce({.quiet_ms = 10, .at_most_ms = 100, .rest_ms = 30});
  int pushes = 0;
  for (int64_t now_ms = 0; now_ms < 10'000; ++now_ms) {
    if (now_ms % 9 == 0) debounce.note(now_ms);
    if (!debounce.due_ms().has_value() || *debounce.due_ms() > now_ms) continue;
    debounce.reset(now_ms);
    ++pushes;
  }
  CHECK(pushes > 80);
  CHECK(pushes < 110);
}

}  // namespace
}  // namespace weft::control::xds
