#include "tests/simulation/world.h"

#include <algorithm>
#include <utility>

namespace weft::simulation {

World::World(uint64_t seed, Journal& journal) : journal_(journal), chance_(seed) {}

void World::at(int64_t delay_us, std::function<void()> task) {
  events_.push({now_us_ + std::max<int64_t>(delay_us, 0), ++order_, std::move(task)});
}

void World::move_to(int64_t us) {
  clock_.advance_ns((us - now_us_) * 1000);
  now_us_ = us;
}

bool World::run_until(int64_t end_us, const std::function<bool()>& is_over) {
  while (!journal_.failed()) {
    const int64_t next_us = events_.empty() ? end_us : std::min(end_us, events_.top().at_us);
    // The loop counts whole milliseconds.
    const int64_t to_next_ms = next_us / 1000 - now_ms();
    const int64_t wait_ms = loop_.timers().wait_ms(to_next_ms + 1);
    if (wait_ms <= to_next_ms && wait_ms > 0) {
      move_to((now_ms() + wait_ms) * 1000);
      by_timer_ = true;
      loop_.turn();
      by_timer_ = false;
    } else if (!events_.empty() && events_.top().at_us <= end_us) {
      move_to(next_us);
      // A heap gives its first only as const; it is taken out at once.
      std::function<void()> task = std::move(const_cast<Event&>(events_.top()).task);
      events_.pop();
      loop_.post(std::move(task));
      loop_.turn();
    } else {
      move_to(std::max(now_us_, end_us));
      loop_.turn();
      return false;
    }
    if (is_over && is_over()) return true;
  }
  return true;
}

}  // namespace weft::simulation
