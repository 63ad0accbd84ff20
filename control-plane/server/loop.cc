#include "control-plane/server/loop.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace weft::control::server {

void Loop::post(std::function<void()> task) {
  bool is_first = false;
  {
    const std::lock_guard lock(mutex_);
    is_first = tasks_.empty();
    tasks_.push_back(std::move(task));
  }
  // Who has tasks already has been told; and woken with the lock held, it would only wait again.
  if (is_first) posted_.notify_one();
}

void Loop::stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  posted_.notify_one();
}

void Loop::run(const std::function<std::optional<int64_t>(int64_t now_ms)>& idle) {
  while (true) {
    const std::optional<int64_t> due_ms = idle(now_ms());
    std::deque<std::function<void()>> tasks;
    {
      std::unique_lock lock(mutex_);
      const auto is_ready = [this] { return !tasks_.empty() || stopping_; };
      if (due_ms.has_value()) {
        posted_.wait_for(lock, std::chrono::milliseconds(std::max<int64_t>(0, *due_ms - now_ms())), is_ready);
      } else {
        posted_.wait(lock, is_ready);
      }
      tasks.swap(tasks_);
      if (tasks.empty() && stopping_) return;
    }
    for (std::function<void()>& task : tasks) task();
  }
}

}  // namespace weft::control::server
