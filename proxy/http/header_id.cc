#include "proxy/http/header_id.h"

#include <array>
#include <cstring>

namespace weft::http {
namespace {

constexpr std::array<std::string_view, static_cast<size_t>(HeaderId::kCount)> kNames = {"",
#define X(id, name) name,
                                                                                        WEFT_HEADERS(X)
#undef X
};

constexpr size_t kLongestName = [] {
  size_t longest = 0;
  for (std::string_view name : kNames) longest = name.size() > longest ? name.size() : longest;
  return longest;
}();

// A name is hashed by its length and three of its characters, in lower case; `kSeed` was found so that no two of the
// names above share a slot, which the compiler proves.
constexpr size_t kSlots = 1024;
constexpr uint32_t slot_of(std::string_view name, uint32_t seed) {
  uint32_t hash = static_cast<uint32_t>(name.size());
  auto mix = [&](char c) { hash = (hash ^ static_cast<uint32_t>(static_cast<unsigned char>(c) | 0x20)) * seed; };
  mix(name[0]);
  mix(name[name.size() / 2]);
  mix(name[name.size() - 1]);
  mix(name[name.size() * 3 / 4]);
  return (hash >> 16) & (kSlots - 1);
}

constexpr bool is_perfect(uint32_t seed) {
  std::array<bool, kSlots> taken{};
  for (size_t i = 1; i < kNames.size(); ++i) {
    uint32_t slot = slot_of(kNames[i], seed);
    if (taken[slot]) return false;
    taken[slot] = true;
  }
  return true;
}

constexpr uint32_t find_seed() {
  for (uint32_t seed = 0x01000193; seed < 0x01000193 + 4000; seed += 2) {
    if (is_perfect(seed)) return seed;
  }
  return 0;
}
constexpr uint32_t kSeed = find_seed();
static_assert(kSeed != 0, "no seed gives every name a slot of its own");

constexpr std::array<HeaderId, kSlots> kTable = [] {
  std::array<HeaderId, kSlots> table{};
  for (size_t i = 1; i < kNames.size(); ++i) table[slot_of(kNames[i], kSeed)] = static_cast<HeaderId>(i);
  return table;
}();

}  // namespace

HeaderId header_id(std::string_view name) {
  if (name.empty() || name.size() > kLongestName) return HeaderId::kOther;
  HeaderId id = kTable[slot_of(name, kSeed)];
  std::string_view known = kNames[static_cast<size_t>(id)];
  if (known.size() != name.size()) return HeaderId::kOther;
  // In lower case by one bit, eight bytes at a time: for the characters that a name may have, none but a capital letter
  // becomes a character of a known name by it.
  auto differs = [&](size_t at) {
    uint64_t given, wanted;
    std::memcpy(&given, name.data() + at, 8);
    std::memcpy(&wanted, known.data() + at, 8);
    return (given | 0x2020202020202020) != wanted;
  };
  size_t size = name.size();
  if (size < 8) {
    for (size_t i = 0; i < size; ++i) {
      if (static_cast<char>(name[i] | 0x20) != known[i]) return HeaderId::kOther;
    }
    return id;
  }
  for (size_t i = 0; i + 8 < size; i += 8) {
    if (differs(i)) return HeaderId::kOther;
  }
  return differs(size - 8) ? HeaderId::kOther : id;
}

std::string_view header_name(HeaderId id) { return kNames[static_cast<size_t>(id)]; }

}  // namespace weft::http
