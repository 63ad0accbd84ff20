#pragma once

// A sorted map of shared, immutable values whose copies are cheap: entries lie in 256 parts that copies share, and a
// change copies only the part that it touches. A value type: it belongs to whoever holds it; const access is safe on
// any thread.

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string_view>
#include <utility>

namespace weft::control::registry {

// Stable across runs and machines, so that iteration is too.
inline size_t part_of(std::string_view text) {
  uint32_t hash = 2166136261u;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619u;
  return (hash ^ (hash >> 16)) % 256;
}

// `Key` has operator< and a function part_text(key), found by its arguments, that spreads keys over the parts.
template <typename Key, typename Value>
class SharedMap {
 public:
  using Pointer = std::shared_ptr<const Value>;

  // Null if there is none.
  Pointer find(const Key& key) const {
    const auto& part = parts_[index(key)];
    if (part == nullptr) return nullptr;
    const auto entry = part->find(key);
    return entry == part->end() ? nullptr : entry->second;
  }

  void set(const Key& key, Pointer value) {
    auto& part = parts_[index(key)];
    auto changed = part == nullptr ? std::make_shared<Part>() : std::make_shared<Part>(*part);
    const auto [entry, added] = changed->insert_or_assign(key, std::move(value));
    size_ += added ? 1 : 0;
    part = std::move(changed);
  }

  void erase(const Key& key) {
    auto& part = parts_[index(key)];
    if (part == nullptr || !part->contains(key)) return;
    auto changed = std::make_shared<Part>(*part);
    changed->erase(key);
    --size_;
    part = std::move(changed);
  }

  size_t size() const { return size_; }

  // Every entry, in an order that is the same for the same keys: visit(const Key&, const Pointer&).
  template <typename Visit>
  void for_each(Visit&& visit) const {
    for (const auto& part : parts_) {
      if (part == nullptr) continue;
      for (const auto& [key, value] : *part) visit(key, value);
    }
  }

 private:
  using Part = std::map<Key, Pointer>;

  static size_t index(const Key& key) { return part_of(part_text(key)); }

  std::array<std::shared_ptr<const Part>, 256> parts_;
  size_t size_ = 0;
};

}  // namespace weft::control::registry
