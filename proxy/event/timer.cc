#include "proxy/event/timer.h"

#include <algorithm>
#include <bit>

namespace weft::event {
namespace {

// Distance from `from` (exclusive) to the next set bit, going round; 1 to 256, or 0 when none is set.
int distance_to_set(const std::array<uint64_t, 4>& bits, int from) {
  for (int step = 0; step <= 4; ++step) {
    int start = (from + 1) & 255;
    int word = ((start >> 6) + step) & 3;
    uint64_t value = bits[word];
    if (step == 0) value &= ~uint64_t{0} << (start & 63);
    if (step == 4) value &= ~(~uint64_t{0} << (start & 63));
    if (value == 0) continue;
    int index = word * 64 + std::countr_zero(value);
    return ((index - from - 1) & 255) + 1;
  }
  return 0;
}

}  // namespace

void Timer::arm(int64_t delay_ms) {
  deadline_ms_ = std::max(wheel_.now_ms_, wheel_.turn_ms_) + std::max<int64_t>(delay_ms, 0);
  if (!armed_) {
    armed_ = true;
    ++wheel_.size_;
  } else if (linked() && placed_ms_ <= deadline_ms_) {
    return;
  }
  unlink();
  placed_ms_ = deadline_ms_;
  wheel_.place(*this);
}

void Timer::disarm() {
  unlink();
  if (!armed_) return;
  armed_ = false;
  --wheel_.size_;
}

void TimerWheel::place(Timer& timer) {
  constexpr int64_t kLongestMs = (int64_t{1} << (kLevels * kSlotBits)) - 1;
  timer.placed_ms_ = std::clamp(timer.placed_ms_, now_ms_ + 1, now_ms_ + kLongestMs);
  int64_t delta = timer.placed_ms_ - now_ms_;
  int level = 0;
  while (delta >> ((level + 1) * kSlotBits) != 0) ++level;
  int slot = static_cast<int>((timer.placed_ms_ >> (level * kSlotBits)) & (kSlots - 1));
  slots_[level][slot].push_back(timer);
  occupied_[level][slot >> 6] |= uint64_t{1} << (slot & 63);
}

int64_t TimerWheel::next_slot_ms() const {
  int64_t earliest = INT64_MAX;
  for (int level = 0; level < kLevels; ++level) {
    int64_t turn = now_ms_ >> (level * kSlotBits);
    int distance = distance_to_set(occupied_[level], static_cast<int>(turn & (kSlots - 1)));
    if (distance != 0) earliest = std::min(earliest, (turn + distance) << (level * kSlotBits));
  }
  return earliest;
}

int64_t TimerWheel::wait_ms(int64_t longest_ms) const {
  if (size_ == 0) return longest_ms;
  int64_t next = next_slot_ms();
  return next == INT64_MAX ? longest_ms : std::clamp<int64_t>(next - now_ms_, 0, longest_ms);
}

void TimerWheel::advance(int64_t now_ms) {
  while (size_ != 0) {
    int64_t next = next_slot_ms();
    if (next > now_ms) break;
    now_ms_ = next;
    for (int level = kLevels - 1; level > 0; --level) {
      if ((now_ms_ & ((int64_t{1} << (level * kSlotBits)) - 1)) == 0) cascade(level);
    }
    run_slot();
  }
  now_ms_ = std::max(now_ms_, now_ms);
}

void TimerWheel::cascade(int level) {
  int slot = static_cast<int>((now_ms_ >> (level * kSlotBits)) & (kSlots - 1));
  occupied_[level][slot >> 6] &= ~(uint64_t{1} << (slot & 63));
  Slot due;
  due.splice_back(slots_[level][slot]);
  while (!due.empty()) {
    Timer& timer = due.pop_front();
    timer.placed_ms_ = timer.deadline_ms_;
    if (timer.placed_ms_ <= now_ms_) {
      // Due in this very millisecond: run_slot() looks at this slot next.
      int now_slot = static_cast<int>(now_ms_ & (kSlots - 1));
      slots_[0][now_slot].push_back(timer);
      occupied_[0][now_slot >> 6] |= uint64_t{1} << (now_slot & 63);
    } else {
      place(timer);
    }
  }
}

void TimerWheel::run_slot() {
  int slot = static_cast<int>(now_ms_ & (kSlots - 1));
  occupied_[0][slot >> 6] &= ~(uint64_t{1} << (slot & 63));
  Slot due;
  due.splice_back(slots_[0][slot]);
  while (!due.empty()) {
    Timer& timer = due.pop_front();
    if (timer.deadline_ms_ > now_ms_) {
      timer.placed_ms_ = timer.deadline_ms_;
      place(timer);
      continue;
    }
    timer.armed_ = false;
    --size_;
    timer.on_expiry_();
  }
}

}  // namespace weft::event
