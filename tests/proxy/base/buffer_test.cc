#include "proxy/base/buffer.h"

#include <catch2/catch.hpp>

#include "proxy/base/random.h"

namespace weft::base {
namespace {

TEST_CASE("a buffer behaves as a string does, whatever is done to it") {
  Random random(7);
  Buffer buffers[3];
  std::string strings[3];
  auto text = [&](size_t n) {
    std::string made(n, ' ');
    for (char& c : made) c = static_cast<char>('a' + random.below(26));
    return made;
  };
  for (int step = 0; step < 20'000; ++step) {
    size_t i = random.below(3), j = random.below(3);
    switch (random.below(9)) {
      case 0:
      case 1: {
        std::string made = text(random.below(100));
        buffers[i].append(made);
        strings[i] += made;
        break;
      }
      case 2: {
        std::string made = text(random.below(40'000));
        buffers[i].append(made);
        strings[i] += made;
        break;
      }
      case 3: {
        size_t n = random.below(strings[i].size() + 1);
        buffers[i].drain(n);
        strings[i].erase(0, n);
        break;
      }
      case 4: {
        if (i == j) break;
        size_t n = random.below(strings[j].size() + 1);
        buffers[i].move_from(buffers[j], n);
        strings[i] += strings[j].substr(0, n);
        strings[j].erase(0, n);
        break;
      }
      case 5:
        if (i == j) break;
        buffers[i].move_from(buffers[j]);
        strings[i] += strings[j];
        strings[j].clear();
        break;
      case 6: {
        size_t n = random.below(std::min<size_t>(strings[i].size(), 50'000) + 1);
        CHECK(buffers[i].linearize(n) == std::string_view(strings[i]).substr(0, n));
        break;
      }
      case 7: {
        if (i == j || strings[i].size() > 200'000) break;
        buffers[i].share_from(buffers[j]);
        strings[i] += strings[j];
        break;
      }
      case 8: {
        Buffer::Room room = buffers[i].reserve(1 + random.below(1000));
        std::string made = text(random.below(std::min<size_t>(room.size, 500) + 1));
        std::copy(made.begin(), made.end(), room.data);
        buffers[i].commit(made.size());
        strings[i] += made;
        if (random.below(4) == 0) buffers[i].trim();
        break;
      }
    }
    REQUIRE(buffers[i].size() == strings[i].size());
    if (strings[i].size() > 400'000) {
      buffers[i].clear();
      strings[i].clear();
    }
    if (step % 50 == 0) REQUIRE(buffers[i].to_string() == strings[i]);
  }
}

TEST_CASE("bytes move between buffers without being copied") {
  Buffer from, to;
  from.append("some bytes that stay where they are");
  const char* before = from.front().data();
  to.append("x");
  to.move_from(from);
  struct iovec pieces[4];
  REQUIRE(to.pieces(pieces, 4) == 2);
  CHECK(pieces[1].iov_base == before);
  CHECK(from.empty());
}

TEST_CASE("all blocks are given back") {
  size_t before = blocks_in_use();
  {
    Buffer a, b;
    a.append(std::string(100'000, 'x'));
    b.share_from(a);
    a.drain(50'000);
    CHECK(blocks_in_use() > before);
  }
  CHECK(blocks_in_use() == before);
}

TEST_CASE("a piece that grows byte by byte and is made contiguous each time is copied a few times only") {
  Buffer buffer;
  buffer.append(std::string(Block::kDataBytes - 1, 'a'));
  int moved = 0;
  const char* before = buffer.front().data();
  for (int i = 0; i < 100'000; ++i) {
    buffer.append("b");
    const char* now = buffer.linearize(buffer.size()).data();
    if (now != before) ++moved;
    before = now;
  }
  CHECK(moved <= 4);
  CHECK(buffer.to_string() == std::string(Block::kDataBytes - 1, 'a') + std::string(100'000, 'b'));
}

}  // namespace
}  // namespace weft::base
