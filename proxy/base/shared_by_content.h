#pragma once

// Immutable values that are kept once, however many users want one of the same content. The users own them.

#include <memory>
#include <mutex>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"

namespace weft::base {

// Immutable values that are kept once, however many users want one of the same content; each goes with its last user.
// Any thread.
template <typename Value>
class SharedByContent {
 public:
  // The value that was made of this content, if somebody still has it; otherwise what make() returns, an
  // absl::StatusOr<std::shared_ptr<const Value>>. A digest will do for the content.
  template <typename Make>
  absl::StatusOr<std::shared_ptr<const Value>> get(const std::string& content, const Make& make) {
    std::lock_guard lock(mutex_);
    auto found = values_.find(content);
    if (found != values_.end()) {
      if (std::shared_ptr<const Value> value = found->second.lock()) return value;
    }
    absl::StatusOr<std::shared_ptr<const Value>> made = make();
    if (!made.ok()) return made;
    absl::erase_if(values_, [](const auto& each) { return each.second.expired(); });
    values_[content] = *made;
    return made;
  }

 private:
  std::mutex mutex_;
  absl::flat_hash_map<std::string, std::weak_ptr<const Value>> values_;  // By mutex_.
};

}  // namespace weft::base
