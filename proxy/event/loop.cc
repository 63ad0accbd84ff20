#include "proxy/event/loop.h"

#include <algorithm>

namespace weft::event {
namespace {

// The wall clock may be set while we run, so the offset to it is read anew this often.
constexpr int64_t kWallReadIntervalNs = 100'000'000;

}  // namespace

Loop::Loop(base::Clock& clock)
    : clock_(clock),
      now_ns_(clock.monotonic_ns()),
      wall_offset_ns_(clock.wall_ns() - now_ns_),
      wall_read_ns_(now_ns_),
      timers_(now_ns_ / 1'000'000) {}

Loop::~Loop() {
  while (!deferred_.empty()) delete &deferred_.pop_front();
}

void Loop::read_clock() {
  now_ns_ = clock_.monotonic_ns();
  if (now_ns_ - wall_read_ns_ >= kWallReadIntervalNs) {
    wall_read_ns_ = now_ns_;
    wall_offset_ns_ = clock_.wall_ns() - now_ns_;
  }
}

void Loop::post(std::function<void()> work) {
  {
    std::lock_guard<std::mutex> lock(posted_mutex_);
    posted_.push_back(std::move(work));
    if (posted_.size() > 1) return;
    has_posted_.store(true, std::memory_order_release);
  }
  wake();
}

void Loop::run_posted() {
  if (!has_posted()) return;
  std::vector<std::function<void()>> work;
  {
    std::lock_guard<std::mutex> lock(posted_mutex_);
    work.swap(posted_);
    has_posted_.store(false, std::memory_order_release);
  }
  for (auto& each : work) each();
}

void Loop::finish_turn() {
  timers_.advance(now_ms());
  while (!due_tasks_.empty()) due_tasks_.pop_front().on_next_turn();
  run_posted();
  while (!turn_end_tasks_.empty()) turn_end_tasks_.pop_front().on_turn_end();
  // What is destroyed may defer more, and may ask for a flush; both wait for the next round.
  base::IntrusiveList<Deferred, Deferred> dying;
  dying.splice_back(deferred_);
  while (!dying.empty()) delete &dying.pop_front();
  due_tasks_.splice_back(next_turn_tasks_);
  if (!deferred_.empty() || !turn_end_tasks_.empty()) wake();
}

void ManualLoop::turn() {
  read_clock();
  do {
    finish_turn();
  } while (has_work());
}

void ManualLoop::advance_ms(int64_t ms) {
  while (ms > 0) {
    int64_t step = std::clamp<int64_t>(timers().wait_ms(ms), 1, ms);
    manual_clock_.advance_ms(step);
    turn();
    ms -= step;
  }
}

}  // namespace weft::event
