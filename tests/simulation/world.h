#pragma once

// Time, chance and the order of events of one simulated run. Everything that happens is a task at a time, or a timer of
// the proxies' loop; tasks of one time run in the order in which they were asked for. One thread.

#include <cstdint>
#include <functional>
#include <queue>
#include <string>
#include <string_view>
#include <vector>

#include "control-plane/base/clock.h"
#include "proxy/base/clock.h"
#include "proxy/base/random.h"
#include "proxy/event/loop.h"
#include "tests/simulation/journal.h"

namespace weft::simulation {

class World {
 public:
  World(uint64_t seed, Journal& journal);

  // Since the start of the run.
  int64_t now_us() const { return now_us_; }
  int64_t now_ms() const { return now_us_ / 1000; }
  // Runs `task` within the loop's turn at that time.
  void at(int64_t delay_us, std::function<void()> task);
  // Until the time is reached, an invariant is broken, or `is_over` (asked after each event) says so. False if it is
  // the time that ended it.
  bool run_until(int64_t end_us, const std::function<bool()>& is_over = nullptr);

  // What runs now was not brought by anybody, but fell due.
  bool by_timer() const { return by_timer_; }

  event::ManualLoop& loop() { return loop_; }
  base::ManualClock& clock() { return clock_; }
  // The same time, as the control plane takes it.
  control::base::Clock& control_clock() { return control_clock_; }
  Journal& journal() { return journal_; }
  void note(std::string_view what, std::string_view bytes = {}) { journal_.note(now_us_, what, bytes); }
  void fail(std::string what) { journal_.fail(now_us_, std::move(what)); }

  // Of the network and what else happens by itself.
  base::Random& chance() { return chance_; }
  // True once in `of` times.
  bool once_in(uint64_t of) { return chance_.below(of) == 0; }
  // Uniform, both ends included.
  int64_t between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(chance_.below(static_cast<uint64_t>(high - low) + 1));
  }

 private:
  class ControlClock final : public control::base::Clock {
   public:
    explicit ControlClock(base::ManualClock& clock) : clock_(clock) {}
    int64_t wall_ms() override { return clock_.wall_ns() / 1'000'000; }
    int64_t monotonic_ms() override { return clock_.monotonic_ns() / 1'000'000; }

   private:
    base::ManualClock& clock_;
  };
  struct Event {
    int64_t at_us;
    uint64_t order;
    std::function<void()> task;
    bool operator<(const Event& other) const {
      return at_us != other.at_us ? at_us > other.at_us : order > other.order;
    }
  };

  void move_to(int64_t us);

  Journal& journal_;
  base::ManualClock clock_;
  ControlClock control_clock_{clock_};
  event::ManualLoop loop_{clock_};
  base::Random chance_;
  std::priority_queue<Event> events_;
  uint64_t order_ = 0;
  int64_t now_us_ = 0;
  bool by_timer_ = false;
};

}  // namespace weft::simulation
