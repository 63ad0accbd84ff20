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
  debounce.reset();
  CHECK(debounce.due_ms() == Due());
  debounce.note(500);
  CHECK(debounce.due_ms() == Due(510));
}

}  // namespace
}  // namespace weft::control::xds
