#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/hash/hash.h"
#include "proxy/base/weak_set.h"

// Places for what comes, changes and goes while others refer to it: they refer to the slot, and every worker keeps for
// itself, by the slot's number, what stands in it. So a change is a write of each worker to its own memory, and whoever
// looks something up neither locks nor counts.

namespace weft::base {

class Slot {
 public:
  explicit Slot(uint32_t index) : index_(index) {}
  // A small number; no two slots of one kind in the process at one time have the same.
  uint32_t index() const { return index_; }

 private:
  uint32_t index_;
};

// All slots of one kind S, which is a Slot with `S(S::Key, index)` and `key()`. A slot goes with the last who refers to
// it, and its number is used again. slot() is for the main thread; slots may be let go on any.
template <typename S>
class Slots {
 public:
  using Key = typename S::Key;

  // The slot of this key, made if there is none.
  std::shared_ptr<const S> slot(const Key& key) {
    const size_t hash = absl::HashOf(key);
    if (auto known = slots_.find(hash, [&](const S& slot) { return slot.key() == key; })) return known;
    uint32_t index = 0;
    {
      std::lock_guard<std::mutex> lock(numbers_->mutex);
      index = numbers_->free.empty() ? numbers_->next++ : numbers_->free.back();
      if (!numbers_->free.empty()) numbers_->free.pop_back();
    }
    auto kept = std::make_shared<const Kept>(key, index, numbers_);
    std::shared_ptr<const S> made(kept, &kept->slot);
    slots_.insert(hash, made);
    return made;
  }

 private:
  struct Numbers {
    std::mutex mutex;  // Of a configuration's making and unmaking; no request comes here.
    std::vector<uint32_t> free;
    uint32_t next = 0;
  };
  // Gives the number back with the slot.
  struct Kept {
    Kept(const Key& key, uint32_t index, std::shared_ptr<Numbers> numbers)
        : slot(key, index), numbers(std::move(numbers)) {}
    ~Kept() {
      std::lock_guard<std::mutex> lock(numbers->mutex);
      numbers->free.push_back(slot.index());
    }
    S slot;
    std::shared_ptr<Numbers> numbers;
  };

  std::shared_ptr<Numbers> numbers_ = std::make_shared<Numbers>();
  WeakSet<const S> slots_;
};

}  // namespace weft::base
