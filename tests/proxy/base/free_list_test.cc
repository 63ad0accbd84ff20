#include "proxy/base/free_list.h"

#include <catch2/catch.hpp>
#include <cstring>

namespace weft::base {
namespace {

TEST_CASE("memory that was given back is what is taken next, the last first") {
  FreeList<64, 8> list;
  void* first = list.take();
  void* second = list.take();
  CHECK(first != second);
  list.give(first);
  list.give(second);
  CHECK(list.kept() == 2);
  CHECK(list.take() == second);
  CHECK(list.take() == first);
  CHECK(list.kept() == 0);
  list.give(first);
  list.give(second);
}

TEST_CASE("a free list keeps no more than its bound") {
  FreeList<64, 2> list;
  void* pieces[4];
  for (void*& piece : pieces) piece = list.take();
  for (void* piece : pieces) list.give(piece);
  CHECK(list.kept() == 2);
}

TEST_CASE("every byte of memory taken from a free list may be written") {
  FreeList<48, 2> list;
  for (int round = 0; round < 2; ++round) {
    auto* memory = static_cast<char*>(list.take());
    std::memset(memory, 0x5a, 48);
    CHECK(memory[47] == 0x5a);
    list.give(memory);
  }
}

#ifdef WEFT_ADDRESS_SANITIZER
TEST_CASE("memory on a free list may not be touched") {
  FreeList<64, 2> list;
  auto* memory = static_cast<char*>(list.take());
  CHECK_FALSE(__asan_address_is_poisoned(memory));
  list.give(memory);
  CHECK(__asan_address_is_poisoned(memory + 8));
  CHECK(list.take() == memory);
  CHECK_FALSE(__asan_address_is_poisoned(memory + 8));
  list.give(memory);
}
#endif

}  // namespace
}  // namespace weft::base
