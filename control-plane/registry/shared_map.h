#pragma once

// A sorted map of shared, immutable values whose copies are cheap: entries lie in 16 blocks of 16 parts. A copy is one
// pointer; the first change of a map that was copied gives it a table of blocks of its own, and each change copies the
// block and the part that it touches. A value type: it belongs to whoever holds it; const access, copying included, is
// safe on any thread.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string_view>
#include <utility>

namespace weft::control::registry {

inline constexpr size_t kParts = 256;

// Stable across runs and machines, so that iteration is too.
inline size_t part_of(std::string_view text) {
  uint32_t hash = 2166136261u;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619u;
  return (hash ^ (hash >> 16)) % kParts;
}

// `Key` has operator< and a function part_text(key), found by its arguments, that spreads keys over the parts.
template <typename Key, typename Value>
class SharedMap {
 public:
  using Pointer = std::shared_ptr<const Value>;

  SharedMap() = default;
  SharedMap(const SharedMap& other) : table_(other.shared_table()), size_(other.size_) {}
  SharedMap& operator=(const SharedMap& other) {
    table_ = other.shared_table();
    size_ = other.size_;
    return *this;
  }
  SharedMap(SharedMap&&) = default;
  SharedMap& operator=(SharedMap&&) = default;

  // Null if there is none.
  Pointer find(const Key& key) const {
    const Part* part = part_of_key(key);
    if (part == nullptr) return nullptr;
    const auto entry = part->find(key);
    return entry == part->end() ? nullptr : entry->second;
  }

  void set(const Key& key, Pointer value) {
    change(key, [&](Part& part) { size_ += part.insert_or_assign(key, std::move(value)).second ? 1 : 0; });
  }

  void erase(const Key& key) {
    if (find(key) == nullptr) return;
    change(key, [&](Part& part) { size_ -= part.erase(key); });
  }

  size_t size() const { return size_; }

  // Every entry, in an order that is the same for the same keys: visit(const Key&, const Pointer&).
  template <typename Visit>
  void for_each(Visit&& visit) const {
    if (table_ == nullptr) return;
    for (const auto& block : table_->blocks) {
      if (block == nullptr) continue;
      for (const auto& part : *block) {
        if (part == nullptr) continue;
        for (const auto& [key, value] : *part) visit(key, value);
      }
    }
  }

 private:
  static constexpr size_t kBlocks = 16;
  static constexpr size_t kPartsOfBlock = 16;
  static_assert(kBlocks * kPartsOfBlock == kParts);
  using Part = std::map<Key, Pointer>;
  using Block = std::array<std::shared_ptr<const Part>, kPartsOfBlock>;
  struct Table {
    std::array<std::shared_ptr<const Block>, kBlocks> blocks;
    // More than one map has had it; it stays as it is.
    std::atomic<bool> is_shared = false;
  };

  std::shared_ptr<Table> shared_table() const {
    if (table_ != nullptr) table_->is_shared.store(true, std::memory_order_relaxed);
    return table_;
  }

  Table& own_table() {
    if (table_ == nullptr || table_->is_shared.load(std::memory_order_relaxed)) {
      auto own = std::make_shared<Table>();
      if (table_ != nullptr) own->blocks = table_->blocks;
      table_ = std::move(own);
    }
    return *table_;
  }

  // Null if there is none.
  const Part* part_of_key(const Key& key) const {
    if (table_ == nullptr) return nullptr;
    const size_t at = part_of(part_text(key));
    const Block* block = table_->blocks[at / kPartsOfBlock].get();
    return block == nullptr ? nullptr : (*block)[at % kPartsOfBlock].get();
  }

  template <typename Edit>
  void change(const Key& key, Edit&& edit) {
    const size_t at = part_of(part_text(key));
    std::shared_ptr<const Block>& block = own_table().blocks[at / kPartsOfBlock];
    auto changed_block = block == nullptr ? std::make_shared<Block>() : std::make_shared<Block>(*block);
    std::shared_ptr<const Part>& part = (*changed_block)[at % kPartsOfBlock];
    auto changed_part = part == nullptr ? std::make_shared<Part>() : std::make_shared<Part>(*part);
    edit(*changed_part);
    part = std::move(changed_part);
    block = std::move(changed_block);
  }

  std::shared_ptr<Table> table_;
  size_t size_ = 0;
};

}  // namespace weft::control::registry
