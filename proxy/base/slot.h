#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

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

// All slots of one kind S, which is a Slot with `S(S::Key, index)`. A slot goes with the last who refers to it, and its
// number is used again. slot() is for the main thread; slots may be let go on any.
template <typename S>
class Slots {
 public:
  using Key = typename S::Key;

  // The slot of this key, made if there is none.
  std::shared_ptr<const S> slot(const Key& key) {
    auto found = slots_.find(key);
    if (found != slots_.end()) {
      if (std::shared_ptr<const S> known = found->second.lock()) return known;
    }
    if (slots_.size() >= look_over_at_) forget_lost();
    uint32_t index = 0;
    {
      std::lock_guard<std::mutex> lock(numbers_->mutex);
      index = numbers_->free.empty() ? numbers_->next++ : numbers_->free.back();
      if (!numbers_->free.empty()) numbers_->free.pop_back();
    }
    auto give_back = [numbers = numbers_](const S* slot) {
      std::lock_guard<std::mutex> lock(numbers->mutex);
      numbers->free.push_back(slot->index());
      delete slot;
    };
    std::shared_ptr<const S> made(new S(key, index), give_back);
    slots_.insert_or_assign(key, made);
    return made;
  }

 private:
  struct Numbers {
    std::mutex mutex;  // Of a configuration's making and unmaking; no request comes here.
    std::vector<uint32_t> free;
    uint32_t next = 0;
  };
  void forget_lost() {
    std::erase_if(slots_, [](const auto& each) { return each.second.expired(); });
    look_over_at_ = std::max<size_t>(64, slots_.size() * 2);
  }

  std::shared_ptr<Numbers> numbers_ = std::make_shared<Numbers>();
  std::map<Key, std::weak_ptr<const S>> slots_;
  size_t look_over_at_ = 64;  // How many slots there may be before those that went are taken out.
};

}  // namespace weft::base
