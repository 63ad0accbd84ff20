#include "proxy/base/weak_set.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace weft::base {
namespace {

// Of all the same hash: what stands beside one another must still be told apart.
struct Fixture {
  std::shared_ptr<std::string> find(const std::string& text) const {
    return set.find(7, [&](const std::string& each) { return each == text; });
  }
  std::shared_ptr<std::string> insert(const std::string& text) {
    auto made = std::make_shared<std::string>(text);
    set.insert(7, made);
    return made;
  }
  WeakSet<std::string> set;
};

}  // namespace

TEST_CASE("an object is found by what it says of itself, as long as somebody has it") {
  Fixture f;
  auto a = f.insert("a");
  auto b = f.insert("b");
  CHECK(f.find("a") == a);
  CHECK(f.find("b") == b);
  CHECK(f.find("c") == nullptr);
  CHECK(f.set.find(8, [](const std::string&) { return true; }) == nullptr);
  a.reset();
  CHECK(f.find("a") == nullptr);
  auto again = f.insert("a");
  CHECK(f.find("a") == again);
}

TEST_CASE("what went does not gather") {
  WeakSet<size_t> set;
  auto kept = std::make_shared<size_t>(0);
  set.insert(0, kept);
  for (size_t i = 1; i < 10'000; ++i) set.insert(i, std::make_shared<size_t>(i));
  CHECK(set.size() < 200);
  CHECK(set.find(0, [](size_t) { return true; }) == kept);
}

}  // namespace weft::base
