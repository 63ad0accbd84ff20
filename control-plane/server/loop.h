#pragma once

// The control plane's one thread that decides: tasks in the order in which they were posted, and between them whatever
// is due by the clock. post() and stop() from any thread; the rest is for the thread that runs.

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>

#include "control-plane/base/clock.h"

namespace weft::control::server {

class Loop {
 public:
  explicit Loop(base::Clock& clock) : clock_(clock) {}

  void post(std::function<void()> task);

  // Runs tasks until stop(), then those that are left. After each group of tasks `idle` is called with the time; it
  // returns when it wants to be called at the latest, or nothing.
  void run(const std::function<std::optional<int64_t>(int64_t now_ms)>& idle);
  void stop();

  int64_t now_ms() { return clock_.monotonic_ms(); }

 private:
  base::Clock& clock_;
  std::mutex mutex_;
  std::condition_variable posted_;
  std::deque<std::function<void()>> tasks_;
  bool stopping_ = false;
};

}  // namespace weft::control::server
