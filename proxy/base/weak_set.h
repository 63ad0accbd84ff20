#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>

#include "absl/container/flat_hash_set.h"

// Objects that others own, found by what each says of itself: where there are thousands of them, each with a name, a
// map by name would have every name twice. One thread; the objects may go on any.

namespace weft::base {

template <typename Object>
class WeakSet {
 public:
  // One of this hash that somebody still has and that `is_wanted(const Object&)` holds of; nullptr: there is none.
  template <typename IsWanted>
  std::shared_ptr<Object> find(size_t hash, const IsWanted& is_wanted) const {
    auto found = entries_.find(Query<IsWanted>{hash, is_wanted});
    return found == entries_.end() ? nullptr : found->object.lock();
  }
  // `hash` is what find() will be asked with. It is not looked whether there is such a one.
  void insert(size_t hash, const std::shared_ptr<Object>& object) {
    if (entries_.size() >= look_over_at_) forget_lost();
    entries_.insert(Entry{hash, object});
  }
  // Those that went and are not forgotten yet count.
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    size_t hash;
    std::weak_ptr<Object> object;
  };
  template <typename IsWanted>
  struct Query {
    size_t hash;
    const IsWanted& is_wanted;
  };
  struct Hash {
    using is_transparent = void;
    size_t operator()(const auto& each) const { return each.hash; }
  };
  struct Equal {
    using is_transparent = void;
    template <typename IsWanted>
    bool operator()(const Entry& entry, const Query<IsWanted>& query) const {
      if (entry.hash != query.hash) return false;
      std::shared_ptr<Object> object = entry.object.lock();
      return object != nullptr && query.is_wanted(*object);
    }
    // A new one stands beside one of the same name that went.
    bool operator()(const Entry& a, const Entry& b) const { return &a == &b; }
  };
  void forget_lost() {
    for (auto each = entries_.begin(); each != entries_.end();) {
      auto here = each++;
      if (here->object.expired()) entries_.erase(here);
    }
    look_over_at_ = std::max(kFewest, entries_.size() * 2);
  }

  static constexpr size_t kFewest = 64;
  absl::flat_hash_set<Entry, Hash, Equal> entries_;
  size_t look_over_at_ = kFewest;  // How many there may be before those that went are taken out.
};

}  // namespace weft::base
