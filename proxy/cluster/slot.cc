#include "proxy/cluster/slot.h"

#include <algorithm>

namespace weft::cluster {

ClusterSlotPtr ClusterSlots::slot(std::string_view name) {
  auto found = slots_.find(name);
  if (found != slots_.end()) {
    if (ClusterSlotPtr known = found->second.lock()) return known;
  }
  if (slots_.size() >= look_over_at_) forget_lost();
  uint32_t index = 0;
  {
    std::lock_guard<std::mutex> lock(numbers_->mutex);
    index = numbers_->free.empty() ? numbers_->next++ : numbers_->free.back();
    if (!numbers_->free.empty()) numbers_->free.pop_back();
  }
  auto give_back = [numbers = numbers_](const ClusterSlot* slot) {
    std::lock_guard<std::mutex> lock(numbers->mutex);
    numbers->free.push_back(slot->index());
    delete slot;
  };
  ClusterSlotPtr made(new ClusterSlot(std::string(name), index), give_back);
  slots_.insert_or_assign(std::string(name), made);
  return made;
}

void ClusterSlots::forget_lost() {
  std::erase_if(slots_, [](const auto& each) { return each.second.expired(); });
  look_over_at_ = std::max<size_t>(64, slots_.size() * 2);
}

}  // namespace weft::cluster
