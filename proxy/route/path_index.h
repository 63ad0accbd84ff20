#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"

// Which routes of a virtual host can match a path, in their order, without trying those that cannot: exact paths and
// prefixes in hash tables, one for each length of prefix that occurs, and the rest (regular expressions, paths compared
// without case, CONNECT) as a plain list. Immutable after it is built.

namespace weft::route {

struct RouteEntry;

class PathIndex {
 public:
  // The entries must outlive the index, with their strings.
  explicit PathIndex(const std::vector<RouteEntry>& entries);

  // The first entry, in order, that may match `path` (without query) and for which `accept` says yes; its number, or
  // -1. Calls accept(number, path_is_known_to_match) on candidates in rising order.
  template <typename Accept>
  int first(std::string_view path, Accept&& accept) const;

 private:
  // Entry numbers, rising: those of one key stand together in numbers_.
  struct Range {
    uint32_t begin = 0, end = 0;
  };
  using Table = absl::flat_hash_map<std::string_view, Range, std::hash<std::string_view>>;
  // Prefixes of one length.
  struct Level {
    size_t length = 0;
    Table table;
  };
  struct Cursor {
    const uint32_t* next;
    const uint32_t* end;
    bool known;
  };
  // A path can have no more prefixes among those configured than lengths occur; with more lengths than this, the
  // longest ones are kept in the plain list.
  static constexpr size_t kMaxLevels = 30;

  size_t collect(std::string_view path, Cursor* cursors) const;

  std::vector<uint32_t> numbers_;
  Table exact_;
  std::vector<Level> levels_;  // By length, rising.
  Range unindexed_;
};

template <typename Accept>
int PathIndex::first(std::string_view path, Accept&& accept) const {
  Cursor cursors[kMaxLevels + 2];
  size_t count = collect(path, cursors);
  while (count > 0) {
    size_t best = 0;
    for (size_t i = 1; i < count; ++i) {
      if (*cursors[i].next < *cursors[best].next) best = i;
    }
    uint32_t number = *cursors[best].next;
    if (accept(number, cursors[best].known)) return static_cast<int>(number);
    if (++cursors[best].next == cursors[best].end) cursors[best] = cursors[--count];
  }
  return -1;
}

}  // namespace weft::route
