#include "proxy/base/slot.h"

#include <catch2/catch.hpp>
#include <string>

namespace weft::base {
namespace {

class Named final : public Slot {
 public:
  using Key = std::string;
  Named(std::string name, uint32_t index) : Slot(index), name_(std::move(name)) {}
  const std::string& key() const { return name_; }

 private:
  std::string name_;
};

}  // namespace

TEST_CASE("a key has one slot as long as somebody refers to it, and its number is used again") {
  Slots<Named> slots;
  auto a = slots.slot("a");
  auto b = slots.slot("b");
  CHECK(slots.slot("a") == a);
  CHECK(a->index() != b->index());
  uint32_t number = a->index();
  a.reset();
  CHECK(slots.slot("c")->index() == number);
  auto again = slots.slot("a");
  CHECK(again->index() == number);
  CHECK(again->key() == "a");
  CHECK(slots.slot("b") == b);
}

TEST_CASE("a slot may outlive those that it was one of") {
  std::shared_ptr<const Named> kept;
  {
    Slots<Named> slots;
    kept = slots.slot("a");
  }
  CHECK(kept->key() == "a");
}

}  // namespace weft::base
