#include "control-plane/server/loop.h"

#include <algorithm>
#include <utility>

namespace weft::control::server {

void Loop::post(std::function<void()> task, int64_t latest_ms) {
  const std::lock_guard lock(mutex_);
  tasks_.push_back(std::move(task));
  if (wakes_at_ms_ > latest_ms) wake();
}

// With the lock held. Who has been woken has yet to take the tasks.
void Loop::wake() {
  if (queue_ == nullptr || std::exchange(is_woken_, true)) return;
  alarm_.Set(queue_, gpr_inf_past(GPR_CLOCK_REALTIME), static_cast<xds::Completion*>(&woken_));
}

void Loop::stop() {
  const std::lock_guard lock(mutex_);
  is_stopped_ = true;
  wake();
}

void Loop::run_tasks() {
  std::deque<std::function<void()>> tasks;
  {
    const std::lock_guard lock(mutex_);
    wakes_at_ms_ = 0;
    tasks.swap(tasks_);
  }
  for (std::function<void()>& task : tasks) task();
}

// Until when to wait for the next event, from here on.
gpr_timespec Loop::begin_wait(std::optional<int64_t> due_ms, int64_t now_ms, const std::function<bool()>& is_over) {
  const std::lock_guard lock(mutex_);
  // gRPC takes it for our mistake if anything is begun on a queue that was shut down.
  if (is_stopped_ && queue_ != nullptr && is_over()) std::exchange(queue_, nullptr)->Shutdown();
  if (!tasks_.empty()) return gpr_inf_past(GPR_CLOCK_MONOTONIC);
  wakes_at_ms_ = due_ms.value_or(INT64_MAX);
  if (!due_ms.has_value()) return gpr_inf_future(GPR_CLOCK_MONOTONIC);
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                      gpr_time_from_millis(std::max<int64_t>(0, *due_ms - now_ms), GPR_TIMESPAN));
}

void Loop::run(grpc::CompletionQueue& queue, const std::function<std::optional<int64_t>(int64_t now_ms)>& idle,
               const std::function<bool()>& is_over) {
  {
    const std::lock_guard lock(mutex_);
    queue_ = &queue;
  }
  while (true) {
    run_tasks();
    const int64_t now = now_ms();
    const gpr_timespec deadline = begin_wait(idle(now), now, is_over);
    void* tag = nullptr;
    bool ok = false;
    const auto status = queue.AsyncNext(&tag, &ok, deadline);
    if (status == grpc::CompletionQueue::SHUTDOWN) break;
    if (status == grpc::CompletionQueue::GOT_EVENT) static_cast<xds::Completion*>(tag)->done(ok);
  }
  run_tasks();
  idle(now_ms());
}

}  // namespace weft::control::server
