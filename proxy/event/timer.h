#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "proxy/base/callback.h"
#include "proxy/base/intrusive_list.h"

// Timers of one loop, kept in a hierarchical wheel: arming, moving and disarming cost O(1) and never allocate.
// Resolution is a millisecond; a timer never fires early. A timer that is moved later (the usual life of an idle
// timeout) only has its deadline overwritten; the wheel finds that out when it comes round. One thread.

namespace weft::event {

class TimerWheel;

class Timer : public base::ListNode<Timer> {
 public:
  Timer(TimerWheel& wheel, base::Callback<void()> on_expiry) : wheel_(wheel), on_expiry_(on_expiry) {}
  ~Timer() { disarm(); }

  // Fires once, `delay_ms` after the loop's current time. Re-arming moves it.
  void arm(int64_t delay_ms);
  void disarm();
  bool armed() const { return armed_; }
  int64_t deadline_ms() const { return deadline_ms_; }

 private:
  friend class TimerWheel;
  TimerWheel& wheel_;
  base::Callback<void()> on_expiry_;
  bool armed_ = false;
  int64_t deadline_ms_ = 0;  // When it is to fire.
  int64_t placed_ms_ = 0;    // The time for which it stands in the wheel; never after deadline_ms_.
};

class TimerWheel {
 public:
  explicit TimerWheel(int64_t now_ms) : now_ms_(now_ms) {}

  int64_t now_ms() const { return now_ms_; }
  // The time of the turn that begins. What its events arm counts from here, though nothing fires before advance():
  // a loop that slept would otherwise arm from when it fell asleep.
  void begin_turn(int64_t now_ms) { turn_ms_ = now_ms; }
  // Moves the time on and runs what is due, in order of deadline to the millisecond.
  void advance(int64_t now_ms);
  // Milliseconds until advance() may have something to do, at most `longest_ms`; 0 when something is due.
  int64_t wait_ms(int64_t longest_ms) const;
  bool empty() const { return size_ == 0; }

 private:
  friend class Timer;
  static constexpr int kLevels = 4;
  static constexpr int kSlotBits = 8;
  static constexpr int kSlots = 1 << kSlotBits;
  using Slot = base::IntrusiveList<Timer, Timer>;

  void place(Timer& timer);
  // The earliest time at which a slot wants to be looked at; INT64_MAX when all are empty.
  int64_t next_slot_ms() const;
  void cascade(int level);
  void run_slot();

  int64_t now_ms_;
  int64_t turn_ms_ = 0;
  size_t size_ = 0;
  std::array<std::array<Slot, kSlots>, kLevels> slots_;
  // A set bit says that the slot may hold timers; it is cleared when the slot is visited.
  std::array<std::array<uint64_t, kSlots / 64>, kLevels> occupied_{};
};

}  // namespace weft::event
